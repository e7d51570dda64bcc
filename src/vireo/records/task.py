"""One end task: what to ask of a frozen encoder, and what an answer is worth."""

from dataclasses import dataclass
from typing import Literal

from vireo.records.datasets import DatasetSpec

Family = Literal["semantic-image", "structural-image", "semantic-pixel", "structural-pixel"]


@dataclass(frozen=True, kw_only=True)
class Task:
    """The facts of an end task (the study's Tables 1 and 2 are rows of these).

    Attributes:
        dataset: a name of the catalogue of datasets, or a spec of one's own.
        target: which target of an example is asked for ("class", "count", "mask", "depth").
        outputs: number of classes, or of channels of a regression.
        head, loss, metric: names of the catalogues in `tasks`.
        higher_is_better: of the metric's raw value; the stored score is negated where it is false.
        unit: of the raw value ("share", "m", "px").
        input_size: height and width images are resized to; "encoder" means the size that each
            encoder was trained at.
        frames: images an example has.
        crop: height and width of the random crops that a dense head is trained on: images then keep
            their own resolution and are tested whole, `input_size` being the usual one. None means
            that images are resized to `input_size`, in training and test.
        scale: range of the random factor by which an image is resized before it is cropped.
        mirror: probability that a training image of a dense task is mirrored.
        ignore_index: label code that counts neither in loss nor metric.
        class_weights: of the loss, one a class; empty means all one.
        max_steps: ends training of a dense head early; None means `epochs` decides.
        floor: score of knowing nothing; None means it is measured, by the best constant answer on
            the training labels.
        extra_tests: further test-only datasets scored with the same head.
        similar_pretraining: pre-training sets whose images are like this task's (the study's fifth
            question).
    """

    name: str
    summary: str
    dataset: str | DatasetSpec
    target: str
    outputs: int
    family: Family
    head: str
    loss: str
    metric: str
    epochs: int
    higher_is_better: bool = True
    unit: str = "share"
    input_size: tuple[int, int] | Literal["encoder"] = (224, 224)
    frames: int = 1
    crop: tuple[int, int] | None = None
    scale: tuple[float, float] = (1.0, 1.0)
    mirror: float = 0.0
    batch_size: int = 32
    learning_rate: float = 3e-4
    ignore_index: int = 255
    class_weights: tuple[float, ...] = ()
    max_steps: int | None = None
    floor: float | None = None
    extra_tests: tuple[str, ...] = ()
    similar_pretraining: tuple[str, ...] = ()
