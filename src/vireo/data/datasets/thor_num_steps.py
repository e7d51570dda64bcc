"""AI2-THOR: how many steps of 0.25 m one can go ahead, 0 to 4; the authors' own archive."""

from vireo.records import DatasetCard, DatasetSpec

SPEC = DatasetSpec(
    name="thor-num-steps",
    source="frame-list",
    options={"root": "$VIREO_DATASETS/thor-num-steps", "layout": "thor-steps"},
    splits={"train": {"file": "train_labels.txt"}, "test": {"file": "val_labels.txt"}},
)

CARD = DatasetCard(
    name="thor-num-steps",
    summary="rendered rooms and the steps of 0.25 m one can go ahead in them, 0 to 4",
    splits={"train": 60_000, "test": 0},
    licence="none stated; made with AI2-THOR, which is Apache-2.0",
    homepage="https://github.com/allenai/virb",
    how_to_get=(
        "Fetch https://prior-datasets.s3.us-east-2.amazonaws.com/ViRB/thor_num_steps.zip and "
        "unpack what its folder thor_num_steps holds in the dataset's folder."
    ),
    layout={
        "train/*/*rgb.jpg": "the images to train on, a folder a room",
        "val/*/*rgb.jpg": "those to test on",
        "train_labels.txt": "a line an image: its name without _rgb.jpg, and the steps",
        "val_labels.txt": "likewise",
    },
)
