"""AI2-THOR: what the camera did between two frames; the authors' own archive."""

from vireo.records import DatasetCard, DatasetSpec

SPEC = DatasetSpec(
    name="thor-egomotion",
    source="frame-list",
    options={
        "root": "$VIREO_DATASETS/thor-egomotion",
        "layout": "thor-actions",
        "class_names": ("MoveAhead", "RotateLeft", "RotateRight", "LookUp", "LookDown"),
    },
    splits={"train": {"file": "train_labels.txt"}, "test": {"file": "val_labels.txt"}},
)

CARD = DatasetCard(
    name="thor-egomotion",
    summary="pairs of frames of rendered rooms: ahead, left, right, up or down",
    splits={"train": 60_000, "test": 0},
    licence="none stated; made with AI2-THOR, which is Apache-2.0",
    homepage="https://github.com/allenai/virb",
    how_to_get=(
        "Fetch https://prior-datasets.s3.us-east-2.amazonaws.com/ViRB/thor_egomotion.zip and "
        "unpack what its folder thor_action_prediction holds in the dataset's folder."
    ),
    layout={
        "train/*/*_rgb_a.jpg": "the first frames to train on; _b.jpg beside them are the second",
        "val/*/*_rgb_a.jpg": "those to test on",
        "train_labels.txt": "a line a pair: its name without _rgb_a.jpg, and the action",
        "val_labels.txt": "likewise",
    },
    class_names=("MoveAhead", "RotateLeft", "RotateRight", "LookUp", "LookDown"),
)
