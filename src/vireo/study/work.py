"""How one cell is computed, and whether it is there already; engines decide only where and when."""

import os
import platform
import time
import traceback
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from vireo.digest import digest
from vireo.errors import NoSpaceError, TrainingError, VireoError
from vireo.files import is_full, lock, write_bytes
from vireo.records import ProbeSettings, StudyPlan
from vireo.store.folder import StudyFolder
from vireo.store.results import ResultStore
from vireo.study.cells import Cell, encoder_spec, run_folder, task_of, tasks_beside
from vireo.study.reference import known_settings, settings_of

if TYPE_CHECKING:
    from vireo.devices import Compute
    from vireo.encoders.encoder import Encoder


CLAIM_SECONDS = 300.0
"""How long a cell waits for another process that has it: the worker of a driver that died."""


@dataclass(frozen=True)
class Outcome:
    """What became of a cell.

    Attributes:
        rows: digests of its result rows; empty for pre-training.
        computed: False where all was there already.
        error: one sentence; empty if it went well.
        out_of_memory: whether it failed because a GPU's memory was at its end.
    """

    cell: Cell
    rows: tuple[str, ...] = ()
    computed: bool = True
    seconds: float = 0.0
    error: str = ""
    out_of_memory: bool = False


class Worker:
    """Computes cells of one plan, keeping the last encoder open for its next task.

    Args:
        plan: the study.
        folder: where it is kept.
        compute: where to compute.
        workers: processes that load images.

    Attributes:
        shares_machine: whether other workers compute beside this one. If not, pre-training takes
            as many loading processes as the machine has cores for.
        settings: of tasks whose reference encoder has chosen, by the task's name.
    """

    def __init__(
        self, plan: StudyPlan, folder: StudyFolder, compute: "Compute", workers: int = 0
    ) -> None:
        self.plan, self.folder, self.compute, self.workers = plan, folder, compute, workers
        self.shares_machine = False
        self.settings: dict[str, ProbeSettings] = {}
        self._open: tuple[str, Encoder] | None = None

    @property
    def cores(self) -> int:
        """How many cores it keeps busy: one a thread, and one a process that loads images."""
        return self.compute.threads + self.workers

    def attempt(self, cell: Cell) -> Outcome:
        """Compute `cell` if it is missing; an error is written down, not raised.

        One process at a time has a cell: whoever comes second waits, and then finds it done.

        Raises:
            NoSpaceError: the disk is full, which is no fault of the cell: the others would fail.
        """
        start = time.perf_counter()
        try:
            with lock(self._claim(cell), f"the cell {cell.name}", wait_seconds=CLAIM_SECONDS):
                os.utime(self._claim(cell))  # since when, for `study status`
                rows, computed = self._run(cell)
        except Exception as error:  # noqa: BLE001  one failing cell must not stop the others
            sentence = self._note(cell, error)
            seconds = time.perf_counter() - start
            return Outcome(
                cell, seconds=seconds, error=sentence, out_of_memory=self._is_memory(error)
            )
        forget_failure(self.folder, cell)
        return Outcome(cell, rows, computed, time.perf_counter() - start)

    def _claim(self, cell: Cell) -> Path:
        return self.folder.claims / f"{cell.file_name}.lock"

    def _note(self, cell: Cell, error: Exception) -> str:
        """Write down why a cell failed, and return the sentence."""
        if isinstance(error, NoSpaceError):
            raise error
        if is_full(error):
            raise NoSpaceError(f"{cell.name}: {error}. Free some space and run again.") from error
        sentence = _sentence(error)
        note_failure(self.folder, cell, sentence, "".join(traceback.format_exception(error)))
        return sentence

    def _is_memory(self, error: Exception) -> bool:
        """Say whether a GPU's memory was at its end; if so, free what this process holds."""
        import torch

        if not isinstance(error, torch.OutOfMemoryError):
            return False
        self._open = None
        torch.cuda.empty_cache()
        return True

    def is_done(self, cell: Cell) -> bool:
        """Say whether all of `cell` is on disk; rows are named by weights, so this opens them."""
        if cell.is_pretraining:
            return self._finished(cell.encoder)
        return self.can_open(cell.encoder) and not self._missing(cell)[1]

    def can_open(self, name: str) -> bool:
        """Say whether an encoder has its weights here: pre-trained, or fetched."""
        if name in self.plan.pretrain:
            return self._finished(name)
        return self._is_here(name)

    def _run(self, cell: Cell) -> tuple[tuple[str, ...], bool]:
        return ((), self._pretrain(cell)) if cell.is_pretraining else self._probe(cell)

    def _pretrain(self, cell: Cell) -> bool:
        from vireo.pretrain import pretrain

        if self._finished(cell.encoder):
            return False
        run = run_folder(self.plan, self.folder, cell.encoder)
        settings = self.plan.pretrain[cell.encoder]
        workers = self.workers if self.workers or self.shares_machine else None
        pretrain(settings, run, compute=self.compute, workers=workers)
        return True

    def _probe(self, cell: Cell) -> tuple[tuple[str, ...], bool]:
        from vireo.probe import probe

        settings = settings_of(self, cell)
        rows, missing = self._missing(cell)
        if missing:
            probe(
                self.encoder(cell.encoder),
                task_of(self.plan, cell),
                settings,
                store=self.folder,
                compute=self.compute,
                workers=self.workers,
                beside=tasks_beside(self.plan, cell),
            )
        return rows, missing

    def _missing(self, cell: Cell) -> tuple[tuple[str, ...], bool]:
        """Return the digests of the cell's rows, and whether one of them is missing."""
        from vireo.probe import row_keys

        settings = known_settings(self, cell.task)
        if settings is None:
            return (), True
        store = ResultStore(self.folder.results)
        keys = row_keys(self.encoder(cell.encoder), task_of(self.plan, cell), settings)
        return tuple(map(digest, keys)), not all(map(store.has, keys))

    def encoder(self, name: str) -> "Encoder":
        """Open the encoder called `name`, frozen; the last one stays open."""
        from vireo.encoders import open_encoder

        if name in self.plan.pretrain and not self._finished(name):
            raise TrainingError(f"'{name}' has no weights: its pre-training did not finish.")
        if self._open is None or self._open[0] != name:
            self._open = None  # frees the last one before the next takes memory
            self._open = (name, open_encoder(encoder_spec(self.plan, self.folder, name)).freeze())
        return self._open[1]

    def _is_here(self, name: str) -> bool:
        """Say whether an encoder can be opened without fetching its file first."""
        from vireo.encoders.published import is_here

        return is_here(encoder_spec(self.plan, self.folder, name))

    def _finished(self, name: str) -> bool:
        from vireo.pretrain.folder import is_finished

        return is_finished(run_folder(self.plan, self.folder, name))


def note_failure(folder: StudyFolder, cell: Cell, sentence: str, details: str = "") -> None:
    """Write down that a cell failed: the sentence first, then where, and how it came to it."""
    where = f"on {platform.node()}, {datetime.now(UTC).isoformat(timespec='seconds')}"
    first = " ".join(f"{cell.name}: {sentence}".splitlines())
    text = f"{first}\n\n{where}\n{details}"
    write_bytes(folder.errors / cell.file_name, text.encode())


def forget_failure(folder: StudyFolder, cell: Cell) -> None:
    """Remove what an earlier try of a cell wrote down."""
    (folder.errors / cell.file_name).unlink(missing_ok=True)


def _sentence(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    text = lines[0] if lines else "no message"
    return text if isinstance(error, VireoError) else f"{type(error).__name__}: {text}"
