"""Whether the facts of a task go together; no data and no network is touched."""

import math
from collections.abc import Iterator

from vireo.catalog import resolve, unknown
from vireo.errors import MissingExtraError, SettingError
from vireo.records import Task
from vireo.tasks import HEADS, LOSSES, METRICS
from vireo.tasks.heads import Head
from vireo.tasks.metrics import Metric


def mistakes(task: Task) -> list[str]:
    """Return everything that is wrong with `task`, one sentence each, without full stops.

    Example:
        >>> from vireo.tasks.image_semantic import DIGITS
        >>> mistakes(DIGITS)
        []
    """
    return [*_names(task), *_numbers(task), *_together(task)]


def head_of(task: Task) -> type[Head]:
    """Return the class of the task's head."""
    head: type[Head] = resolve(HEADS, task.head, "head", Head)
    return head


def metric_of(task: Task) -> Metric:
    """Return the task's metric."""
    metric: Metric = resolve(METRICS, task.metric, "metric", Metric)(task.outputs)
    return metric


def _names(task: Task) -> Iterator[str]:
    for kind, table in {"head": HEADS, "loss": LOSSES, "metric": METRICS}.items():
        name = getattr(task, kind)
        try:
            resolve(table, name, kind)
        except (SettingError, MissingExtraError):
            yield f"{kind}: {unknown(name, table, kind)}".removesuffix(".")


def _numbers(task: Task) -> Iterator[str]:
    counts: dict[str, int] = {
        "outputs": task.outputs,
        "epochs": task.epochs,
        "batch_size": task.batch_size,
    }
    if task.max_steps is not None:
        counts["max_steps"] = task.max_steps
    for name, value in counts.items():
        if value < 1:
            yield f"{name} must be at least 1; got {value}"
    if not 0 < task.learning_rate < math.inf:
        yield f"learning_rate must be above 0 and finite; got {task.learning_rate}"
    if task.floor is not None and not math.isfinite(task.floor):
        yield f"floor must be finite; got {task.floor}"
    if task.input_size != "encoder" and min(task.input_size) < 1:
        yield f"input_size must be at least 1 x 1; got {task.input_size}"
    if task.frames != 1:
        yield f"frames must be 1: no head here joins several images; got {task.frames}"


def _together(task: Task) -> Iterator[str]:
    if any(_names(task)):
        return
    metric, head = metric_of(task), head_of(task)
    if metric.loss != task.loss:
        yield f"metric '{task.metric}' goes with loss '{metric.loss}'; got '{task.loss}'"
    if metric.dense != head.dense:
        fitting = [name for name in HEADS if resolve(HEADS, name, "head").dense == metric.dense]
        known = " or ".join(f"'{name}'" for name in fitting)
        yield f"metric '{task.metric}' goes with head {known}; got '{task.head}'"
    if task.higher_is_better != metric.higher_is_better:
        value = str(metric.higher_is_better).lower()
        yield f"higher_is_better must be {value} for metric '{task.metric}'"
    yield from _classes(task, metric)


def _classes(task: Task, metric: Metric) -> Iterator[str]:
    if metric.classes and task.outputs < 2:
        yield f"outputs must be at least 2 classes; got {task.outputs}"
    if not metric.classes and task.outputs != 1:
        # More would be broadcast against the one channel of a depth map, and their errors added.
        yield f"outputs must be 1, the channels of a depth map; got {task.outputs}"
    weights = task.class_weights
    if weights and (not metric.classes or len(weights) != task.outputs):
        classes = task.outputs if metric.classes else 0
        yield f"class_weights must be one a class ({classes}); got {len(weights)}"
    if weights and not (min(weights) >= 0 and 0 < sum(weights) < math.inf):
        yield f"class_weights must be finite, not negative, nor all 0; got {weights}"
