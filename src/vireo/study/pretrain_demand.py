"""What a pre-training run takes: a step's operations at the rate of a pass forward and back."""

import time
from dataclasses import dataclass
from itertools import islice
from typing import Any

from vireo import devices
from vireo.data import Subset, load_views
from vireo.digest import digest
from vireo.errors import VireoError
from vireo.methods.cards import CARDS
from vireo.methods.method import Method
from vireo.pretrain.cost import step_flops
from vireo.pretrain.prepare import Run, prepare
from vireo.records import EncoderCard, PretrainSettings
from vireo.study.cells import Cell
from vireo.study.demand import Demand
from vireo.study.rates import Rates

_FLOAT32 = 4
_CHECKPOINTS = 2
_VIEWED = 32
"""Images whose views are made to see how long that takes."""


@dataclass(frozen=True)
class _Step:
    """One step of a method.

    Attributes:
        passes: forward and back, of one image of the encoder's size; None where a method cannot be
            counted.
        state, parameters: numbers that it keeps, and that are trained.
    """

    passes: float | None
    state: int
    parameters: int


class Runs:
    """Estimates pre-training runs; those that differ in images alone are counted once.

    Args:
        rates: of the machine.
    """

    def __init__(self, rates: Rates) -> None:
        self._rates = rates
        self._steps: dict[str, _Step] = {}
        self._views: dict[str, float] = {}

    def demand(self, cell: Cell, settings: PretrainSettings, card: EncoderCard) -> Demand:
        """Return what a run takes."""
        try:
            run = prepare(settings, self._rates.compute)
        except VireoError:
            return Demand(cell=cell, why="its images are not here")
        step = self._step(run, card)
        kept = _FLOAT32 * (_CHECKPOINTS * (step.state + step.parameters) + card.parameters)
        held = _FLOAT32 * (step.state + 2 * step.parameters)
        if step.passes is None:
            why = f"the operations of {settings.method} cannot be counted"
            return Demand(cell=cell, why=why, run_bytes=kept, memory_bytes=held)
        each = step.passes * self._rates.train(card)
        seconds = run.num_steps * (each + settings.batch_size * self._view(run))
        return Demand(cell=cell, seconds=seconds, run_bytes=kept, memory_bytes=held)

    def _step(self, run: Run, card: EncoderCard) -> _Step:
        settings = run.settings
        key = digest(settings.method, settings.options, settings.architecture)
        key += f" {settings.image_size} {settings.batch_size} {_examples(run)}"
        if key not in self._steps:
            method = run.build()
            flops = self._flops(method, settings.batch_size)
            self._steps[key] = _Step(
                passes=None if flops is None else flops / max(1, 3 * card.flops),
                state=sum(tensor.numel() for tensor in method.state_dict().values()),
                parameters=sum(p.numel() for p in method.parameters() if p.requires_grad),
            )
            if self._rates.measures and _kind(run) not in self._views:
                self._views[_kind(run)] = _view_seconds(run, method)
        return self._steps[key]

    def _flops(self, method: Method, batch_size: int) -> int | None:
        return step_flops(method.cpu(), batch_size) if self._rates.measures else 0

    def _view(self, run: Run) -> float:
        """Return seconds of all views of an image, shared by the machine's cores."""
        return self._views.get(_kind(run), 0.0) / devices.usable_cores()


def _examples(run: Run) -> int:
    """Return how many images a method keeps something of; 0 where it keeps nothing."""
    card: Any = CARDS.get(run.settings.method)
    return len(run.source) if card and "indices" in card.needs else 0


def _kind(run: Run) -> str:
    return f"{run.settings.method} {run.settings.image_size} {digest(run.settings.options)}"


def _view_seconds(run: Run, method: Method) -> float:
    """Return seconds in which one process decodes an image and makes its views."""
    rows = range(min(_VIEWED, len(run.source)))
    views = load_views(
        Subset(run.source, rows),
        method.views,
        seed_digest="rates",
        epoch=0,
        batch_size=max(1, len(rows) // 2),
        engine=run.engine,
        device="cpu",
        workers=0,
    )
    next(views)  # the first takes libraries and plans
    start = time.process_time()
    batches = sum(1 for _ in islice(views, 1))
    return (time.process_time() - start) / max(1, batches * (len(rows) // 2))
