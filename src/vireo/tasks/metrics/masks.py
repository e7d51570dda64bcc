"""One class a pixel: intersection over union, from one confusion matrix over the split.

References:
    Everingham et al. 2015 (PASCAL VOC), section 4.3.
"""

from typing import final

import numpy as np
import torch
from jaxtyping import Bool, Float64, Int64, Shaped
from torch import Tensor

from vireo.tasks.metrics.metric import Metric, Outcomes, ratio


class _ClassIoU(Metric):
    """Mean IoU over the classes that are present in the truth, from one confusion matrix."""

    losses, classes, dense, channels, higher_is_better = ("cross-entropy",), True, True, None, True

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
        return _areas(outcomes["confusion"])

    def value(self, sums: Float64[np.ndarray, "*batch sums"]) -> Float64[np.ndarray, "*batch"]:
        """Return the mean of both / (truth + prediction - both) over classes with truth."""
        return _mean_iou(sums)

    def others(self, outcomes: Outcomes) -> dict[str, float]:
        """Return the accuracies and the IoU of each class that is present."""
        return _accuracies(outcomes["confusion"]) | _ious(outcomes["confusion"])

    def constant(self, targets: Shaped[np.ndarray, "count *channels"]) -> tuple[float, ...]:
        """Return the class with most pixels: no other single class has a larger mIoU."""
        return (float(np.bincount(targets).argmax()),)


@final
class MeanIoU(_ClassIoU):
    """Mean over the classes that are present in the truth; void pixels count nowhere."""


@final
class ForegroundIoU(_ClassIoU):
    """Mean IoU of the classes from 1 on; class 0 is background, learned and not scored.

    Pixels whose truth is background count nowhere, as in Cityscapes' own evaluation of its 19
    classes; to take a pixel of another class for background costs that class.
    """

    def outcomes(
        self,
        answer: Int64[Tensor, "batch height width"],
        target: Int64[Tensor, "batch height width"],
        valid: Bool[Tensor, "..."] | None = None,
    ) -> dict[str, Tensor]:
        """Return each image's `confusion` [batch, true, predicted], its first row zero."""
        scored = target > 0 if valid is None else valid & (target > 0)
        return super().outcomes(answer, target, scored)

    def constant(self, targets: Shaped[np.ndarray, "count *channels"]) -> tuple[float, ...]:
        """Return the class from 1 on that has most pixels."""
        counts = np.bincount(targets, minlength=2)
        return (float(counts[1:].argmax() + 1),)


@final
class BinaryIoU(Metric):
    """IoU of class 1 against class 0, over the split; also Dice.

    It has no value where neither truth nor prediction has a pixel of class 1.
    """

    losses, classes, dense, channels, higher_is_better = ("cross-entropy",), True, True, 2, True

    def outcomes(
        self,
        answer: Int64[Tensor, "batch height width"],
        target: Int64[Tensor, "batch height width"],
        valid: Bool[Tensor, "..."] | None = None,
    ) -> dict[str, Tensor]:
        """Return each image's `confusion` [batch, true, predicted]."""
        return {"confusion": confusion(answer, target, valid, self.outputs)}

    def statistics(self, outcomes: Outcomes) -> Float64[np.ndarray, "examples 2"]:
        """Return the pixels that truth and prediction share, and those that either has."""
        counts = outcomes["confusion"].astype(np.float64)
        both = counts[:, 1, 1]
        return np.stack([both, both + counts[:, 0, 1] + counts[:, 1, 0]], axis=1)

    def value(self, sums: Float64[np.ndarray, "*batch 2"]) -> Float64[np.ndarray, "*batch"]:
        """Return intersection over union."""
        return ratio(sums[..., 0], sums[..., 1])

    def others(self, outcomes: Outcomes) -> dict[str, float]:
        """Return Dice = 2 both / (truth + prediction), and the accuracies."""
        both, either = self.statistics(outcomes).sum(0)
        dice = {"dice": float(2 * both / (both + either))} if either else {}
        return dice | _accuracies(outcomes["confusion"])

    def constant(self, targets: Shaped[np.ndarray, "count *channels"]) -> tuple[float, ...]:
        """Return class 1: the other one shares no pixel with it."""
        return (1.0,)


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


def _areas(counts: np.ndarray) -> Float64[np.ndarray, "examples sums"]:
    both = np.diagonal(counts, axis1=1, axis2=2)
    return np.concatenate([both, counts.sum(2), counts.sum(1)], axis=1).astype(np.float64)


def _mean_iou(sums: Float64[np.ndarray, "*batch sums"]) -> Float64[np.ndarray, "*batch"]:
    both, truth, predicted = np.split(sums, 3, axis=-1)
    iou = ratio(both, truth + predicted - both)
    present = truth > 0
    return ratio(np.where(present, iou, 0).sum(-1), present.sum(-1).astype(np.float64))


def _ious(counts: np.ndarray) -> dict[str, float]:
    both, truth, predicted = np.split(_areas(counts).sum(0), 3)
    iou = ratio(both, truth + predicted - both)
    return {f"iou-{code}": float(iou[code]) for code in np.flatnonzero(truth)}


def _accuracies(counts: np.ndarray) -> dict[str, float]:
    """Return the share of pixels that is right, and its mean over the classes that are present."""
    both, truth, _ = np.split(_areas(counts).sum(0), 3)
    present = truth > 0
    if not present.any():
        return {}
    return {
        "pixel-accuracy": float(both.sum() / truth.sum()),
        "macro-accuracy": float((both[present] / truth[present]).mean()),
    }
