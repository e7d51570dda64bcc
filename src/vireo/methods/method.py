"""What every pre-training algorithm offers to the loop."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from torch import Tensor, nn

from vireo.data.batch import ViewBatch
from vireo.data.views.recipe import ViewRecipe
from vireo.encoders.encoder import Encoder
from vireo.records import OptimizerSettings


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Where a run is, as methods and schedules see it.

    Attributes:
        step, num_steps: optimiser steps done, and in the whole run.
        epoch: epochs done, as an integer; num_epochs in the whole run.
        digest: names the run; what a step draws at random is seeded by it and by `step`.
    """

    step: int
    num_steps: int
    epoch: int
    num_epochs: int
    digest: str = ""

    @property
    def fraction(self) -> float:
        """Share of the run that is done, in [0, 1]."""
        return self.step / self.num_steps


@dataclass(frozen=True, kw_only=True)
class Losses:
    """What one forward gives.

    Attributes:
        total: the scalar to differentiate, float32.
        terms: named scalars to log (detached): parts of the loss, similarities, usage of
            prototypes.
        features: detached pooled features of one view [batch, dim], for the collapse monitors.
        pending: tensors that `after_step` will put into queues, banks or centres. Forward itself
            changes no state but batch-norm statistics, so that a failed step can be repeated. The
            first axis is the examples', or of length 1 for a mean over them: the loop joins the
            rows of all parts of the batch, and of all processes, before it hands them back.
    """

    total: Tensor
    terms: Mapping[str, Tensor]
    features: Tensor
    pending: Mapping[str, Tensor] = field(default_factory=dict)


class Method(nn.Module, ABC):
    """A pre-training algorithm around one encoder. Final classes only, one a file.

    The loop calls, in this order, every step: `before_step`, `forward`, backward, `after_backward`,
    the optimiser's step, `after_step`. All state lives in parameters and buffers (persistent), so
    `state_dict` resumes it exactly. A class is called as `Class(encoder, settings, num_examples=,
    num_classes=)`, under a generator that the caller has seeded: heads and queues start at random.

    Attributes:
        Settings: frozen dataclass of the method's own settings with its paper's defaults; it has
            an `image_size`.
        encoder: the network that is kept.
        views: recipe of the instance; depends on the settings.
        no_information: the loss of features that say nothing about the image.
        constant_rate: names of the modules whose learning rate does not follow the schedule.
        needs_first_pass: whether `first_pass` is called before the first step.
        batch_interaction: why the loss is not the mean of the losses of the batch's parts, which
            gradients therefore cannot be accumulated over; empty where it is.
        sync_batch_norm: whether batch norm is over the batch of all processes, as it was in the
            published runs, or over each process's own share.
    """

    Settings: ClassVar[type[Any]]
    constant_rate: ClassVar[tuple[str, ...]] = ()
    needs_first_pass: bool = False
    batch_interaction: ClassVar[str] = ""
    sync_batch_norm: bool = True
    encoder: Encoder
    views: ViewRecipe
    no_information: float

    @classmethod
    def check(
        cls, settings: Any, *, batch_size: int, num_examples: int, num_classes: int | None
    ) -> None:
        """Refuse, before any work, settings that cannot work with this batch and these images.

        Raises:
            SettingError: the rule that is broken, the values, and what to change.
        """

    @classmethod
    @abstractmethod
    def published_optimizer(cls, batch_size: int) -> OptimizerSettings:
        """Return the paper's optimiser, its rate scaled to `batch_size` by the paper's rule."""

    @abstractmethod
    def forward(self, batch: ViewBatch) -> Losses:
        """Return the losses; changes no state but batch-norm statistics."""

    def first_pass(self, batch: ViewBatch) -> None:
        """Take in a batch of the one pass over the images that precedes the first step.

        Nothing is learnt: no gradient is kept. A run that dies before its first checkpoint makes
        the pass again, with the same views.
        """

    def before_step(self, progress: Progress) -> None:
        """Update what the forward reads: momentum encoder, prototype norms."""

    def after_backward(self, progress: Progress) -> None:
        """Change gradients before the optimiser uses them: frozen prototypes, clipping."""

    def after_step(self, progress: Progress, pending: Mapping[str, Tensor]) -> None:
        """Store what the step produced: queue, bank, centre; `pending` is of all processes."""
