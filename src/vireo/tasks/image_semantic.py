"""Tasks that ask what is in an image: the study's, at its Table 2's epochs, and the digits.

Epochs, sizes and losses are the study's (its Tables 1 and 2); the batch of 32 is its released
code's. `similar_pretraining` holds the pairs of its fifth question: SUN397 with Places,
Caltech-101 with ImageNet, Kinetics with Kinetics.
"""

from functools import partial

from vireo.records import Task

_classes = partial(
    Task,
    target="class",
    family="semantic-image",
    head="linear",
    loss="cross-entropy",
    metric="top-1",
)

IMAGENET = _classes(
    name="imagenet",
    summary="which of 1000 kinds of things is shown",
    dataset="imagenet",
    outputs=1000,
    epochs=100,
    extra_tests=("imagenet-v2",),
)

# A row of its own, by a head trained as ImageNet's is. What ImageNet's very head scores here is in
# the rows of "imagenet", as `top-1@imagenet-v2`.
IMAGENET_V2 = _classes(
    name="imagenet-v2",
    summary="the same of test images that were collected anew, by heads trained on ImageNet",
    dataset="imagenet-v2",
    outputs=1000,
    epochs=100,
)

PETS = _classes(
    name="pets",
    summary="which of 37 breeds of cats and dogs is shown",
    dataset="pets",
    outputs=37,
    epochs=500,
)

CALTECH_101 = _classes(
    name="caltech-101",
    summary="which of 101 kinds of things is shown, or none of them",
    dataset="caltech-101",
    outputs=102,
    epochs=5000,
    similar_pretraining=("imagenet",),
)

CIFAR_100 = _classes(
    name="cifar-100",
    summary="which of 100 kinds of things is shown, in 32x32 pixels",
    dataset="cifar-100",
    outputs=100,
    epochs=100,
)

SUN397 = _classes(
    name="sun397",
    summary="which of 397 kinds of places is shown",
    dataset="sun397",
    outputs=397,
    epochs=250,
    similar_pretraining=("places",),
)

EUROSAT = _classes(
    name="eurosat",
    summary="which of 10 kinds of land use is seen from above",
    dataset="eurosat",
    outputs=10,
    epochs=200,
)

DTD = _classes(
    name="dtd",
    summary="which of 47 words describes the texture",
    dataset="dtd",
    outputs=47,
    epochs=100,
)

KINETICS_ACTION = Task(
    name="kinetics-action",
    summary="which of 400 actions six frames of a clip show",
    dataset="kinetics-action",
    target="class",
    outputs=400,
    family="semantic-image",
    head="fusion",
    loss="cross-entropy",
    metric="top-1",
    frames=6,
    epochs=100,
    similar_pretraining=("kinetics",),
)

DIGITS = Task(
    name="digits",
    summary="which digit was written",
    dataset="digits",
    target="class",
    outputs=10,
    family="semantic-image",
    head="linear",
    loss="cross-entropy",
    metric="top-1",
    epochs=50,
    learning_rate=1e-3,
    input_size=(32, 32),
)
