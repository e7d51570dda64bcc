"""nuScenes: how the car moved between two frames; the authors' lists over the published images."""

from vireo.records import DatasetCard, DatasetSpec

SPEC = DatasetSpec(
    name="nuscenes-egomotion",
    source="frame-list",
    options={"root": "$VIREO_DATASETS/nuscenes-egomotion", "layout": "nuscenes"},
    splits={"train": {"file": "nuScenes_train.json"}, "test": {"file": "nuScenes_test.json"}},
)

CARD = DatasetCard(
    name="nuscenes-egomotion",
    summary="pairs of frames from a car: forward, forward-left, forward-right or none",
    splits={"train": 28_000, "test": 0},
    licence="nuScenes' terms of use: CC BY-NC-SA 4.0, non-commercial, after registration",
    homepage="https://www.nuscenes.org/nuscenes",
    how_to_get=(
        "Register at the homepage, accept the terms, fetch the camera images of the full dataset "
        "and unpack them, so that samples and sweeps lie in the dataset's folder. Put the lists "
        "https://prior-datasets.s3.us-east-2.amazonaws.com/ViRB/nuScenes_train.json and "
        "nuScenes_test.json beside them."
    ),
    layout={
        "samples/*": "key frames, a folder a camera",
        "sweeps/*": "the frames between them",
        "nuScenes_train.json": "the pairs to train on: img_a, img_b, label",
        "nuScenes_test.json": "those to test on",
    },
)
