"""The engine for one machine: cells one after another, in this process.

An engine is a generator function `(worker, cells, resources)` of outcomes. It yields one a cell,
and may run cells anywhere and in any order in which pre-training comes before its probes, and the
reference encoder's answer to a task before the others' (`dispatch` knows it).
"""

from collections.abc import Generator, Sequence

from vireo.errors import SettingError
from vireo.study.cells import Cell
from vireo.study.resources import Resources
from vireo.study.work import Outcome, Worker


def run_cells(
    worker: Worker, cells: Sequence[Cell], resources: Resources
) -> Generator[Outcome, None, None]:
    """Run `cells` in order.

    Raises:
        SettingError: resources of a cluster are asked for.
        OSError: the features' own folder cannot be made.
    """
    if resources.are_of_a_cluster:
        raise SettingError(
            "The serial engine runs one cell at a time, here; an address, shares of GPUs and cells "
            "at once are for --engine ray."
        )
    if worker.folder.features_at:
        worker.folder.features_at.mkdir(parents=True, exist_ok=True)  # or fail before any cell
    for cell in cells:
        yield worker.attempt(cell)
