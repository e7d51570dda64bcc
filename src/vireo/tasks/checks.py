"""Whether the facts of a task go together; no data and no network is touched."""

import math
from collections.abc import Iterator, Sequence

from vireo.catalog import resolve, unknown
from vireo.errors import MissingExtraError, SettingError
from vireo.records import Scoring, Task
from vireo.tasks import HEADS, LOSSES, METRICS
from vireo.tasks.heads import Head, takes
from vireo.tasks.metrics import Metric
from vireo.tasks.released import released


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


def metric_of(task: Task, scoring: Scoring = "standard") -> Metric:
    """Return the task's metric.

    Args:
        task: whose.
        scoring: "released" counts answers as the study's released code does (`tasks.released`).

    Raises:
        SettingError: the released rule cannot be applied to the task's answers.
    """
    metric: Metric = resolve(METRICS, task.metric, "metric", Metric)(task.outputs)
    return metric if scoring == "standard" else released(task, metric)


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
    yield from _geometry(task)


def _geometry(task: Task) -> Iterator[str]:
    low, high = task.scale
    if not 0 < low <= high < math.inf:
        yield f"scale must be a range of factors above 0, smaller first; got {task.scale}"
    if not 0 <= task.mirror <= 1:
        yield f"mirror must be a probability; got {task.mirror}"
    if task.crop is not None and min(task.crop) < 1:
        yield f"crop must be at least 1 x 1; got {task.crop}"
    if task.crop is None and (low, high) != (1, 1):
        yield "scale needs a crop: without one, images are resized to input_size"


def _together(task: Task) -> Iterator[str]:
    if any(_names(task)):
        return
    metric, head = metric_of(task), head_of(task)
    if task.loss not in metric.losses:
        yield f"metric '{task.metric}' goes with loss {_either(metric.losses)}; got '{task.loss}'"
    if metric.dense != head.dense:
        fitting = [name for name in HEADS if resolve(HEADS, name, "head").dense == metric.dense]
        yield f"metric '{task.metric}' goes with head {_either(fitting)}; got '{task.head}'"
    if task.higher_is_better != metric.higher_is_better:
        value = str(metric.higher_is_better).lower()
        yield f"higher_is_better must be {value} for metric '{task.metric}'"
    yield from _sizes(task, head)
    yield from _family(task, head)
    yield from _classes(task, metric)


def _sizes(task: Task, head: type[Head]) -> Iterator[str]:
    if not takes(head, task.frames):
        needed = "2 or more" if head.num_frames is None else head.num_frames
        yield f"frames must be {needed} for head '{task.head}'; got {task.frames}"
    if 1 <= task.batch_size < head.smallest_batch:
        needed = f"at least {head.smallest_batch} for head '{task.head}', which has batch norm"
        yield f"batch_size must be {needed}; got {task.batch_size}"


def _family(task: Task, head: type[Head]) -> Iterator[str]:
    level = "pixel" if head.dense else "image"
    if not task.family.endswith(level):
        yield f"family must end in '-{level}' for head '{task.head}'; got '{task.family}'"
    geometry = task.crop is not None or task.mirror > 0
    if geometry and not head.dense:
        yield f"crop and mirror are for heads that answer every pixel; '{task.head}' does not"


def _either(names: Sequence[str]) -> str:
    return " or ".join(f"'{name}'" for name in names)


def _classes(task: Task, metric: Metric) -> Iterator[str]:
    if metric.channels not in (None, task.outputs):
        yield f"outputs must be {metric.channels} for metric '{task.metric}'; got {task.outputs}"
    elif metric.classes and task.outputs < 2:
        yield f"outputs must be at least 2 classes; got {task.outputs}"
    weights = task.class_weights
    if weights and (not metric.classes or len(weights) != task.outputs):
        classes = task.outputs if metric.classes else 0
        yield f"class_weights must be one a class ({classes}); got {len(weights)}"
    if weights and not (min(weights) >= 0 and 0 < sum(weights) < math.inf):
        yield f"class_weights must be finite, not negative, nor all 0; got {weights}"
