"""From the answers of one head to the numbers of its row: score, interval, floor, gallery."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Int64, UInt8

from vireo.data import load_batches
from vireo.errors import DataError
from vireo.probe.bootstrap import interval, interval_of_mean
from vireo.probe.examples import Part
from vireo.records import ProbeSettings, Scoring, Task
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
        draws: of few-shot, whose outcomes follow one another.
    """

    seed: int
    outcomes: Outcomes
    constant: Outcomes
    extra: Mapping[str, Outcomes]
    gallery: Outcomes
    chosen: Mapping[str, float | int | str] = field(default_factory=dict)
    draws: int = 1


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
    """Return the numbers of one seed's row; of several draws, their mean."""
    scoring = settings.scoring
    raw, bounds = _value(task, answered, settings, test)
    low, high = sorted(score_of(task, bound) for bound in bounds)
    floor = task.floor
    if floor is None:
        floor = score_of(task, raw_value(task, answered.constant, scoring=scoring))
    metrics = _others(task, answered, scoring)
    counts = task.target == "count" and "predicted" in answered.outcomes
    if counts and "count-error" not in metrics:
        metrics["count-error"] = count_error(
            answered.outcomes["predicted"], answered.outcomes["truth"]
        )
    for name, outcomes in answered.extra.items():
        values = [raw_value(task, o, scoring=scoring) for o in _by_draw(outcomes, answered.draws)]
        metrics[f"{task.metric}@{name}"] = float(np.mean(values))
    return Scored(
        score=score_of(task, raw), raw=raw, low=low, high=high, floor=floor, metrics=metrics
    )


def _value(
    task: Task, answered: Answered, settings: ProbeSettings, test: Part
) -> tuple[float, tuple[float, float]]:
    """Return the raw value and its interval: over test examples, or over draws where there are."""
    scoring = settings.scoring
    if answered.draws == 1:
        metric = metric_of(task, scoring)
        return raw_value(task, answered.outcomes, scoring=scoring), interval(
            metric,
            metric.statistics(answered.outcomes),
            resamples=settings.resamples,
            level=settings.level,
            digest=test.source.digest,
        )
    each = _by_draw(answered.outcomes, answered.draws)
    values = [raw_value(task, outcomes, scoring=scoring) for outcomes in each]
    return float(np.mean(values)), interval_of_mean(np.array(values), settings.level)


def _others(task: Task, answered: Answered, scoring: Scoring) -> dict[str, float]:
    """Return the further metrics, of several draws their mean."""
    metric = metric_of(task, scoring)
    found = [metric.others(outcomes) for outcomes in _by_draw(answered.outcomes, answered.draws)]
    return {name: float(np.mean([others[name] for others in found])) for name in found[0]}


def _by_draw(outcomes: Outcomes, draws: int) -> list[Outcomes]:
    """Take apart the outcomes of draws: which examples count is a question of each."""
    parts = {name: np.split(array, draws) for name, array in outcomes.items()}
    return [{name: arrays[draw] for name, arrays in parts.items()} for draw in range(draws)]


def raw_value(
    task: Task, outcomes: Outcomes, split: str = "test", *, scoring: Scoring = "standard"
) -> float:
    """Return the task's metric of a split, which a message names.

    Raises:
        DataError: nothing in the split counts.
    """
    metric = metric_of(task, scoring)
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
    part: Part,
    places: Int64[np.ndarray, " places"],
    size: tuple[int, int],
    *,
    all_frames: bool = False,
) -> UInt8[np.ndarray, "places height width 3"]:
    """Decode the images of a gallery, at the size the encoder saw.

    Args:
        part: whose.
        places: of the examples in the part.
        size: height and width of a frame.
        all_frames: frames stand side by side; else the first is taken.
    """
    batches = load_batches(
        part.source,
        size=size,
        target=None,
        batch_size=GALLERY,
        indices=part.rows[places].tolist(),
    )
    frames = np.concatenate([batch.images.numpy() for batch in batches])
    shown = (frames if all_frames else frames[:, :1]).transpose(0, 3, 1, 4, 2)
    return np.ascontiguousarray(shown.reshape(*shown.shape[:2], -1, 3))
