"""What of a study is done: every cell with its state, without computing any."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from vireo.errors import VireoError
from vireo.records import StudyPlan
from vireo.store.folder import StudyFolder
from vireo.study.cells import Cell, plan_cells
from vireo.study.work import Worker

State = Literal["done", "to do", "failed"]


@dataclass(frozen=True)
class CellStatus:
    """A cell and how far it is; `error` says why it failed in the last run."""

    cell: Cell
    state: State
    error: str = ""


def study_status(plan: StudyPlan, out: Path) -> list[CellStatus]:
    """Return the state of every cell of `plan` in the folder `out`.

    Encoders are opened, because rows are named by their weights; nothing is computed.
    """
    from vireo.devices import choose

    worker = Worker(plan, StudyFolder(out), choose("cpu"))
    return [_status(worker, cell) for cell in plan_cells(plan)]


def _status(worker: Worker, cell: Cell) -> CellStatus:
    try:
        if worker.is_done(cell):
            return CellStatus(cell, "done")
    except VireoError as error:
        return CellStatus(cell, "failed", str(error))
    record = worker.folder.errors / cell.file_name
    if record.is_file():
        return CellStatus(cell, "failed", record.read_text(encoding="utf-8").splitlines()[0])
    return CellStatus(cell, "to do")
