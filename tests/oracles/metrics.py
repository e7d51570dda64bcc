"""Metrics as loops over single pixels, in Python's own floats, on a whole split at once."""

import math
from collections.abc import Iterator

import numpy as np
from torch import Tensor

from vireo.tasks.metrics import Metric


def accumulate(
    metric: Metric, answer: Tensor, target: Tensor, valid: Tensor | None, batch_size: int
) -> dict[str, np.ndarray]:
    """Outcomes of a split that arrives in batches, as they are stored."""
    parts: list[dict[str, Tensor]] = []
    for first in range(0, len(target), batch_size):
        rows = slice(first, first + batch_size)
        mask = None if valid is None else valid[rows]
        parts.append(metric.outcomes(answer[rows], target[rows], mask))
    return {name: np.concatenate([part[name].numpy() for part in parts]) for name in parts[0]}


def value(metric: Metric, outcomes: dict[str, np.ndarray]) -> float:
    return float(metric.value(metric.statistics(outcomes).sum(0)))


def pairs(answer: Tensor, target: Tensor, valid: Tensor) -> list[tuple[float, float]]:
    """(answer, truth) of everything valid; channels share one mask."""
    mask = valid.expand_as(target).flatten().tolist()
    both = zip(answer.flatten().tolist(), target.flatten().tolist(), mask, strict=True)
    return [(p, t) for p, t, counts in both if counts]


def iou(codes: list[tuple[float, float]], wanted: int) -> float:
    """Intersection over union of one class; NaN where there is no union."""
    both = sum(p == wanted and t == wanted for p, t in codes)
    either = sum(p == wanted or t == wanted for p, t in codes)
    return both / either if either else math.nan


def mean_iou(codes: list[tuple[float, float]]) -> float:
    """Mean over the classes that are in the truth."""
    return mean(iou(codes, wanted) for wanted in {t for _, t in codes})


def macro(codes: list[tuple[float, float]]) -> float:
    """Mean over the classes in the truth of the share of each that is right."""
    found = []
    for wanted in {t for _, t in codes}:
        of_class = [p == t for p, t in codes if t == wanted]
        found.append(sum(of_class) / len(of_class))
    return mean(found)


def flow(answer: Tensor, target: Tensor, valid: Tensor) -> list[tuple[float, float]]:
    """(end-point error, length of the truth) of every valid pixel."""
    found = []
    for image in range(len(target)):
        for y in range(target.shape[2]):
            for x in range(target.shape[3]):
                if valid[image, 0, y, x]:
                    u, v = target[image, :, y, x].tolist()
                    a, b = answer[image, :, y, x].tolist()
                    found.append((math.hypot(a - u, b - v), math.hypot(u, v)))
    return found


def outliers(errors: list[tuple[float, float]]) -> float:
    """Fl-all: share of pixels wrong by more than 3 px and by more than 5 %."""
    return mean(
        error > 3 and error / length > 0.05 if length else error > 3 for error, length in errors
    )


def mean(values: Iterator[float] | list[float]) -> float:
    values = list(values)
    return math.fsum(values) / len(values) if values else math.nan
