"""Tasks that ask for the layout of a scene, pixel by pixel."""

from vireo.records import Task

NYU_WALKABLE = Task(
    name="nyu-walkable",
    summary="which pixels of a room show a surface to walk on",
    dataset="nyu",
    target="walkable",
    outputs=2,
    family="structural-pixel",
    head="deeplabv3+",
    loss="cross-entropy",
    metric="miou",
    epochs=100,
    batch_size=16,
)

NYU_DEPTH = Task(
    name="nyu-depth",
    summary="distance in a real room, in metres",
    dataset="nyu",
    target="depth",
    outputs=1,
    family="structural-pixel",
    head="unet",
    loss="l1",
    metric="l1",
    higher_is_better=False,
    unit="m",
    epochs=250,
    batch_size=16,
)

THOR_DEPTH = Task(
    name="thor-depth",
    summary="distance in a simulated room, in metres",
    dataset="thor-depth",
    target="depth",
    outputs=1,
    family="structural-pixel",
    head="unet",
    loss="l1",
    metric="l1",
    higher_is_better=False,
    unit="m",
    epochs=50,
    batch_size=16,
)

TASKONOMY_DEPTH = Task(
    name="taskonomy-depth",
    summary="distance in scanned buildings, in metres",
    dataset="taskonomy-depth",
    target="depth",
    outputs=1,
    family="structural-pixel",
    head="unet",
    loss="l1",
    metric="l1",
    higher_is_better=False,
    unit="m",
    epochs=50,
    batch_size=16,
    similar_pretraining=("taskonomy",),
)

KITTI_FLOW = Task(
    name="kitti-flow",
    summary="where each pixel moves between two street images, in pixels",
    dataset="kitti-flow",
    target="flow",
    outputs=2,
    family="structural-pixel",
    head="siamese-unet",
    loss="l1",
    metric="fl",
    epochs=250,
    batch_size=16,
    frames=2,
    input_size=(375, 1242),
    crop=(513, 513),
)
