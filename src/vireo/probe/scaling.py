"""The scale of what heads read and of what they answer."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class Standardiser:
    """Shift and scale of numbers; one that never changes is only shifted."""

    mean: Float[Tensor, "*dim"]
    deviation: Float[Tensor, "*dim"]

    @classmethod
    def fit(cls, values: Float[Tensor, "n *dim"]) -> "Standardiser":
        """Measure values, in float64."""
        deviation, mean = torch.std_mean(values.double(), dim=0, correction=0)
        deviation = torch.where(deviation > 1e-12 * mean.abs().clamp(min=1), deviation, 1.0)
        return cls(mean.float(), deviation.float())

    @classmethod
    def identity(cls, values: Float[Tensor, "n *dim"]) -> "Standardiser":
        """Leave values as they are."""
        return cls(torch.zeros_like(values[0]), torch.ones_like(values[0]))

    def __call__(self, values: Float[Tensor, "n *dim"]) -> Float[Tensor, "n *dim"]:
        """Return (values - mean) / deviation."""
        return (values - self.mean) / self.deviation

    def undo(self, values: Float[Tensor, "n *dim"]) -> Float[Tensor, "n *dim"]:
        """Return what was standardised."""
        return values * self.deviation + self.mean


@dataclass(frozen=True)
class Scales:
    """The scales of a task's features, and of the numbers of a regression."""

    features: Standardiser
    targets: Standardiser | None

    @classmethod
    def of(
        cls, features: Float[Tensor, "n frames dim"], targets: Tensor, *, standardise: bool
    ) -> "Scales":
        """Measure what heads are fitted on, or leave it as it is; classes have no scale."""
        measure = Standardiser.fit if standardise else Standardiser.identity
        return cls(measure(features), measure(targets) if targets.is_floating_point() else None)

    def scaled(self, targets: Tensor) -> Tensor:
        """Return targets as heads are trained on them."""
        return targets if self.targets is None else self.targets(targets)

    def answered(self, predictions: Float[Tensor, "n outputs"]) -> Tensor:
        """Return classes int64 [n], or numbers in the target's unit float32 [n, outputs]."""
        return predictions.argmax(1) if self.targets is None else self.targets.undo(predictions)
