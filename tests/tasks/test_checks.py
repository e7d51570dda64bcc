"""Facts of a task that do not go together, each said once and by the name of its field."""

import dataclasses

import pytest

from vireo.records import Task
from vireo.tasks.checks import mistakes

IMAGE = Task(
    name="ill",
    summary="is the leaf ill",
    dataset="rooms",
    target="class",
    outputs=3,
    family="semantic-image",
    head="linear",
    loss="cross-entropy",
    metric="top-1",
    epochs=1,
)
MASK = dataclasses.replace(
    IMAGE, family="semantic-pixel", head="deeplabv3+", metric="miou", crop=(64, 64), mirror=0.5
)
NUMBERS = dataclasses.replace(IMAGE, loss="huber", metric="mae", higher_is_better=False)
FLOW = dataclasses.replace(
    MASK, head="siamese-unet", loss="l1", metric="fl", outputs=2, frames=2, scale=(0.5, 2.0)
)


@pytest.mark.parametrize(
    "task",
    [
        IMAGE,
        MASK,
        NUMBERS,
        FLOW,
        dataclasses.replace(IMAGE, metric="count"),
        dataclasses.replace(IMAGE, head="fusion", frames=6),
        dataclasses.replace(MASK, metric="miou-foreground", head="unet", crop=None, mirror=1.0),
        dataclasses.replace(MASK, metric="iou", outputs=2, class_weights=(0.1, 1.0)),
        dataclasses.replace(MASK, head="siamese-unet", frames=2),  # what changed between two images
        dataclasses.replace(FLOW, metric="l1", outputs=5, higher_is_better=False, batch_size=1),
    ],
)
def test_what_goes_together(task):
    assert mistakes(task) == []


@pytest.mark.parametrize(
    ("task", "changed", "said"),
    [
        (IMAGE, {"head": "fusion"}, "frames must be 2 or more for head 'fusion'; got 1"),
        (IMAGE, {"frames": 2}, "frames must be 1 for head 'linear'; got 2"),
        (FLOW, {"frames": 3}, "frames must be 2 for head 'siamese-unet'; got 3"),
        (MASK, {"batch_size": 1}, "batch_size must be at least 2 for head 'deeplabv3+', which has"),
        (FLOW, {"outputs": 1}, "outputs must be 2 for metric 'fl'; got 1"),
        (MASK, {"metric": "iou"}, "outputs must be 2 for metric 'iou'; got 3"),
        (IMAGE, {"outputs": 1}, "outputs must be at least 2 classes; got 1"),
        (IMAGE, {"loss": "l1"}, "metric 'top-1' goes with loss 'cross-entropy'; got 'l1'"),
        (NUMBERS, {"loss": "cross-entropy"}, "metric 'mae' goes with loss 'l1' or 'huber'; got"),
        (NUMBERS, {"higher_is_better": True}, "higher_is_better must be false for metric 'mae'"),
        (NUMBERS, {"class_weights": (1.0,)}, "class_weights must be one a class (0); got 1"),
        (IMAGE, {"family": "semantic-pixel"}, "family must end in '-image' for head 'linear'"),
        (MASK, {"family": "structural-image"}, "family must end in '-pixel' for head 'deeplabv3+'"),
        (IMAGE, {"crop": (32, 32)}, "crop and mirror are for heads that answer every pixel"),
        (IMAGE, {"mirror": 0.5}, "crop and mirror are for heads that answer every pixel"),
        (MASK, {"crop": (0, 3)}, "crop must be at least 1 x 1; got (0, 3)"),
        (MASK, {"mirror": 1.5}, "mirror must be a probability; got 1.5"),
        (MASK, {"mirror": float("nan")}, "mirror must be a probability; got nan"),
        (MASK, {"scale": (2.0, 0.5)}, "scale must be a range of factors above 0, smaller first"),
        (MASK, {"scale": (0.0, 1.0)}, "scale must be a range of factors above 0, smaller first"),
        (MASK, {"scale": (0.5, 2.0), "crop": None}, "scale needs a crop"),
        (MASK, {"head": "linear", "crop": None, "mirror": 0.0}, "goes with head 'unet' or 'siam"),
        (NUMBERS, {"head": "unet", "family": "semantic-pixel"}, "goes with head 'linear' or 'fus"),
    ],
)
def test_what_does_not_is_said_by_field(task, changed, said):
    found = mistakes(dataclasses.replace(task, **changed))
    assert sum(said in sentence for sentence in found) == 1, found
    assert all(not sentence.endswith(".") for sentence in found)
