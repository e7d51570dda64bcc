"""A metric as sums over test examples, from the stored outcomes: what paired tests redraw.

These are the sums of `vireo.tasks.metrics`, without the networks' library, so that a copied folder
of results can be analysed on any machine; a test holds the two together. Values are scores: higher
is better, errors are negated.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from vireo.catalog import unknown
from vireo.errors import SettingError

Outcomes = Mapping[str, np.ndarray]
Sums = Float64[np.ndarray, "*batch sums"]


@dataclass(frozen=True)
class Scorer:
    """How a metric's score comes from outcomes.

    Attributes:
        statistics: outcomes to each example's terms of the sums.
        value: sums to the score; NaN where nothing counted.
        shares: whether an example is right or wrong, so that McNemar's test applies.
    """

    statistics: Callable[[Outcomes], Float64[np.ndarray, "examples sums"]]
    value: Callable[[Sums], Float64[np.ndarray, "*batch"]]
    shares: bool = False


def scorer(metric: str, scoring: str = "standard") -> Scorer:
    """Return the sums of a metric.

    Raises:
        SettingError: an unknown metric, or a scoring whose sums are not kept.
    """
    if scoring != "standard":
        raise SettingError(
            f"Paired tests read outcomes of scoring 'standard'; got '{scoring}', which counts "
            "whole batches. Score the study by 'standard'."
        )
    if metric not in _SCORERS:
        raise SettingError(unknown(metric, _SCORERS, "metric with known sums"))
    return _SCORERS[metric]


def by_replicate(outcomes: Outcomes, metric: Scorer) -> Float64[np.ndarray, "draws examples sums"]:
    """Return the examples' terms in the order of their index, for each draw of few-shot apart."""
    terms = metric.statistics(outcomes)
    draws = outcomes.get("draw", np.zeros(len(terms), dtype=np.int64))
    order = np.lexsort((outcomes["index"], draws))
    return terms[order].reshape(len(np.unique(draws)), -1, terms.shape[1])


def _ratio(sums: np.ndarray) -> np.ndarray:
    above, below = sums[..., 0], sums[..., 1]
    found: np.ndarray = np.divide(above, below, out=np.full(below.shape, np.nan), where=below > 0)
    return found


def _correct(outcomes: Outcomes) -> np.ndarray:
    correct = outcomes["correct"].astype(np.float64)
    return np.stack([correct, np.ones_like(correct)], axis=1)


def _negative_error(outcomes: Outcomes) -> np.ndarray:
    weight = outcomes["weight"].astype(np.float64)
    return np.stack([-outcomes["error"].astype(np.float64) * weight, weight], axis=1)


def _inliers(outcomes: Outcomes) -> np.ndarray:
    return np.stack([outcomes["inliers"], outcomes["weight"]], axis=1).astype(np.float64)


def _overlap(outcomes: Outcomes) -> np.ndarray:
    counts = outcomes["confusion"].astype(np.float64)
    both = counts[:, 1, 1]
    return np.stack([both, both + counts[:, 0, 1] + counts[:, 1, 0]], axis=1)


def _areas(outcomes: Outcomes) -> np.ndarray:
    counts = outcomes["confusion"]
    both = np.diagonal(counts, axis1=1, axis2=2)
    return np.concatenate([both, counts.sum(2), counts.sum(1)], axis=1).astype(np.float64)


def _mean_overlap(sums: np.ndarray) -> np.ndarray:
    both, truth, predicted = np.split(sums, 3, axis=-1)
    present = truth > 0
    either = np.where(present, truth + predicted - both, 1.0)
    total = np.where(present, both / either, 0.0).sum(-1)
    return _ratio(np.stack([total, present.sum(-1).astype(np.float64)], axis=-1))


_CLASSES = Scorer(_correct, _ratio, shares=True)
_ERRORS = Scorer(_negative_error, _ratio)
_MASKS = Scorer(_areas, _mean_overlap)
_SCORERS = {
    "top-1": _CLASSES,
    "count": _CLASSES,
    "miou": _MASKS,
    "miou-foreground": _MASKS,
    "iou": Scorer(_overlap, _ratio),
    "l1": _ERRORS,
    "mae": _ERRORS,
    "fl": Scorer(_inliers, _ratio),
}
