"""The cells of a study: what there is to compute, what it is called, and where it is kept."""

import re
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from vireo.digest import digest
from vireo.errors import StoreError
from vireo.files import read_json, write_json
from vireo.records import EncoderSpec, PretrainSettings, StudyPlan, Task
from vireo.store.folder import StudyFolder
from vireo.study.plan import encoder_names

WRITE_SECONDS = 1.0
"""Time between two versions of the index: each is one file, and waits for the disk."""


@dataclass(frozen=True)
class Cell:
    """One pre-training run (`task` is empty), or one encoder on one task, all seeds."""

    encoder: str
    task: str = ""

    @property
    def is_pretraining(self) -> bool:
        """Whether this cell makes an encoder."""
        return not self.task

    @property
    def name(self) -> str:
        """What messages and tables call it."""
        return f"{self.encoder} x {self.task}" if self.task else f"pretrain {self.encoder}"

    @property
    def file_name(self) -> str:
        """A file name: readable, and distinct for distinct cells."""
        readable = re.sub(r"[^A-Za-z0-9._+-]+", "-", self.name).strip(".-")[:80]
        return f"{readable}-{digest(self)[:6]}.txt"


def plan_cells(plan: StudyPlan) -> list[Cell]:
    """Return all cells in the order they run: pre-training first, then encoder by encoder.

    An encoder's tasks are neighbours, so that it is opened once, and so are tasks on the same
    images, so that stored features are still in memory. The reference encoder's come first: the
    others wait for what it chooses.
    """
    names = sorted(encoder_names(plan), key=lambda name: name != plan.probe.reference)
    tasks = [name for together in image_sets(plan).values() for name in together]
    return [*map(Cell, plan.pretrain), *(Cell(name, task) for name in names for task in tasks)]


def image_sets(plan: StudyPlan) -> dict[str, list[str]]:
    """Return the tasks that each set of images serves, which an encoder sees once."""
    found: dict[str, list[str]] = {}
    for task in plan.tasks:
        found.setdefault(digest(task.dataset, task.input_size), []).append(task.name)
    return found


def table_cells(plan: StudyPlan) -> list[Cell]:
    """Return the cells that have rows, in the order in which tables show them."""
    return [Cell(name, task.name) for name in encoder_names(plan) for task in plan.tasks]


def task_of(plan: StudyPlan, cell: Cell) -> Task:
    """Return the task that `cell` asks."""
    return next(task for task in plan.tasks if task.name == cell.task)


def tasks_beside(plan: StudyPlan, cell: Cell) -> tuple[Task, ...]:
    """Return the other tasks on the images of `cell`."""
    together = next(tasks for tasks in image_sets(plan).values() if cell.task in tasks)
    return tuple(task for task in plan.tasks if task.name in together and task.name != cell.task)


def run_folder(plan: StudyPlan, folder: StudyFolder, name: str) -> Path:
    """Return where the pre-training run called `name` is kept.

    The settings' digest is in the name: changed settings make another run beside the old one.
    """
    return folder.runs / f"{name}-{digest(plan.pretrain[name])[:8]}"


def encoder_spec(plan: StudyPlan, folder: StudyFolder, name: str) -> EncoderSpec:
    """Return how to open the encoder called `name`: as the plan says, or from its run."""
    if name in plan.pretrain:
        return EncoderSpec(
            spec=f"run:{run_folder(plan, folder, name)}",
            name=name,
            architecture=plan.pretrain[name].architecture,
        )
    return next(spec for spec in plan.encoders if spec.name == name)


def alike(plan: StudyPlan, names: Iterable[str]) -> dict[str, str]:
    """Return for each encoder the first that is made in the same way: they have the same rows."""
    first: dict[str, str] = {}
    return {name: first.setdefault(_weights(_made_by(plan, name)), name) for name in names}


def _weights(made: PretrainSettings | EncoderSpec) -> str:
    """Return a digest of what decides an encoder's rows; what tables call it does not."""
    if isinstance(made, EncoderSpec):
        made = replace(made, name="", method="", pretraining_set="")
    return digest(made)


def identity(plan: StudyPlan, cell: Cell) -> str:
    """Return the digest of what the plan says of `cell`: unchanged means its rows may be kept."""
    reference = plan.probe.reference
    chosen_by = [_made_by(plan, reference)] if reference else []
    return digest(_made_by(plan, cell.encoder), task_of(plan, cell), plan.probe, *chosen_by)


def _made_by(plan: StudyPlan, name: str) -> PretrainSettings | EncoderSpec:
    """Return what the plan says of an encoder."""
    if name in plan.pretrain:
        return plan.pretrain[name]
    return next(spec for spec in plan.encoders if spec.name == name)


class CellIndex:
    """Which rows belong to which cell: `cells.json`, kept up to date while a study runs.

    Args:
        plan: what the study asks for.
        folder: where it is kept; entries there of cells that did not change are taken over.
    """

    def __init__(self, plan: StudyPlan, folder: StudyFolder) -> None:
        self._path = folder.cells
        old = _known_rows(folder.cells)
        self.rows: dict[Cell, tuple[str, ...]] = {}
        self._identities: dict[Cell, str] = {}
        self._written = 0.0
        for cell in table_cells(plan):
            self._identities[cell] = identity(plan, cell)
            self.rows[cell] = tuple(old.get(self._identities[cell], ()))

    def put(self, cell: Cell, rows: Sequence[str]) -> None:
        """Note the digests of a finished cell's rows; `write` when the last one is noted.

        The index is written now and then. What a killed process noted since is on disk as rows, and
        the next run finds it there.
        """
        self.rows[cell] = tuple(rows)
        if time.monotonic() - self._written > WRITE_SECONDS:
            self.write()

    def write(self) -> None:
        """Write the index, atomically."""
        self._written = time.monotonic()
        write_json(
            self._path,
            [
                {
                    "encoder": cell.encoder,
                    "task": cell.task,
                    "identity": self._identities[cell],
                    "rows": list(rows),
                }
                for cell, rows in self.rows.items()
            ],
        )


def _known_rows(path: Path) -> dict[str, list[str]]:
    """Return identity to rows of an index that is there.

    Raises:
        StoreError: a file of another kind.
    """
    entries = read_json(path) if path.is_file() else []
    try:
        return {entry["identity"]: list(entry["rows"]) for entry in entries}
    except (KeyError, TypeError) as error:
        raise StoreError(
            f"{path} is not as a study leaves it; delete it, the next run writes it again."
        ) from error
