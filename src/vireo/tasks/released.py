"""How the study's released code counts answers, so that its numbers can be compared.

Heads are trained and answer as ever; only the counting differs:

- the last partial batch is not counted: of 1000 test images, 992 at batch 32;
- IoU is taken in each image and averaged over images; a class that neither the image nor the answer
  has counts 1, and class 0 is skipped;
- Pets asks for the background and the border together, not for the animal;
- depth has no mask: what was not measured counts as the number that the file holds there. THOR's is
  in quarters of white, as its grey levels are brought from 0..1 to -2..2; Taskonomy's is cut at
  10,000 of the file's units and divided by each image's largest.

What has no counterpart there is refused. KITTI is: the released code regresses one number a pixel,
the grey level of a colour rendering of the flow, and counts those within 0.05. A head that answers
(u, v) does not answer that, and rendering what it says would score another question.
"""

import math
from collections.abc import Callable, Mapping
from typing import final

import numpy as np
from jaxtyping import Bool, Float, Float64, Int64, Shaped
from torch import Tensor

from vireo.data import find_dataset
from vireo.errors import DataError, SettingError
from vireo.records import Scoring, Task
from vireo.tasks.metrics import Metric, Outcomes, confusion
from vireo.tasks.metrics.metric import everywhere, ratio

_TASKONOMY_MOST = 10_000 / 512
"""Metres that deeper pixels, and those not measured (65535), count as."""
_THOR_DEVIATION = 0.25
"""Of white, by which THOR's grey levels are divided."""


def released(task: Task, metric: Metric) -> Metric:
    """Return the released rule of a task, given its standard metric.

    Raises:
        SettingError: there is none.
    """
    rule = _OF_TASK.get(task.name) or _OF_METRIC.get(task.metric)
    if rule is None:
        raise SettingError(
            f"The task '{task.name}' has no released scoring: {_WHY_NOT.get(task.metric, _UNKNOWN)}"
            ". Use scoring 'standard'."
        )
    return WholeBatches(rule(task, metric), task.batch_size)


def unit_of(task: Task, scoring: Scoring) -> str:
    """Return the unit of the raw value under a scoring."""
    return task.unit if scoring == "standard" else _UNITS.get(task.name, task.unit)


@final
class WholeBatches(Metric):
    """A metric of the examples that come in whole batches, in the order of the split."""

    def __init__(self, metric: Metric, batch_size: int) -> None:
        super().__init__(metric.outputs)
        self.metric, self.batch_size = metric, batch_size
        self.losses, self.classes, self.dense = metric.losses, metric.classes, metric.dense
        self.channels, self.higher_is_better = metric.channels, metric.higher_is_better

    def outcomes(
        self, answer: Tensor, target: Tensor, valid: Bool[Tensor, "..."] | None = None
    ) -> dict[str, Tensor]:
        """Return the metric's."""
        return self.metric.outcomes(answer, target, valid)

    def statistics(self, outcomes: Outcomes) -> Float64[np.ndarray, "examples sums"]:
        """Return the metric's; zeros for examples of the last partial batch.

        Raises:
            DataError: there is not one whole batch.
        """
        found = self.metric.statistics(outcomes)
        return np.where(self._counted(outcomes)[:, None], found, 0.0)

    def value(self, sums: Float64[np.ndarray, "*batch sums"]) -> Float64[np.ndarray, "*batch"]:
        """Return the metric's."""
        return self.metric.value(sums)

    def others(self, outcomes: Outcomes) -> dict[str, float]:
        """Return the metric's, of the same examples."""
        counted = self._counted(outcomes)
        return self.metric.others({name: array[counted] for name, array in outcomes.items()})

    def constant(self, targets: Shaped[np.ndarray, "count *channels"]) -> tuple[float, ...]:
        """Return the metric's."""
        return self.metric.constant(targets)

    def _counted(self, outcomes: Outcomes) -> Bool[np.ndarray, " examples"]:
        examples = len(next(iter(outcomes.values())))
        whole = examples // self.batch_size * self.batch_size
        if not whole:
            raise DataError(
                f"The released scoring drops the last partial batch, and {examples} examples are "
                f"fewer than one of {self.batch_size}. Use scoring 'standard', or a smaller "
                "batch_size in the task."
            )
        index = outcomes.get("index", np.arange(examples))
        place: np.ndarray = np.argsort(np.argsort(index))
        return place < whole


@final
class ImageIoU(Metric):
    """IoU of each image and class, the mean of it over `scored` classes and images.

    Args:
        metric: the standard one, which chooses the constant answer.
        scored: classes whose IoU is asked for.
        void: the class that pixels without one belong to; None: they count nowhere.
    """

    losses, classes, dense, channels, higher_is_better = ("cross-entropy",), True, True, None, True

    def __init__(self, metric: Metric, scored: tuple[int, ...], void: int | None = None) -> None:
        super().__init__(metric.outputs)
        self.metric, self.scored, self.void = metric, scored, void

    def outcomes(
        self,
        answer: Int64[Tensor, "batch height width"],
        target: Int64[Tensor, "batch height width"],
        valid: Bool[Tensor, "batch height width"] | None = None,
    ) -> dict[str, Tensor]:
        """Return each image's `confusion` [batch, true, predicted]."""
        if valid is not None and self.void is not None:
            target, valid = target.where(valid, self.void), None
        return {"confusion": confusion(answer, target, valid, self.outputs)}

    def statistics(self, outcomes: Outcomes) -> Float64[np.ndarray, "examples 2"]:
        """Return (mean IoU of the image, 1)."""
        mean = self._ious(outcomes).mean(1)
        return np.stack([mean, np.ones_like(mean)], axis=1)

    def value(self, sums: Float64[np.ndarray, "*batch 2"]) -> Float64[np.ndarray, "*batch"]:
        """Return the mean over images."""
        return ratio(sums[..., 0], sums[..., 1])

    def others(self, outcomes: Outcomes) -> dict[str, float]:
        """Return each class's mean over images."""
        means = self._ious(outcomes).mean(0).tolist()
        return {f"iou-{code}": mean for code, mean in zip(self.scored, means, strict=True)}

    def constant(self, targets: Shaped[np.ndarray, "count *channels"]) -> tuple[float, ...]:
        """Return the standard metric's."""
        return self.metric.constant(targets)

    def _ious(self, outcomes: Outcomes) -> Float64[np.ndarray, "examples scored"]:
        counts = outcomes["confusion"]
        both = np.diagonal(counts, axis1=1, axis2=2)
        either = counts.sum(1) + counts.sum(2) - both
        iou = np.where(either > 0, ratio(both, either), 1.0)
        return iou[:, list(self.scored)]


@final
class ImageError(Metric):
    """Mean absolute error of each image, no pixel masked, the mean of it over images.

    Args:
        metric: the standard one, which chooses the constant answer.
        missing: what the file holds where nothing was measured, in the target's unit.
        unit: the released unit, in the target's; None: each image's largest number.
        most: what the truth is cut at.
    """

    losses, classes, dense, channels = ("l1", "huber"), False, True, None
    higher_is_better = False

    def __init__(
        self, metric: Metric, missing: float, unit: float | None, most: float = math.inf
    ) -> None:
        super().__init__(metric.outputs)
        self.metric, self.missing, self.unit, self.most = metric, missing, unit, most

    def outcomes(
        self,
        answer: Float[Tensor, "batch channels height width"],
        target: Float[Tensor, "batch channels height width"],
        valid: Bool[Tensor, "..."] | None = None,
    ) -> dict[str, Tensor]:
        """Return each image's mean `error`."""
        t = target.double().where(everywhere(valid, target), self.missing).flatten(1)
        t = t.clamp(max=self.most)
        error = (answer.double().flatten(1) - t).abs().mean(1)
        if self.unit is not None:
            return {"error": error / self.unit}
        largest = t.amax(1)
        return {"error": error / largest.where(largest > 0, 1)}

    def statistics(self, outcomes: Outcomes) -> Float64[np.ndarray, "examples 2"]:
        """Return (error, 1)."""
        error = outcomes["error"].astype(np.float64)
        return np.stack([error, np.ones_like(error)], axis=1)

    def value(self, sums: Float64[np.ndarray, "*batch 2"]) -> Float64[np.ndarray, "*batch"]:
        """Return the mean over images."""
        return ratio(sums[..., 0], sums[..., 1])

    def others(self, outcomes: Outcomes) -> dict[str, float]:
        """Return nothing: the released code has no other."""
        return {}

    def constant(self, targets: Shaped[np.ndarray, "count *channels"]) -> tuple[float, ...]:
        """Return the standard metric's."""
        return self.metric.constant(targets)


def _same(task: Task, metric: Metric) -> Metric:
    return metric


def _without_background(task: Task, metric: Metric) -> Metric:
    return ImageIoU(metric, tuple(range(1, task.outputs)))


def _background_and_border(task: Task, metric: Metric) -> Metric:
    return ImageIoU(metric, (0,), void=0)


def _nyu_depth(task: Task, metric: Metric) -> Metric:
    return ImageError(metric, missing=0.0, unit=1.0)


def _thor_depth(task: Task, metric: Metric) -> Metric:
    spec = find_dataset(task.dataset) if isinstance(task.dataset, str) else task.dataset
    white = spec.options.get("white")
    if not isinstance(white, int | float):
        raise SettingError(
            f"The dataset '{spec.name}' does not say how many metres white stands for; give it the "
            "option 'white', or use scoring 'standard'."
        )
    return ImageError(metric, missing=0.0, unit=float(white) * _THOR_DEVIATION)


def _taskonomy_depth(task: Task, metric: Metric) -> Metric:
    return ImageError(metric, missing=_TASKONOMY_MOST, unit=None, most=_TASKONOMY_MOST)


_Rule = Callable[[Task, Metric], Metric]
_OF_TASK: Mapping[str, _Rule] = {
    "pets-segmentation": _background_and_border,
    "nyu-depth": _nyu_depth,
    "thor-depth": _thor_depth,
    "taskonomy-depth": _taskonomy_depth,
}
_OF_METRIC: Mapping[str, _Rule] = {
    "top-1": _same,
    "count": _same,
    "miou": _without_background,
    "miou-foreground": _without_background,
    "iou": _without_background,
}
_WHY_NOT = {
    "fl": "the released code regresses the grey level of a colour rendering of the flow, and a "
    "head that answers (u, v) does not answer that",
    "l1": "the released rules are of the depth of NYU, THOR and Taskonomy, each with its own unit",
    "mae": "the released code has no task of one number an image",
}
_UNKNOWN = "the released code has no such metric"
_UNITS = {"thor-depth": "white / 4", "taskonomy-depth": "share"}
