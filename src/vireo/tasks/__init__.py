"""The end tasks, and the heads, losses and metrics they are made of. A new one is one line here."""

from typing import TYPE_CHECKING

from vireo.catalog import resolve, unknown
from vireo.errors import SettingError

if TYPE_CHECKING:
    from vireo.records import Task

TASKS = {
    "imagenet": "vireo.tasks.image_semantic:IMAGENET",
    "imagenet-v2": "vireo.tasks.image_semantic:IMAGENET_V2",
    "pets": "vireo.tasks.image_semantic:PETS",
    "caltech-101": "vireo.tasks.image_semantic:CALTECH_101",
    "cifar-100": "vireo.tasks.image_semantic:CIFAR_100",
    "sun397": "vireo.tasks.image_semantic:SUN397",
    "eurosat": "vireo.tasks.image_semantic:EUROSAT",
    "dtd": "vireo.tasks.image_semantic:DTD",
    "kinetics-action": "vireo.tasks.image_semantic:KINETICS_ACTION",
    "clevr-count": "vireo.tasks.image_structural:CLEVR_COUNT",
    "thor-num-steps": "vireo.tasks.image_structural:THOR_NUM_STEPS",
    "thor-egomotion": "vireo.tasks.image_structural:THOR_EGOMOTION",
    "nuscenes-egomotion": "vireo.tasks.image_structural:NUSCENES_EGOMOTION",
    "digits": "vireo.tasks.image_semantic:DIGITS",
    "rooms-nearest": "vireo.tasks.rooms:ROOMS_NEAREST",
    "rooms-texture": "vireo.tasks.rooms:ROOMS_TEXTURE",
    "rooms-actions": "vireo.tasks.rooms:ROOMS_ACTIONS",
    "rooms-count": "vireo.tasks.rooms:ROOMS_COUNT",
    "rooms-steps": "vireo.tasks.rooms:ROOMS_STEPS",
    "rooms-egomotion": "vireo.tasks.rooms:ROOMS_EGOMOTION",
    "rooms-foreground": "vireo.tasks.rooms:ROOMS_FOREGROUND",
    "rooms-semantic": "vireo.tasks.rooms:ROOMS_SEMANTIC",
    "rooms-walkable": "vireo.tasks.rooms:ROOMS_WALKABLE",
    "rooms-depth": "vireo.tasks.rooms:ROOMS_DEPTH",
    "rooms-flow": "vireo.tasks.rooms:ROOMS_FLOW",
    "cityscapes": "vireo.tasks.pixel_semantic:CITYSCAPES",
    "pets-segmentation": "vireo.tasks.pixel_semantic:PETS_SEGMENTATION",
    "egohands": "vireo.tasks.pixel_semantic:EGOHANDS",
    "nyu-walkable": "vireo.tasks.pixel_structural:NYU_WALKABLE",
    "nyu-depth": "vireo.tasks.pixel_structural:NYU_DEPTH",
    "thor-depth": "vireo.tasks.pixel_structural:THOR_DEPTH",
    "taskonomy-depth": "vireo.tasks.pixel_structural:TASKONOMY_DEPTH",
    "kitti-flow": "vireo.tasks.pixel_structural:KITTI_FLOW",
}
HEADS = {
    "linear": "vireo.tasks.heads:LinearHead",
    "fusion": "vireo.tasks.heads:FusionHead",
    "unet": "vireo.tasks.heads:UNet",
    "siamese-unet": "vireo.tasks.heads:SiameseUNet",
    "deeplabv3+": "vireo.tasks.heads:DeepLabV3Plus",
}
LOSSES = {
    "cross-entropy": "vireo.tasks.losses:cross_entropy",
    "l1": "vireo.tasks.losses:masked_l1",
    "huber": "vireo.tasks.losses:masked_huber",
}
METRICS = {
    "top-1": "vireo.tasks.metrics:Top1",
    "count": "vireo.tasks.metrics:Count",
    "miou": "vireo.tasks.metrics:MeanIoU",
    "miou-foreground": "vireo.tasks.metrics:ForegroundIoU",
    "iou": "vireo.tasks.metrics:BinaryIoU",
    "l1": "vireo.tasks.metrics:L1",
    "mae": "vireo.tasks.metrics:MeanAbsolute",
    "fl": "vireo.tasks.metrics:FlowInliers",
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
