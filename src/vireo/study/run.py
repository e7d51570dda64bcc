"""Run what is missing of a study: every finished cell is kept, a killed run loses those at work.

Rows are named by digests of weights, task and protocol. A changed plan therefore computes only what
changed, and rows of the old plan stay where they are, outside the new plan's tables.
"""

import contextlib
import math
import shutil
import time
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from vireo.catalog import resolve
from vireo.console import say, warn
from vireo.digest import digest, plain
from vireo.errors import VireoError
from vireo.files import lock, remove_leftovers, write_json
from vireo.records import StudyPlan
from vireo.store.folder import StudyFolder
from vireo.study import ENGINES
from vireo.study.cells import Cell, CellIndex
from vireo.study.check import check_plan
from vireo.study.reference import agreement
from vireo.study.resources import Resources
from vireo.study.selection import part, select
from vireo.study.words import duration
from vireo.study.work import Outcome, Worker

if TYPE_CHECKING:
    from vireo.devices import Compute

Engine = Callable[[Sequence[Cell]], Generator[Outcome, None, None]]
_NAMED_TARGETS = ("class", "mask")
"""Targets whose codes a source's `class_names` name."""


def run_study(  # noqa: PLR0913 - what, where to, on what: none of these follows from another
    plan: StudyPlan,
    out: Path,
    *,
    compute: "Compute | None" = None,
    workers: int = 0,
    engine: str = "serial",
    resources: Resources | None = None,
    only: Sequence[str] = (),
) -> pd.DataFrame:
    """Compute the missing cells of `plan` and return the table of its rows.

    A failing cell is written to `out/errors` and told at the end; the others go on. The table then
    lacks its rows. A full disk stops the run: it is no fault of a cell.

    Args:
        plan: from `read_plan`, or made in Python.
        out: the study's folder.
        compute: where to compute; chosen for this machine if None.
        workers: processes that load images.
        engine: a name of `ENGINES` or a dotted path.
        resources: what the engine may use; one cell at a time on this machine if None.
        only: patterns of the cells to run (`selection.select`); all if there are none.

    Raises:
        SettingError: the plan cannot work; nothing was computed.
        StoreError: another process runs this study, or no machine can be had.
        NoSpaceError: the disk is full; what was finished is kept.
    """
    run_cells = resolve(ENGINES, engine, "engine")
    chosen = select(plan, only)
    resources = resources or Resources()
    folder = StudyFolder(out, resources.features)
    with lock(folder.lock, f"the study in {out}"):
        check_plan(part(plan, chosen), folder)
        _tidy(folder)
        worker = Worker(plan, folder, compute or _choose(), workers)
        write_json(folder.plan, plain(plan))
        write_json(folder.classes, class_names(plan))
        shutil.rmtree(folder.errors, ignore_errors=True)
        _run_cells(worker, chosen, lambda cells: run_cells(worker, cells, resources))
        shutil.rmtree(folder.claims, ignore_errors=True)
        table = _rows(worker)
        _tell_choices(plan, folder, set(table["digest"]))
        return table


def class_names(plan: StudyPlan) -> dict[str, list[str]]:
    """Return the class names of those tasks of `plan` whose dataset has one for each output.

    They are facts for people: neither a digest nor a number depends on them. Images that are not
    here belong to cells that are not run now.
    """
    from vireo.data import open_split

    found = {}
    for task in plan.tasks:
        if task.target not in _NAMED_TARGETS:
            continue
        try:
            names = open_split(task.dataset, "test").class_names
        except VireoError:
            continue
        if len(names) == task.outputs:
            found[task.name] = list(names)
        elif names:
            warn(f"task '{task.name}' has {task.outputs} outputs, its images {len(names)} classes.")
    return found


def _tidy(folder: StudyFolder) -> None:
    """Remove what killed runs left half written, long enough ago to be sure."""
    for place in (folder.root, folder.results, folder.features, folder.errors):
        remove_leftovers(place)


def _run_cells(worker: Worker, cells: Sequence[Cell], engine: Engine) -> None:
    index = CellIndex(worker.plan, worker.folder)
    index.write()
    clock = Clock(cells)
    outcomes: list[Outcome] = []
    try:
        # closed at once when interrupted: its workers stop before the lock is free
        with contextlib.closing(engine(cells)) as found:
            for outcome in found:
                outcomes.append(outcome)
                if not outcome.cell.is_pretraining:  # a failed cell's old rows may be outdated
                    index.put(outcome.cell, outcome.rows)
                if line := clock.line(outcome):
                    say(line)
    except KeyboardInterrupt:
        say(
            f"Stopped with {len(outcomes)} of {len(cells)} cells done; they are kept in "
            f"{worker.folder.root}. The same command goes on from there."
        )
        raise
    finally:
        index.write()
    _tell(outcomes, worker.folder)


class Clock:
    """Says what a cell took and how long the rest will take, by the mean of its kind so far.

    Several cells may run at a time: how much of them is done in a second is seen from their times.
    Cells that were there already take no time and give no estimate.
    """

    def __init__(self, cells: Sequence[Cell]) -> None:
        self._left = list(cells)
        self._total = len(cells)
        self._seconds: dict[bool, list[float]] = {True: [], False: []}
        self._began, self._worked = math.inf, 0.0

    def line(self, outcome: Outcome, now: float | None = None) -> str:
        """Return the line to print for `outcome`; empty for a cell that was there already."""
        self._left.remove(outcome.cell)
        if not outcome.computed:
            return ""
        now = time.monotonic() if now is None else now
        self._began = min(self._began, now - outcome.seconds)
        self._worked += outcome.seconds
        number = f"[{self._total - len(self._left)}/{self._total}]"
        if outcome.error:
            return f"{number} {outcome.cell.name}: FAILED: {outcome.error}"
        self._seconds[outcome.cell.is_pretraining].append(outcome.seconds)
        return f"{number} {outcome.cell.name}: {duration(outcome.seconds)}{self._rest(now)}"

    def _rest(self, now: float) -> str:
        known = {kind: sum(s) / len(s) for kind, s in self._seconds.items() if s}
        kinds = [cell.is_pretraining for cell in self._left]
        if not kinds or not known.keys() >= set(kinds):
            return ""
        speed = self._worked / max(now - self._began, 1e-9)
        return f", about {duration(sum(known[kind] for kind in kinds) / max(speed, 1e-9))} left"


def _tell(outcomes: Sequence[Outcome], folder: StudyFolder) -> None:
    failed = [outcome for outcome in outcomes if outcome.error]
    there = sum(not outcome.computed for outcome in outcomes)
    computed = len(outcomes) - there - len(failed)
    say(f"{computed} cells computed, {there} were there already, {len(failed)} failed.")
    for outcome in failed:
        warn(f"{outcome.cell.name}: {outcome.error} ({folder.errors / outcome.cell.file_name})")


def _tell_choices(plan: StudyPlan, folder: StudyFolder, digests: set[str]) -> None:
    """Say whether the reference encoder's choices would have been the others' own."""
    from vireo.store.results import ResultStore

    if plan.probe.protocol == "reference":
        rows = ResultStore(folder.results).rows()
        if said := agreement(row for row in rows if digest(row.key) in digests):
            say(said)


def _rows(worker: Worker) -> pd.DataFrame:
    from vireo.store.results import read_table

    index = CellIndex(worker.plan, worker.folder)
    wanted = {row for rows in index.rows.values() for row in rows}
    if not worker.folder.results.is_dir():
        worker.folder.results.mkdir(parents=True)
    table = read_table(worker.folder.results)
    return table[table["digest"].isin(wanted)].reset_index(drop=True)


def _choose() -> "Compute":
    from vireo.devices import choose

    return choose()
