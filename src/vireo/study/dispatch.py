"""Which cell runs next, and where: the order of a study on many workers. Knows no cluster.

- A cell waits for what it reads: the pre-training of its encoder and, under "reference", the
  reference encoder's answer to the same task. Of two names for the same weights the second waits
  for the first, and finds its rows.
- One worker at a time goes through an encoder's cells, so that weights are opened once. The
  first cell of an encoder on a set of images encodes them; others of the same set wait for that.
- Features that lie on a machine's own disk are read there: their cells go to that machine.
- A cell whose worker died is tried again, the last time with no other cell beside it: that is what
  helps where the memory of the machine was at its end. A cell that fails is not: it would fail
  again.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from vireo.records import StudyPlan
from vireo.study.cells import Cell, alike, image_sets
from vireo.study.reference import is_chosen_by_one
from vireo.study.resources import Need
from vireo.study.work import Outcome

Lane = Literal["pretraining", "probing", "alone"]
LANES: tuple[Lane, ...] = ("pretraining", "probing", "alone")
"""First to last. "alone": the cell runs when no other does, and may take a whole GPU."""
TRIES = 3
"""How often a cell is begun before its dying workers count as a failure."""

Share = tuple[str, str]
"""An encoder and a set of images: what one pass encodes."""


@dataclass(frozen=True)
class Seat:
    """A worker, and the machine it runs on."""

    worker: int
    machine: str


class Dispatch:
    """The cells that are left, and who is at work on which.

    Args:
        plan: the study.
        cells: those to run, in the order in which they are preferred.
        local: whether features lie on the machines' own disks.

    Attributes:
        left: cells without an outcome.
    """

    def __init__(self, plan: StudyPlan, cells: Sequence[Cell], *, local: bool = False) -> None:
        self.left = len(cells)
        self._local = local
        self._sets = {task: key for key, tasks in image_sets(plan).items() for task in tasks}
        self._waits = _dependencies(plan, cells)
        self._frees: dict[Cell, list[Cell]] = defaultdict(list)
        self._ready: dict[Lane, dict[str, dict[Cell, None]]] = {lane: {} for lane in LANES}
        self._running: dict[Cell, Seat] = {}
        self._alone: set[Cell] = set()
        self._losses: Counter[Cell] = Counter()
        self._encoding: dict[Share, Cell] = {}
        self._homes: dict[Share, str] = {}
        self._last: dict[Seat, str] = {}
        for cell in cells:
            for needed in self._waits[cell]:
                self._frees[needed].append(cell)
            if not self._waits[cell]:
                self._queue(cell)

    def ready(self, lane: Lane) -> int:
        """Return how many cells of a lane could run now, if there were workers."""
        if lane == "alone" and (self._running or self.ready("pretraining") + self.ready("probing")):
            return 0
        found = sum(map(len, self._ready[lane].values()))
        return min(found, 1) if lane == "alone" else found

    def take(self, lane: Lane, seat: Seat) -> Cell | None:
        """Return the cell that the worker at `seat` is to run, or None if it has to wait."""
        if not self.ready(lane):
            return None
        self._last.setdefault(seat, "")
        waiting = self._ready[lane]
        for encoder in sorted(waiting, key=lambda name: self._distance(name, seat)):
            for cell in waiting[encoder]:
                if self._is_free(cell, seat):
                    self._start(lane, cell, seat)
                    return cell
        return None

    def done(self, outcome: Outcome) -> None:
        """Note that a cell has its outcome; those that waited for it are free."""
        cell = outcome.cell
        self._leave(cell, failed=bool(outcome.error))
        self.left -= 1
        for waiting in self._frees.pop(cell, ()):
            self._waits[waiting].remove(cell)
            if not self._waits[waiting]:
                self._queue(waiting)

    def lost(self, cell: Cell) -> bool:
        """Note that the worker of `cell` died; return False if it is not worth another try."""
        self._leave(cell, failed=True)
        self._losses[cell] += 1
        if self._losses[cell] >= TRIES:
            return False
        if self._losses[cell] == TRIES - 1:
            self._alone.add(cell)
        self._queue(cell, first=True)
        return True

    def alone(self, cell: Cell) -> bool:
        """Try a cell again with nothing beside it; return False if that is how it failed."""
        if cell in self._alone:
            return False
        self._leave(cell, failed=True)
        self._alone.add(cell)
        self._queue(cell)
        return True

    def gone(self, seat: Seat) -> None:
        """Note that a worker left; features on a machine without workers are out of reach."""
        self._last.pop(seat, None)
        if self._local and all(other.machine != seat.machine for other in self._last):
            self._homes = {s: home for s, home in self._homes.items() if home != seat.machine}

    def _queue(self, cell: Cell, *, first: bool = False) -> None:
        bucket = self._ready[self._lane(cell)].setdefault(_group(cell), {})
        others = list(bucket) if first else []
        bucket[cell] = None
        for other in others:  # a dict keeps the order of insertion
            bucket[other] = bucket.pop(other)

    def _lane(self, cell: Cell) -> Lane:
        if cell in self._alone:
            return "alone"
        return "pretraining" if cell.is_pretraining else "probing"

    def _share(self, cell: Cell) -> Share | None:
        return None if cell.is_pretraining else (cell.encoder, self._sets[cell.task])

    def _is_free(self, cell: Cell, seat: Seat) -> bool:
        """Say whether the images of a cell are encoded where `seat` sees it, or nowhere yet."""
        share = self._share(cell)
        if share is None:
            return True
        home = self._home(seat)
        return share not in self._encoding and self._homes.get(share, home) == home

    def _home(self, seat: Seat) -> str:
        return seat.machine if self._local else ""

    def _distance(self, encoder: str, seat: Seat) -> int:
        """Return how willingly a worker takes up an encoder: 0 for the one it has open."""
        if self._last[seat] == encoder:
            return 0
        users = [user for user, name in self._last.items() if name == encoder]
        here = any(user.machine == seat.machine for user in users)
        at_work = any(running.encoder == encoder for running in self._running)
        return 1 + 2 * at_work + (bool(users) and not here)

    def _start(self, lane: Lane, cell: Cell, seat: Seat) -> None:
        group = _group(cell)
        del self._ready[lane][group][cell]
        if not self._ready[lane][group]:
            del self._ready[lane][group]
        self._running[cell] = seat
        self._last[seat] = group
        share = self._share(cell)
        if share is not None and share not in self._homes:
            self._homes[share] = self._home(seat)
            self._encoding[share] = cell

    def _leave(self, cell: Cell, *, failed: bool) -> None:
        """Take a cell off its worker; where the one that encodes fails, another has to."""
        self._running.pop(cell, None)
        share = self._share(cell)
        if share is not None and self._encoding.get(share) == cell:
            del self._encoding[share]
            if failed:
                del self._homes[share]


def _group(cell: Cell) -> str:
    """Return the encoder that a cell has open; a pre-training run has none."""
    return "" if cell.is_pretraining else cell.encoder


def _dependencies(plan: StudyPlan, cells: Sequence[Cell]) -> dict[Cell, set[Cell]]:
    """Return what each cell waits for."""
    chooser = plan.probe.reference if is_chosen_by_one(plan) else ""
    first = alike(plan, (cell.encoder for cell in cells if not cell.is_pretraining))
    known = set(cells)

    def needed(cell: Cell) -> set[Cell]:
        if cell.is_pretraining:
            return set()
        chosen = {Cell(chooser, cell.task)} if chooser else set()
        same = Cell(first[cell.encoder], cell.task)
        return ({Cell(cell.encoder), same} | chosen) & known - {cell}

    return {cell: needed(cell) for cell in cells}


def needs(device: str, cores: int, share: float | None) -> dict[Lane, Need]:
    """Return what a worker of each lane takes of its machine.

    Args:
        device: that the study computes on.
        cores: of each worker.
        share: of a GPU, for probing; None for a whole one, where the study computes on GPUs.
    """
    if share is None:
        share = 1.0 if device.startswith("cuda") else 0.0
    whole = Need(cores, 1.0 if share else 0.0)
    return {"pretraining": whole, "probing": Need(cores, share), "alone": whole}
