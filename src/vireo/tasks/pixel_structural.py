"""Tasks that ask for the layout of a scene, pixel by pixel."""

from vireo.records import Task

ROOMS_WALKABLE = Task(
    name="rooms-walkable",
    summary="which pixels of the floor one can walk on",
    dataset="rooms",
    target="walkable",
    outputs=2,
    family="structural-pixel",
    head="deeplabv3+",
    loss="cross-entropy",
    metric="miou",
    epochs=2,
    max_steps=150,
    batch_size=16,
    learning_rate=1e-3,
    input_size=(64, 64),
)

ROOMS_DEPTH = Task(
    name="rooms-depth",
    summary="distance to what each pixel shows, in metres",
    dataset="rooms",
    target="depth",
    outputs=1,
    family="structural-pixel",
    head="unet",
    loss="l1",
    metric="l1",
    higher_is_better=False,
    unit="m",
    epochs=3,
    max_steps=240,
    batch_size=16,
    learning_rate=1e-3,
    input_size=(64, 64),
)
