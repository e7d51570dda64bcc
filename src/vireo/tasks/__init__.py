"""The end tasks, and the heads, losses and metrics they are made of. A new one is one line here."""

from typing import TYPE_CHECKING

from vireo.catalog import resolve, unknown
from vireo.errors import SettingError

if TYPE_CHECKING:
    from vireo.records import Task

TASKS = {
    "digits": "vireo.tasks.image_semantic:DIGITS",
    "rooms-nearest": "vireo.tasks.image_semantic:ROOMS_NEAREST",
    "rooms-count": "vireo.tasks.image_structural:ROOMS_COUNT",
    "rooms-foreground": "vireo.tasks.pixel_semantic:ROOMS_FOREGROUND",
    "rooms-walkable": "vireo.tasks.pixel_structural:ROOMS_WALKABLE",
    "rooms-depth": "vireo.tasks.pixel_structural:ROOMS_DEPTH",
}
HEADS = {
    "linear": "vireo.tasks.heads:LinearHead",
    "unet": "vireo.tasks.heads:UNet",
    "deeplabv3+": "vireo.tasks.heads:DeepLabV3Plus",
}
LOSSES = {
    "cross-entropy": "vireo.tasks.losses:cross_entropy",
    "l1": "vireo.tasks.losses:masked_l1",
}
METRICS = {
    "top-1": "vireo.tasks.metrics:Top1",
    "miou": "vireo.tasks.metrics:MeanIoU",
    "l1": "vireo.tasks.metrics:L1",
}


def find_task(name_or_path: str) -> "Task":
    """Return a task of the catalogue, or the one that a `.toml` file describes.

    Raises:
        SettingError: no such task, or the file has mistakes; all of them are listed.

    Example:
        >>> find_task("digits").outputs
        10
    """
    from vireo.records import Task
    from vireo.tasks.checks import mistakes
    from vireo.tasks.generic import read_task

    if name_or_path.endswith(".toml"):
        return read_task(name_or_path)
    if name_or_path not in TASKS and ":" not in name_or_path:
        known = unknown(name_or_path, TASKS, "task")
        raise SettingError(f"{known} Or give the path of a task file, ending in .toml.")
    task = resolve(TASKS, name_or_path, "task")
    wrong = mistakes(task) if isinstance(task, Task) else [f"it is a {type(task).__name__}"]
    if wrong:
        raise SettingError(f"'{name_or_path}' is no usable Task: {'; '.join(wrong)}.")
    assert isinstance(task, Task)
    return task
