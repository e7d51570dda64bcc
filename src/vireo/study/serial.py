"""The engine for one machine: cells one after another, in this process.

An engine is a function `(worker, cells) -> iterator of outcomes`. It must yield one outcome a cell
and may run cells anywhere and in any order in which pre-training comes before its probes.
"""

from collections.abc import Iterator, Sequence

from vireo.study.cells import Cell
from vireo.study.work import Outcome, Worker


def run_cells(worker: Worker, cells: Sequence[Cell]) -> Iterator[Outcome]:
    """Run `cells` in order."""
    for cell in cells:
        yield worker.attempt(cell)
