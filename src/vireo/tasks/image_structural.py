"""Tasks that ask how a scene is built, one answer an image."""

from vireo.records import Task

ROOMS_COUNT = Task(
    name="rooms-count",
    summary="how many objects are visible, 1 to 6",
    dataset="rooms",
    target="count",
    outputs=7,
    family="structural-image",
    head="linear",
    loss="cross-entropy",
    metric="top-1",
    epochs=50,
    learning_rate=1e-3,
    input_size=(64, 64),
)
