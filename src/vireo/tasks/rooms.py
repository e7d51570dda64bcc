"""Tasks on rendered rooms: every family and head, with exact labels, made on the spot.

They stand in for tasks whose data most people do not have, at a size for two CPU cores. What was
seen (`benchmarks/rooms_scores.py`, one seed; intervals are in docs/log.md): the best constant
answer, frozen ResNet-20s with random weights and with those of CIFAR-10's labels, and the latter
trained on end to end.

                     constant answer   random weights   CIFAR-10 labels   end to end
    rooms-nearest              .364             .368              .584         .810
    rooms-texture              .126             .164              .436         .870
    rooms-actions              .095             .295              .250         .360
    rooms-count                .314             .368              .554         .832
    rooms-steps                .216             .450              .464         .696
    rooms-egomotion            .200             .442              .512         .862
    rooms-foreground           .447             .576              .786         .849
    rooms-semantic             .071             .331              .564         .509
    rooms-walkable             .317             .753              .862         .893
    rooms-depth, m             1.27             1.07              .744         .600
    rooms-flow                 .165             .581              .458         .181
"""

from vireo.records import Task

ROOMS_NEAREST = Task(
    name="rooms-nearest",
    summary="box, sphere or cylinder: the shape of the nearest object",
    dataset="rooms-objects",
    target="nearest",
    outputs=3,
    family="semantic-image",
    head="linear",
    loss="cross-entropy",
    metric="top-1",
    epochs=50,
    learning_rate=1e-3,
    input_size=(64, 64),
    similar_pretraining=("rooms",),
)

ROOMS_TEXTURE = Task(
    name="rooms-texture",
    summary="what the floor is covered with: tiles, planks, stripes, ...",
    dataset="rooms",
    target="texture",
    outputs=8,
    family="semantic-image",
    head="linear",
    loss="cross-entropy",
    metric="top-1",
    epochs=50,
    learning_rate=1e-3,
    input_size=(64, 64),
    similar_pretraining=("rooms",),
)

ROOMS_ACTIONS = Task(
    name="rooms-actions",
    summary="which of ten gestures the camera made, from six frames",
    dataset="rooms-clips",
    target="class",
    outputs=10,
    family="semantic-image",
    head="fusion",
    loss="cross-entropy",
    metric="top-1",
    frames=6,
    epochs=50,
    learning_rate=1e-3,
    input_size=(64, 64),
    similar_pretraining=("rooms",),
)

ROOMS_COUNT = Task(
    name="rooms-count",
    summary="how many objects are visible, 1 to 5",
    dataset="rooms-objects",
    target="count",
    outputs=6,
    family="structural-image",
    head="linear",
    loss="cross-entropy",
    metric="count",
    epochs=50,
    learning_rate=1e-3,
    input_size=(64, 64),
    similar_pretraining=("rooms",),
)

ROOMS_STEPS = Task(
    name="rooms-steps",
    summary="how many steps of 0.25 m are free ahead, 0 to 4",
    dataset="rooms-steps",
    target="steps",
    outputs=5,
    family="structural-image",
    head="linear",
    loss="cross-entropy",
    metric="count",
    epochs=50,
    learning_rate=1e-3,
    input_size=(64, 64),
    similar_pretraining=("rooms",),
)

ROOMS_EGOMOTION = Task(
    name="rooms-egomotion",
    summary="how the camera moved between two frames: ahead, left, right, up, down",
    dataset="rooms-egomotion",
    target="class",
    outputs=5,
    family="structural-image",
    head="fusion",
    loss="cross-entropy",
    metric="top-1",
    frames=2,
    epochs=50,
    learning_rate=1e-3,
    input_size=(64, 64),
    similar_pretraining=("rooms",),
)

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
    similar_pretraining=("rooms",),
)

ROOMS_SEMANTIC = Task(
    name="rooms-semantic",
    summary="wall, floor, ceiling, box, sphere or cylinder: what each pixel shows",
    dataset="rooms",
    target="mask",
    outputs=6,
    family="semantic-pixel",
    head="deeplabv3+",
    loss="cross-entropy",
    metric="miou",
    epochs=2,
    max_steps=150,
    batch_size=16,
    learning_rate=1e-3,
    input_size=(64, 64),
    similar_pretraining=("rooms",),
)

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
    similar_pretraining=("rooms",),
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
    similar_pretraining=("rooms",),
)

ROOMS_FLOW = Task(
    name="rooms-flow",
    summary="where each pixel goes as the camera moves a little",
    dataset="rooms-flow",
    target="flow",
    outputs=2,
    family="structural-pixel",
    head="siamese-unet",
    loss="l1",
    metric="fl",
    frames=2,
    epochs=15,
    max_steps=900,
    batch_size=16,
    learning_rate=1e-3,
    input_size=(64, 64),
    similar_pretraining=("rooms",),
)
