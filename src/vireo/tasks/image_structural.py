"""Tasks that ask how a scene is built, one answer an image, at the study's Table 2's epochs."""

from vireo.records import Task

CLEVR_COUNT = Task(
    name="clevr-count",
    summary="how many objects are there, 3 to 10",
    dataset="clevr-count",
    target="count",
    outputs=11,
    family="structural-image",
    head="linear",
    loss="cross-entropy",
    metric="top-1",
    epochs=100,
)

THOR_NUM_STEPS = Task(
    name="thor-num-steps",
    summary="how many steps of 0.25 m one can go ahead, 0 to 4",
    dataset="thor-num-steps",
    target="count",
    outputs=5,
    family="structural-image",
    head="linear",
    loss="cross-entropy",
    metric="top-1",
    epochs=100,
)

THOR_EGOMOTION = Task(
    name="thor-egomotion",
    summary="what the camera did between two frames: ahead, left, right, up or down",
    dataset="thor-egomotion",
    target="class",
    outputs=5,
    family="structural-image",
    head="fusion",
    loss="cross-entropy",
    metric="top-1",
    frames=2,
    epochs=100,
)

NUSCENES_EGOMOTION = Task(
    name="nuscenes-egomotion",
    summary="how the car moved between two frames: forward, to the left, to the right, or not",
    dataset="nuscenes-egomotion",
    target="class",
    outputs=4,
    family="structural-image",
    head="fusion",
    loss="cross-entropy",
    metric="top-1",
    frames=2,
    epochs=100,
)
