"""How one cell is computed, and whether it is there already; engines decide only where and when."""

import time
import traceback
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vireo.digest import digest
from vireo.errors import TrainingError, VireoError
from vireo.files import write_bytes
from vireo.records import ProbeSettings, StudyPlan
from vireo.store.folder import StudyFolder
from vireo.store.results import ResultStore
from vireo.study.cells import Cell, encoder_spec, run_folder, task_of
from vireo.study.reference import known_settings, settings_of

if TYPE_CHECKING:
    from vireo.devices import Compute
    from vireo.encoders.encoder import Encoder


@dataclass(frozen=True)
class Outcome:
    """What became of a cell.

    Attributes:
        rows: digests of its result rows; empty for pre-training.
        computed: False where all was there already.
        error: one sentence; empty if it went well.
    """

    cell: Cell
    rows: tuple[str, ...] = ()
    computed: bool = True
    seconds: float = 0.0
    error: str = ""


class Worker:
    """Computes cells of one plan, keeping the last encoder open for its next task.

    Args:
        plan: the study.
        folder: where it is kept.
        compute: where to compute.
        workers: processes that load images.

    Attributes:
        settings: of tasks whose reference encoder has chosen, by the task's name.
    """

    def __init__(
        self, plan: StudyPlan, folder: StudyFolder, compute: "Compute", workers: int = 0
    ) -> None:
        self.plan, self.folder, self.compute, self.workers = plan, folder, compute, workers
        self.settings: dict[str, ProbeSettings] = {}
        self._open: tuple[str, Encoder] | None = None

    def attempt(self, cell: Cell) -> Outcome:
        """Compute `cell` if it is missing; an error is written down, not raised."""
        start = time.perf_counter()
        record = self.folder.errors / cell.file_name
        try:
            rows, computed = self._run(cell)
        except Exception as error:  # noqa: BLE001  one failing cell must not stop the others
            sentence = _sentence(error)
            text = f"{cell.name}: {sentence}\n\n{''.join(traceback.format_exception(error))}"
            write_bytes(record, text.encode())
            return Outcome(cell, seconds=time.perf_counter() - start, error=sentence)
        record.unlink(missing_ok=True)
        return Outcome(cell, rows, computed, time.perf_counter() - start)

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
        pretrain(settings, run, compute=self.compute, workers=self.workers or None)
        return True

    def _probe(self, cell: Cell) -> tuple[tuple[str, ...], bool]:
        from vireo.probe import probe

        settings = settings_of(self, cell.task)
        rows, missing = self._missing(cell)
        if missing:
            probe(
                self.encoder(cell.encoder),
                task_of(self.plan, cell),
                settings,
                store=self.folder.root,
                compute=self.compute,
                workers=self.workers,
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


def _sentence(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    text = lines[0] if lines else "no message"
    return text if isinstance(error, VireoError) else f"{type(error).__name__}: {text}"
