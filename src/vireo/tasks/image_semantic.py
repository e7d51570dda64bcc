"""Tasks that ask what is in an image."""

from vireo.records import Task

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

ROOMS_NEAREST = Task(
    name="rooms-nearest",
    summary="box, sphere or cylinder: the shape of the nearest object",
    dataset="rooms",
    target="nearest",
    outputs=3,
    family="semantic-image",
    head="linear",
    loss="cross-entropy",
    metric="top-1",
    epochs=50,
    learning_rate=1e-3,
    input_size=(64, 64),
)
