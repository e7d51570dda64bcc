"""Optical flow: the share of pixels that are not outliers, and the end-point error.

References:
    Menze & Geiger 2015, Object scene flow for autonomous vehicles (KITTI 2015: Fl-all).
"""

from typing import final

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64, Shaped
from scipy import ndimage
from torch import Tensor

from vireo.tasks.metrics.metric import Metric, Outcomes, doubles, ratio, total, weighted

_PIXELS = 3.0
_SHARE = 20
"""An outlier is wrong by more than 3 px and by more than 1/20 (5 %) of the true flow's length."""
_REACH = 128
"""Pixels: a constant flow that is longer is not looked for."""
_TRIED, _LOOKED_AT = 64, 50_000
"""Constant flows that are tried, and the targets that they are tried on."""
_STEPS = (1.0, 1.0, 0.5, 0.5, 0.25, 0.25, 0.125)
"""Pixels that the best of them is then moved by."""


@final
class FlowInliers(Metric):
    """1 - Fl-all: share of valid pixels, over the split, that are no outliers; also EPE.

    An error of exactly 3 px, or of exactly 5 % of the truth, is none yet.
    """

    losses, classes, dense, channels, higher_is_better = ("l1", "huber"), False, True, 2, True

    def outcomes(
        self,
        answer: Float[Tensor, "batch 2 height width"],
        target: Float[Tensor, "batch 2 height width"],
        valid: Bool[Tensor, "batch 1 height width"] | None = None,
    ) -> dict[str, Tensor]:
        """Return each image's `inliers`, mean end-point `error` and `weight` (valid pixels)."""
        p, t = doubles(answer, target)
        error = _length(p - t)
        counted = torch.ones_like(error, dtype=torch.bool) if valid is None else valid[:, 0]
        # said of inliers, so that an answer of NaN is none
        inlier = (error <= _PIXELS) | (_SHARE * error <= _length(t))
        weight = total(counted)
        return {
            "inliers": total(inlier, counted).long(),
            "error": total(error, counted) / weight.clamp(min=1),
            "weight": weight.long(),
            "within": total(error < 1, counted).long(),
        }

    def statistics(self, outcomes: Outcomes) -> Float64[np.ndarray, "examples 2"]:
        """Return (inliers, valid pixels)."""
        return np.stack([outcomes["inliers"], outcomes["weight"]], axis=1).astype(np.float64)

    def value(self, sums: Float64[np.ndarray, "*batch 2"]) -> Float64[np.ndarray, "*batch"]:
        """Return the share of inliers."""
        return ratio(sums[..., 0], sums[..., 1])

    def others(self, outcomes: Outcomes) -> dict[str, float]:
        """Return the mean end-point error in pixels, and the share of errors below 1 px."""
        error, weight = weighted(outcomes).sum(0)
        if not weight:
            return {}
        within = float(outcomes["within"].sum() / weight)
        return {"epe": float(error / weight), "within-1px": within}

    def constant(self, targets: Shaped[np.ndarray, "count *channels"]) -> tuple[float, ...]:
        """Return the flow that most targets agree with, of those tried (`densest`)."""
        return densest(targets)


def densest(targets: Shaped[np.ndarray, "count 2"]) -> tuple[float, float]:
    """Return the constant flow of which fewest targets are outliers, of those that are tried.

    They are the whole pixels around which most targets lie, the median and no motion, and then what
    lies around the best of these.

    Example:
        >>> densest(np.array([[9.0, 1.0], [9.0, 1.0], [0.0, 0.0], [-20.0, 5.0]]))
        (9.0, 1.0)
    """
    t = targets[:: max(1, len(targets) // _LOOKED_AT)].astype(np.float64)
    best = _best(t, np.concatenate([np.median(t, axis=0)[None], np.zeros((1, 2)), _crowded(t)]))
    around = np.stack(np.meshgrid([0.0, -1.0, 1.0], [0.0, -1.0, 1.0]), axis=-1).reshape(-1, 2)
    for step in _STEPS:
        best = _best(t, best + step * around)
    u, v = best.tolist()
    return u, v


def _best(
    t: Float64[np.ndarray, "count 2"], candidates: Float64[np.ndarray, "tried 2"]
) -> Float64[np.ndarray, "2"]:
    """Return the candidate with most inliers; of equal ones, that which they are nearest to."""
    limit = np.maximum(_PIXELS, np.linalg.norm(t, axis=1) / _SHARE)

    def agreement(candidate: np.ndarray) -> float:
        error = np.linalg.norm(t - candidate, axis=1)
        near = error[error <= limit]
        return len(near) + 1 / (2 + float(near.mean())) if len(near) else 0.0

    found: np.ndarray = candidates[int(np.argmax([agreement(c) for c in candidates]))]
    return found


def _crowded(targets: Float64[np.ndarray, "count 2"]) -> Float64[np.ndarray, "crowded 2"]:
    """Return the whole pixels that have most targets in the 5 x 5 px around them."""
    cells = np.rint(targets[np.abs(targets).max(1) <= _REACH]).astype(np.int64) + _REACH
    histogram = np.zeros((2 * _REACH + 1, 2 * _REACH + 1))
    np.add.at(histogram, (cells[:, 0], cells[:, 1]), 1.0)
    near = ndimage.uniform_filter(histogram, 5, mode="constant")
    most = np.argsort(near, axis=None, kind="stable")[-_TRIED:]
    return np.stack(np.unravel_index(most, near.shape), axis=1).astype(np.float64) - _REACH


def _length(flow: Float64[Tensor, "batch 2 height width"]) -> Float64[Tensor, "batch height width"]:
    return flow.square().sum(1).sqrt()
