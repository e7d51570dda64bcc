"""Tasks that ask what each pixel belongs to."""

from vireo.records import Task

ROOMS_FOREGROUND = Task(
    name="rooms-foreground",
    summary="which pixels show an object, and which the room",
    dataset="rooms",
    target="foreground",
    outputs=2,
    family="semantic-pixel",
    head="deeplabv3+",
    loss="cross-entropy",
    metric="miou",
    epochs=2,
    max_steps=150,
    batch_size=16,
    learning_rate=1e-3,
    input_size=(64, 64),
)
