"""The interface of a metric, and the arithmetic that all share."""

from abc import ABC, abstractmethod
from collections.abc import Mapping

import numpy as np
import torch
from jaxtyping import Bool, Float64, Shaped
from torch import Tensor

Outcomes = Mapping[str, np.ndarray]


class Metric(ABC):
    """One metric; final classes only, constructed with the task's number of outputs.

    Attributes:
        losses: the catalogue's losses that train for it, the usual one first.
        classes: whether answers are class codes (the largest logit) or the prediction itself.
        dense: whether there is an answer for every pixel.
        channels: outputs that it needs; None means any number.
        higher_is_better: of the value.
    """

    losses: tuple[str, ...]
    classes: bool
    dense: bool
    channels: int | None
    higher_is_better: bool

    def __init__(self, outputs: int) -> None:
        self.outputs = outputs

    @abstractmethod
    def outcomes(
        self, answer: Tensor, target: Tensor, valid: Bool[Tensor, "..."] | None = None
    ) -> dict[str, Tensor]:
        """Return what each example of a batch leaves, on the batch's device.

        Args:
            answer: as `target`: class codes int64 [batch, *size], or numbers [batch, channels,
                *size].
            target: as a `Batch` has it.
            valid: [batch, *size] or [batch, 1, *size]; where it is false the target may be anything
                (NaN, a void code).
        """

    @abstractmethod
    def statistics(self, outcomes: Outcomes) -> Float64[np.ndarray, "examples sums"]:
        """Return each example's terms of the sums that the value is made of."""

    @abstractmethod
    def value(self, sums: Float64[np.ndarray, "*batch sums"]) -> Float64[np.ndarray, "*batch"]:
        """Return the metric of summed statistics; NaN where nothing counted."""

    @abstractmethod
    def others(self, outcomes: Outcomes) -> dict[str, float]:
        """Return the further metrics of a split, each left out where it is undefined."""

    @abstractmethod
    def constant(self, targets: Shaped[np.ndarray, "count *channels"]) -> tuple[float, ...]:
        """Return the best constant answer to `targets`: one class code, or a number a channel.

        Args:
            targets: what counts, as `counted` gives it.
        """


def counted(target: Tensor, valid: Bool[Tensor, "..."] | None) -> Shaped[Tensor, "count *channels"]:
    """Return the targets that count, flat: class codes [n], or numbers [n, channels].

    Example:
        >>> depth = torch.tensor([[[[1.0, 2.0]]]])
        >>> counted(depth, torch.tensor([[[[False, True]]]])).tolist()
        [[2.0]]
    """
    if target.is_floating_point():
        target = target.movedim(1, -1)
        valid = None if valid is None else valid[:, 0]
    place = target.shape if not target.is_floating_point() else target.shape[:-1]
    if valid is None:
        valid = torch.ones(place, dtype=torch.bool, device=target.device)
    return target[valid]


def constant_like(constant: tuple[float, ...], target: Tensor) -> Tensor:
    """Return the answer `constant` to every place of a batch's target.

    Example:
        >>> constant_like((1.0, 2.0), torch.zeros(1, 2, 1, 1)).flatten().tolist()
        [1.0, 2.0]
    """
    if not target.is_floating_point():
        return torch.full_like(target, int(constant[0]))
    assert len(constant) == target.shape[1], "one number a channel"
    return target.new_tensor(constant).view(-1, *[1] * (target.dim() - 2)).expand_as(target)


def total(value: Tensor, where: Tensor | None = None) -> Float64[Tensor, " batch"]:
    """Sum each example in float64, over the places `where` only; others may hold NaN."""
    if where is not None:
        value = value.where(where, 0)
    return value.flatten(1).sum(1, dtype=torch.float64)


def doubles(answer: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Return both in float64; they must have one shape, or one would be broadcast."""
    assert answer.shape == target.shape, f"{answer.shape} against {target.shape}"
    return answer.double(), target.double()


def everywhere(valid: Tensor | None, target: Tensor) -> Bool[Tensor, "..."]:
    """Return `valid` for every number of `target`; None means all."""
    if valid is None:
        return torch.ones_like(target, dtype=torch.bool)
    return valid.expand_as(target)


def ratio(above: np.ndarray | np.generic, below: np.ndarray | np.generic) -> np.ndarray:
    """Divide in float64; NaN where `below` is 0."""
    above, below = np.asarray(above, np.float64), np.asarray(below, np.float64)
    found: np.ndarray = np.divide(above, below, out=np.full(below.shape, np.nan), where=below > 0)
    return found


def weighted(outcomes: Outcomes, name: str = "error") -> Float64[np.ndarray, "examples 2"]:
    """Return (sum, weight) of each example, from its mean and its weight."""
    weight = outcomes["weight"].astype(np.float64)
    return np.stack([outcomes[name].astype(np.float64) * weight, weight], axis=1)
