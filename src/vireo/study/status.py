"""What of a study is done, how fast it goes and when it ends; torch is not needed to tell.

It is read off the study's folder: the index of cells, the rows, and the notes of failures. A row
that lies there without being in the index (of another name for the same encoder, say) is found when
the study runs, in no time; until then its cell is "to do".
"""

import fcntl
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from vireo.errors import StoreError
from vireo.files import read_json
from vireo.records import ResultRow, StudyPlan
from vireo.records.reading import read_record
from vireo.store.folder import StudyFolder
from vireo.store.row_files import read_row
from vireo.study.cells import Cell, CellIndex, plan_cells, run_folder

State = Literal["done", "running", "to do", "failed"]


@dataclass(frozen=True)
class CellStatus:
    """A cell and how far it is; `error` says in one line why it failed in the last run."""

    cell: Cell
    state: State
    error: str = ""


@dataclass(frozen=True)
class Progress:
    """How a study goes.

    Attributes:
        cells: all of them, in the order that they run.
        finished: cells computed by the run that is under way, or by the last one.
        per_hour: cells a hour, of these; 0 where none is finished.
        seconds_left: until the cells to do are done, at that speed; None where cells of a kind are
            left of which none is done yet.
    """

    cells: tuple[CellStatus, ...]
    finished: int
    per_hour: float
    seconds_left: float | None

    def count(self, state: State) -> int:
        """Return how many cells are in a state."""
        return sum(status.state == state for status in self.cells)


def study_status(plan: StudyPlan, out: Path) -> list[CellStatus]:
    """Return the state of every cell of `plan` in the folder `out`, computing nothing."""
    folder = StudyFolder(out)
    index = CellIndex(plan, folder)
    return [_status(plan, folder, index, cell) for cell in plan_cells(plan)]


def kept_cells(cells: Sequence[CellStatus], folder: StudyFolder) -> list[Cell]:
    """Return the probes that are done, if features are still there: theirs are taken to be."""
    if not any(folder.features.glob("*/manifest.json")):
        return []
    return [s.cell for s in cells if s.state == "done" and not s.cell.is_pretraining]


def read_last_plan(out: Path) -> StudyPlan:
    """Return the plan that a study's folder was run with last.

    Raises:
        StoreError: there is none, or it is not of this version.
    """
    path = StudyFolder(out).plan
    if not path.is_file():
        raise StoreError(f"{out} holds no study that was run; name its file, or another folder.")
    plan, mistakes = read_record(StudyPlan, read_json(path))
    if plan is None:
        raise StoreError(f"{path} is of another version ({mistakes[0]}); name the study's file.")
    return plan


def progress(plan: StudyPlan, out: Path, now: float | None = None) -> Progress:
    """Return how a study goes: by its own clock, the costs and times in its rows.

    The time left follows from what cells of the same task took so far, or of the same kind where
    none of the task is done, at the speed of this run: how much work it does in an hour, over all
    of its workers, cells that run counted as far as they are. What a pre-training run did before
    this run began is no work of this one.

    Args:
        plan: the study.
        out: its folder.
        now: seconds since 1970.
    """
    folder = StudyFolder(out)
    cells = study_status(plan, out)
    done = _done(plan, folder, cells)
    began = folder.plan.stat().st_mtime if folder.plan.is_file() else 0.0
    recent = [took for took in done.values() if took.ended >= began]
    last = max((took.ended for took in recent), default=began)
    now = time.time() if now is None else now
    spent = {
        status.cell: max(0.0, now - max(began, _modified(_claim(folder, status.cell), now)))
        for status in cells
        if status.state == "running"
    }
    elapsed = max(now if spent else last, last) - began
    worked = sum(min(took.seconds, took.ended - began) for took in recent) + sum(spent.values())
    left = {
        status.cell: spent.get(status.cell, 0.0)
        for status in cells
        if status.state in ("to do", "running")
    }
    return Progress(
        cells=tuple(cells),
        finished=len(recent),
        per_hour=3600 * len(recent) / elapsed if elapsed > 0 else 0.0,
        seconds_left=_left(left, done, worked / elapsed if elapsed > 0 else 0.0),
    )


@dataclass(frozen=True)
class _Took:
    seconds: float
    ended: float


def _status(plan: StudyPlan, folder: StudyFolder, index: CellIndex, cell: Cell) -> CellStatus:
    if _is_done(plan, folder, index, cell):
        return CellStatus(cell, "done")
    if _is_held(_claim(folder, cell)):
        return CellStatus(cell, "running")
    try:
        record = (folder.errors / cell.file_name).read_text(encoding="utf-8")
    except FileNotFoundError:
        return CellStatus(cell, "to do")
    return CellStatus(cell, "failed", record.partition("\n")[0])


def _is_done(plan: StudyPlan, folder: StudyFolder, index: CellIndex, cell: Cell) -> bool:
    if cell.is_pretraining:
        return _card(plan, folder, cell).is_file()
    rows = index.rows[cell]
    return bool(rows) and all((folder.results / f"{row}.json").is_file() for row in rows)


def _card(plan: StudyPlan, folder: StudyFolder, cell: Cell) -> Path:
    """Return what a pre-training run writes last."""
    return run_folder(plan, folder, cell.encoder) / "card.json"


def _claim(folder: StudyFolder, cell: Cell) -> Path:
    """Return the lock that a worker holds, made or touched when it took the cell."""
    return folder.claims / f"{cell.file_name}.lock"


def _is_held(path: Path) -> bool:
    """Say whether a worker holds a cell. Workers wait for a lock; this one is let go at once.

    A study that ends removes its locks, perhaps at this moment.
    """
    try:
        file = path.open()
    except FileNotFoundError:
        return False
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
    return False


def _modified(path: Path, default: float) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return default


def _done(plan: StudyPlan, folder: StudyFolder, cells: Sequence[CellStatus]) -> dict[Cell, _Took]:
    """Return what each cell that is done took, and when it ended."""
    index = CellIndex(plan, folder)
    found = {}
    for status in cells:
        if status.state == "done" and status.cell.is_pretraining:
            card = _card(plan, folder, status.cell)
            seconds = _numbers(card.with_name("cost.json")).get("seconds", 0.0)
            found[status.cell] = _Took(float(seconds), card.stat().st_mtime)
        elif status.state == "done":
            rows = (read_row(folder.results / f"{row}.json") for row in index.rows[status.cell])
            found[status.cell] = _joined(rows)
    return found


def _joined(rows: Iterator[ResultRow]) -> _Took:
    parts = [(row.cost.seconds, datetime.fromisoformat(row.time).timestamp()) for row in rows]
    taken, ends = zip(*parts, strict=True)
    return _Took(sum(taken), max(ends))


def _numbers(path: Path) -> dict[str, Any]:
    """Return what a file of facts holds; nothing if it is not there."""
    return dict(read_json(path)) if path.is_file() else {}


def _left(left: Mapping[Cell, float], done: Mapping[Cell, _Took], speed: float) -> float | None:
    """Return seconds until all that are left are done; `left` says what each has had so far."""
    if not left:
        return 0.0
    expected = {cell: _expected(cell, done) for cell in left}
    if speed <= 0 or None in expected.values():
        return None
    return sum(max(0.0, (expected[cell] or 0.0) - spent) for cell, spent in left.items()) / speed


def _expected(cell: Cell, done: Mapping[Cell, _Took]) -> float | None:
    """Return the mean seconds of cells of the same task, else of the same kind."""
    alike = [took.seconds for other, took in done.items() if other.task == cell.task]
    if not alike and not cell.is_pretraining:
        alike = [took.seconds for other, took in done.items() if not other.is_pretraining]
    return sum(alike) / len(alike) if alike else None
