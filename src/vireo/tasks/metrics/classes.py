"""One class an image: top-1, and counts told apart as classes."""

from typing import final

import numpy as np
from jaxtyping import Bool, Float64, Int64, Shaped
from torch import Tensor

from vireo.tasks.metrics.metric import Metric, Outcomes, ratio


class _Accuracy(Metric):
    """Share of examples whose largest logit is the true class."""

    losses, classes, dense, channels, higher_is_better = ("cross-entropy",), True, False, None, True

    def outcomes(
        self,
        answer: Int64[Tensor, " batch"],
        target: Int64[Tensor, " batch"],
        valid: Bool[Tensor, "..."] | None = None,
    ) -> dict[str, Tensor]:
        """Return `predicted`, `truth` and `correct`."""
        return {"predicted": answer, "truth": target, "correct": answer == target}

    def statistics(self, outcomes: Outcomes) -> Float64[np.ndarray, "examples 2"]:
        """Return (correct, 1)."""
        correct = outcomes["correct"].astype(np.float64)
        return np.stack([correct, np.ones_like(correct)], axis=1)

    def value(self, sums: Float64[np.ndarray, "*batch 2"]) -> Float64[np.ndarray, "*batch"]:
        """Return the share that is correct."""
        return ratio(sums[..., 0], sums[..., 1])

    def others(self, outcomes: Outcomes) -> dict[str, float]:
        """Return the macro accuracy."""
        return {"macro-accuracy": macro_accuracy(outcomes["predicted"], outcomes["truth"])}

    def constant(self, targets: Shaped[np.ndarray, "count *channels"]) -> tuple[float, ...]:
        """Return the most frequent class."""
        return (float(np.bincount(targets).argmax()),)


@final
class Top1(_Accuracy):
    """Share of examples whose largest logit is the true class; also its mean over classes."""


@final
class Count(_Accuracy):
    """Top-1 where class n means n things; also how far off the counts are."""

    def others(self, outcomes: Outcomes) -> dict[str, float]:
        """Return the macro accuracy, and the mean error of counts."""
        error = count_error(outcomes["predicted"], outcomes["truth"])
        return super().others(outcomes) | {"count-error": error}


def macro_accuracy(predicted: np.ndarray, truth: np.ndarray) -> float:
    """Return the mean over the classes in `truth` of the share of each that is predicted.

    Example:
        >>> macro_accuracy(np.array([0, 0, 0]), np.array([0, 0, 1]))
        0.5
    """
    total = np.bincount(truth)
    right = np.bincount(truth[predicted == truth], minlength=len(total))
    return float((right[total > 0] / total[total > 0]).mean())


def count_error(predicted: np.ndarray, truth: np.ndarray) -> float:
    """Return the mean of |predicted - true|, for classes that are counts.

    Example:
        >>> count_error(np.array([3, 0]), np.array([5, 0]))
        1.0
    """
    return float(np.abs(predicted.astype(np.int64) - truth).mean())
