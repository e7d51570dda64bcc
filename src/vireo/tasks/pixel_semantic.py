"""Tasks that ask what each pixel belongs to."""

from vireo.records import Task

CITYSCAPES = Task(
    name="cityscapes",
    summary="what each pixel of a street scene shows: 19 classes, and background not scored",
    dataset="cityscapes",
    target="mask",
    outputs=20,
    family="semantic-pixel",
    head="deeplabv3+",
    loss="cross-entropy",
    metric="miou-foreground",
    epochs=100,
    batch_size=16,
    input_size=(1024, 2048),
    crop=(513, 513),
    scale=(0.5, 2.0),
    mirror=0.5,
)

PETS_SEGMENTATION = Task(
    name="pets-segmentation",
    summary="which pixels show the cat or dog; its border is ignored",
    dataset="pets",
    target="mask",
    outputs=2,
    family="semantic-pixel",
    head="deeplabv3+",
    loss="cross-entropy",
    metric="miou",
    epochs=100,
    batch_size=16,
)

# never mirrored: a mirrored left hand is a right one
EGOHANDS = Task(
    name="egohands",
    summary="whose hand, and which, each pixel shows, seen by the wearer of a camera",
    dataset="egohands",
    target="mask",
    outputs=5,
    family="semantic-pixel",
    head="deeplabv3+",
    loss="cross-entropy",
    metric="miou",
    epochs=25,
    batch_size=16,
    input_size=(720, 1280),
    crop=(513, 513),
    class_weights=(0.1, 1.0, 1.0, 1.0, 1.0),
)
