"""From the answers of one head to the numbers of its row: score, interval, floor, gallery."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Int64, UInt8

from vireo.data import load_batches
from vireo.errors import DataError
from vireo.probe.bootstrap import interval
from vireo.probe.examples import Part
from vireo.records import ProbeSettings, Task
from vireo.tasks.checks import metric_of
from vireo.tasks.metrics import count_error

Outcomes = Mapping[str, np.ndarray]

GALLERY = 6


@dataclass(frozen=True, kw_only=True)
class Answered:
    """What the selected head of one seed answered.

    Attributes:
        outcomes: of each test example.
        constant: outcomes of the best constant answer to the training labels.
        extra: outcomes on further test sets, by name.
        gallery: a few test examples with truth and answer.
        chosen: hyper-parameters of the head.
    """

    seed: int
    outcomes: Outcomes
    constant: Outcomes
    extra: Mapping[str, Outcomes]
    gallery: Outcomes
    chosen: Mapping[str, float | int | str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Scored:
    """The numbers of a row. `score`, `low`, `high` and `floor` are higher for better."""

    score: float
    raw: float
    low: float
    high: float
    floor: float
    metrics: Mapping[str, float]


def scored(task: Task, answered: Answered, settings: ProbeSettings, test: Part) -> Scored:
    """Return the numbers of one seed's row."""
    metric = metric_of(task)
    raw = raw_value(task, answered.outcomes)
    bounds = interval(
        metric,
        metric.statistics(answered.outcomes),
        resamples=settings.resamples,
        level=settings.level,
        digest=test.source.digest,
    )
    low, high = sorted(score_of(task, bound) for bound in bounds)
    floor = task.floor
    if floor is None:
        floor = score_of(task, raw_value(task, answered.constant))
    metrics = metric.others(answered.outcomes)
    if task.target == "count" and "predicted" in answered.outcomes:
        metrics["count-error"] = count_error(
            answered.outcomes["predicted"], answered.outcomes["truth"]
        )
    for name, outcomes in answered.extra.items():
        metrics[f"{task.metric}@{name}"] = raw_value(task, outcomes)
    return Scored(
        score=score_of(task, raw), raw=raw, low=low, high=high, floor=floor, metrics=metrics
    )


def raw_value(task: Task, outcomes: Outcomes, split: str = "test") -> float:
    """Return the task's metric of a split, which a message names.

    Raises:
        DataError: nothing in the split counts.
    """
    metric = metric_of(task)
    value = float(metric.value(metric.statistics(outcomes).sum(0)))
    if not math.isfinite(value):
        raise DataError(
            f"No pixel of the {split} split of '{task.name}' is valid, so it has no {task.metric}; "
            "check 'ignore_index', or the scale and the invalid value of depths."
        )
    return value


def score_of(task: Task, raw: float) -> float:
    """Return the raw value, negated where lower is better."""
    return raw if task.higher_is_better else -raw


def gallery_places(part: Part) -> Int64[np.ndarray, " places"]:
    """Return the places of at most six examples, evenly spaced over a part."""
    return np.unique(np.linspace(0, len(part) - 1, GALLERY).astype(np.int64))


def gallery_images(
    part: Part, places: Int64[np.ndarray, " places"], size: tuple[int, int]
) -> UInt8[np.ndarray, "places height width 3"]:
    """Decode the images of a gallery, at the size the encoder saw."""
    batches = load_batches(
        part.source,
        size=size,
        target=None,
        batch_size=GALLERY,
        indices=part.rows[places].tolist(),
    )
    images = np.concatenate([batch.images[:, 0].numpy() for batch in batches])
    return np.ascontiguousarray(images.transpose(0, 2, 3, 1))
