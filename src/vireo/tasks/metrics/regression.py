"""Numbers an image, and numbers a pixel: errors in the target's unit."""

from typing import final

import numpy as np
from jaxtyping import Bool, Float, Float64, Shaped
from torch import Tensor

from vireo.tasks.metrics.metric import (
    Metric,
    Outcomes,
    doubles,
    everywhere,
    ratio,
    total,
    weighted,
)


@final
class L1(Metric):
    """Mean absolute error over all valid pixels (and channels) of the split.

    Also RMSE; and, where the truth is positive, the mean of |error| / truth and the share with
    max(p/t, t/p) < 1.25.

    References:
        Eigen et al. 2014 (depth metrics).
    """

    losses, classes, dense, channels = ("l1", "huber"), False, True, None
    higher_is_better = False

    def outcomes(
        self,
        answer: Float[Tensor, "batch channels height width"],
        target: Float[Tensor, "batch channels height width"],
        valid: Bool[Tensor, "..."] | None = None,
    ) -> dict[str, Tensor]:
        """Return each image's mean `error`, `weight` (valid numbers) and sums for the others."""
        counted = everywhere(valid, target)
        p, t = doubles(answer, target)
        error = (p - t).abs()
        positive = counted & (t > 0)
        within = (t < 1.25 * p) & (p < 1.25 * t)
        weight = total(counted)
        return {
            "error": total(error, counted) / weight.clamp(min=1),
            "weight": weight.long(),
            "squared": total(error.square(), counted),
            "relative": total(error / t.where(positive, 1), positive),
            "within": total(within, positive).long(),
            "positive": total(positive).long(),
        }

    def statistics(self, outcomes: Outcomes) -> Float64[np.ndarray, "examples 2"]:
        """Return (summed error, valid numbers)."""
        return weighted(outcomes)

    def value(self, sums: Float64[np.ndarray, "*batch 2"]) -> Float64[np.ndarray, "*batch"]:
        """Return the mean error."""
        return ratio(sums[..., 0], sums[..., 1])

    def others(self, outcomes: Outcomes) -> dict[str, float]:
        """Return the RMSE and, where any truth is positive, relative error and delta < 1.25."""
        summed = {name: array.sum() for name, array in outcomes.items() if name != "index"}
        found = {}
        if summed["weight"] > 0:
            found["rmse"] = float((summed["squared"] / summed["weight"]) ** 0.5)
        if summed["positive"] > 0:
            found["abs-rel"] = float(summed["relative"] / summed["positive"])
            found["delta-1.25"] = float(summed["within"] / summed["positive"])
        return found

    def constant(self, targets: Shaped[np.ndarray, "count *channels"]) -> tuple[float, ...]:
        """Return each channel's median: no other constant has a smaller mean absolute error."""
        return _median(targets)


@final
class MeanAbsolute(Metric):
    """Mean absolute error of one or several numbers an image; also RMSE and R2.

    R2 = 1 - sum (p - t)^2 / sum (t - mean t)^2, the mean of it over channels: 0 for whoever always
    answers the mean of the test images.
    """

    losses, classes, dense, channels = ("l1", "huber"), False, False, None
    higher_is_better = False

    def outcomes(
        self,
        answer: Float[Tensor, "batch channels"],
        target: Float[Tensor, "batch channels"],
        valid: Bool[Tensor, "..."] | None = None,
    ) -> dict[str, Tensor]:
        """Return `predicted`, `truth`, the mean `error` and its `weight` (valid numbers)."""
        counted = everywhere(valid, target)
        weight = total(counted)
        p, t = doubles(answer, target)
        return {
            "predicted": answer,
            "truth": target.masked_fill(~counted, float("nan")),
            "error": total((p - t).abs(), counted) / weight.clamp(min=1),
            "weight": weight.long(),
        }

    def statistics(self, outcomes: Outcomes) -> Float64[np.ndarray, "examples 2"]:
        """Return (summed error, valid numbers)."""
        return weighted(outcomes)

    def value(self, sums: Float64[np.ndarray, "*batch 2"]) -> Float64[np.ndarray, "*batch"]:
        """Return the mean error."""
        return ratio(sums[..., 0], sums[..., 1])

    def others(self, outcomes: Outcomes) -> dict[str, float]:
        """Return the RMSE, and R2 where the truth of every channel varies."""
        kept = outcomes["weight"] > 0
        p, t = (outcomes[name][kept].astype(np.float64) for name in ("predicted", "truth"))
        if not len(t):
            return {}
        squared = np.square(p - t)
        spread = np.square(t - t.mean(0)).sum(0)
        found = {"rmse": float(squared.mean() ** 0.5)}
        if (spread > 0).all():
            found["r2"] = float((1 - squared.sum(0) / spread).mean())
        return found

    def constant(self, targets: Shaped[np.ndarray, "count *channels"]) -> tuple[float, ...]:
        """Return each channel's median: no other constant has a smaller mean absolute error."""
        return _median(targets)


def _median(targets: np.ndarray) -> tuple[float, ...]:
    return tuple(np.median(targets.reshape(len(targets), -1), axis=0).tolist())
