"""Metrics as sums over examples: top-1, mIoU, L1.

Each example leaves a few numbers (its outcome); a metric's value is a function of their sum over
the split. So every test example counts once, batch size changes nothing, the value is exact in
float64, and a bootstrap over examples is one matrix product of draws with outcomes.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64, Int64
from torch import Tensor

Outcomes = Mapping[str, np.ndarray]


class Metric(ABC):
    """One metric; final classes only, constructed with the task's number of outputs.

    Attributes:
        loss: the catalogue's loss that trains for it.
        classes: whether answers are class codes (the largest logit) or the prediction itself.
        dense: whether there is an answer for every pixel.
        higher_is_better: of the value.
    """

    loss: ClassVar[str]
    classes: ClassVar[bool]
    dense: ClassVar[bool]
    higher_is_better: ClassVar[bool]

    def __init__(self, outputs: int) -> None:
        self.outputs = outputs

    @abstractmethod
    def outcomes(
        self, answer: Tensor, target: Tensor, valid: Bool[Tensor, "..."] | None = None
    ) -> dict[str, Tensor]:
        """Return what each example of a batch leaves, on the batch's device."""

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
    def constant(self, targets: np.ndarray) -> float:
        """Return the best constant answer to `targets` (valid ones only, flat)."""


class Top1(Metric):
    """Share of examples whose largest logit is the true class; also its mean over classes."""

    loss, classes, dense, higher_is_better = "cross-entropy", True, False, True

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
        return _ratio(sums[..., 0], sums[..., 1])

    def others(self, outcomes: Outcomes) -> dict[str, float]:
        """Return the macro accuracy."""
        return {"macro-accuracy": macro_accuracy(outcomes["predicted"], outcomes["truth"])}

    def constant(self, targets: np.ndarray) -> float:
        """Return the most frequent class."""
        return float(np.bincount(targets).argmax())


class MeanIoU(Metric):
    """Mean over classes of intersection over union, from one confusion matrix over the split.

    The mean is over the classes that are present in the truth; void pixels count nowhere.

    References:
        Everingham et al. 2015 (PASCAL VOC), section 4.3.
    """

    loss, classes, dense, higher_is_better = "cross-entropy", True, True, True

    def outcomes(
        self,
        answer: Int64[Tensor, "batch height width"],
        target: Int64[Tensor, "batch height width"],
        valid: Bool[Tensor, "..."] | None = None,
    ) -> dict[str, Tensor]:
        """Return each image's `confusion` [batch, true, predicted]."""
        return {"confusion": confusion(answer, target, valid, self.outputs)}

    def statistics(self, outcomes: Outcomes) -> Float64[np.ndarray, "examples sums"]:
        """Return, for every class, the pixels in both, in truth, and in prediction."""
        counts = outcomes["confusion"]
        both = np.diagonal(counts, axis1=1, axis2=2)
        return np.concatenate([both, counts.sum(2), counts.sum(1)], axis=1).astype(np.float64)

    def value(self, sums: Float64[np.ndarray, "*batch sums"]) -> Float64[np.ndarray, "*batch"]:
        """Return the mean of both / (truth + prediction - both) over classes with truth."""
        both, truth, predicted = np.split(sums, 3, axis=-1)
        iou = _ratio(both, truth + predicted - both)
        present = truth > 0
        return _ratio(np.where(present, iou, 0).sum(-1), present.sum(-1).astype(np.float64))

    def others(self, outcomes: Outcomes) -> dict[str, float]:
        """Return the pixel accuracy and the IoU of each class that is present."""
        counts = outcomes["confusion"].sum(0).astype(np.float64)
        both, truth, predicted = counts.diagonal(), counts.sum(1), counts.sum(0)
        found = {
            f"iou-{code}": float(both[code] / (truth[code] + predicted[code] - both[code]))
            for code in np.flatnonzero(truth)
        }
        return {"pixel-accuracy": float(_ratio(both.sum(), truth.sum()))} | found

    def constant(self, targets: np.ndarray) -> float:
        """Return the class with most pixels: no other single class has a larger mIoU."""
        return float(np.bincount(targets).argmax())


class L1(Metric):
    """Mean absolute error over all valid pixels of the split, in the target's unit.

    Also RMSE; and, over the pixels whose truth is positive, the mean of |error| / truth and the
    share with max(p/t, t/p) < 1.25.

    References:
        Eigen et al. 2014 (depth metrics).
    """

    loss, classes, dense, higher_is_better = "l1", False, True, False

    def outcomes(
        self,
        answer: Float[Tensor, "batch channels height width"],
        target: Float[Tensor, "batch channels height width"],
        valid: Bool[Tensor, "..."] | None = None,
    ) -> dict[str, Tensor]:
        """Return each image's mean `error`, `weight` (valid pixels) and sums for the others."""
        counted = torch.ones_like(target, dtype=torch.bool) if valid is None else valid
        counted = counted.expand_as(target)
        p, t = answer.double(), target.double()
        error = (p - t).abs()
        positive = counted & (t > 0)
        within = (p > 0.8 * t) & (p < 1.25 * t)
        weight = _total(counted)
        return {
            "error": (_total(error, counted) / weight.clamp(min=1)),
            "weight": weight.long(),
            "squared": _total(error.square(), counted),
            "relative": _total(error / t.where(positive, 1), positive),
            "within": _total(within, positive).long(),
            "positive": _total(positive).long(),
        }

    def statistics(self, outcomes: Outcomes) -> Float64[np.ndarray, "examples 2"]:
        """Return (summed error, valid pixels)."""
        weight = outcomes["weight"].astype(np.float64)
        return np.stack([outcomes["error"].astype(np.float64) * weight, weight], axis=1)

    def value(self, sums: Float64[np.ndarray, "*batch 2"]) -> Float64[np.ndarray, "*batch"]:
        """Return the mean error over pixels."""
        return _ratio(sums[..., 0], sums[..., 1])

    def others(self, outcomes: Outcomes) -> dict[str, float]:
        """Return the RMSE and, where any truth is positive, relative error and delta < 1.25."""
        total = {name: array.sum() for name, array in outcomes.items() if name != "index"}
        found = {"rmse": float(_ratio(total["squared"], total["weight"]) ** 0.5)}
        if total["positive"] > 0:
            found["abs-rel"] = float(total["relative"] / total["positive"])
            found["delta-1.25"] = float(total["within"] / total["positive"])
        return found

    def constant(self, targets: np.ndarray) -> float:
        """Return the median: no other constant has a smaller mean absolute error."""
        return float(np.median(targets))


def confusion(
    predicted: Int64[Tensor, "batch height width"],
    truth: Int64[Tensor, "batch height width"],
    valid: Bool[Tensor, "batch height width"] | None,
    classes: int,
) -> Int64[Tensor, "batch true predicted"]:
    """Count each image's valid pixels by (true class, predicted class), without a host sync.

    Example:
        >>> confusion(torch.tensor([[[0, 1]]]), torch.tensor([[[0, 0]]]), None, 2).tolist()
        [[[1, 1], [0, 0]]]
    """
    batch = len(truth)
    counted = torch.ones_like(truth) if valid is None else valid.long()
    image = torch.arange(batch, device=truth.device).view(-1, 1, 1)
    cell = (image * classes + truth.where(counted > 0, 0)) * classes + predicted
    counts = torch.zeros(batch * classes * classes, dtype=torch.int64, device=truth.device)
    counts.scatter_add_(0, cell.flatten(), counted.flatten())
    return counts.view(batch, classes, classes)


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


def _total(value: Tensor, counted: Tensor | None = None) -> Float64[Tensor, " batch"]:
    """Sum each example in float64, over the counted elements only."""
    if counted is not None:
        value = value.where(counted, 0)
    return value.flatten(1).sum(1, dtype=torch.float64)


def _ratio(above: np.ndarray | np.generic, below: np.ndarray | np.generic) -> np.ndarray:
    """Divide in float64; NaN where `below` is 0."""
    above, below = np.asarray(above, np.float64), np.asarray(below, np.float64)
    ratio: np.ndarray = np.divide(above, below, out=np.full(below.shape, np.nan), where=below > 0)
    return ratio
