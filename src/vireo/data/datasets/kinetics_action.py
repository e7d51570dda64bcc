"""Kinetics-400: six frames of a clip, in order, and the action they show.

The study's table has 50,000 training examples (its text: 50,000 frames, six a clip); which they
were is not known: a stratified, seeded draw of as many clips. For another number, state it under
[data.limit] of a task file.
"""

from vireo.records import DatasetCard, DatasetSpec

SPEC = DatasetSpec(
    name="kinetics-action",
    source="kinetics",
    options={"root": "$VIREO_DATASETS/kinetics-action", "num_frames": 6},
    splits={"train": {"part": "train"}, "test": {"part": "val"}},
    limit={"train": 50_000},
)

CARD = DatasetCard(
    name="kinetics-action",
    summary="six frames of clips of 400 human actions; the official validation set is the test",
    splits={"train": 50_000, "test": 0},
    licence="annotations CC BY 4.0; the videos are their owners', on YouTube's terms",
    homepage="https://github.com/cvdfoundation/kinetics-dataset",
    how_to_get=(
        "Fetch the training and validation videos of Kinetics-400 as the homepage says, and put "
        "each into train/CLASS or val/CLASS. Or keep frames: the publisher's train.json and "
        "validate.json in annotations, the frames in train/ID[:2]/ID_*.jpg and validate/..."
    ),
    layout={
        "train/*/*": "videos, a folder a class; or frames, a folder a start of an identifier",
        "val*/*/*": "likewise: val of videos, validate of frames",
    },
)
