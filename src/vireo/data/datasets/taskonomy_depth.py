"""Taskonomy: indoor images with z-buffer depth.

The study draws 39,995 training images from buildings that it lists at
https://prior-datasets.s3.us-east-2.amazonaws.com/ViRB/taskonomy_scenes.txt and does not say which
are tested on. Folders `train` and `test` fix the parts; otherwise a tenth of the buildings is kept
for testing.
"""

from vireo.records import DatasetCard, DatasetSpec

SPEC = DatasetSpec(
    name="taskonomy-depth",
    source="vireo.data.sources.taskonomy:TaskonomySource",
    options={"root": "$VIREO_DATASETS/taskonomy-depth"},
    splits={"train": {"part": "train"}, "test": {"part": "test"}},
    limit={"train": 39_995},
)

CARD = DatasetCard(
    name="taskonomy-depth",
    summary="rooms of real buildings, 512x512, with depth in metres",
    splits={"train": 39_995, "test": 0},
    licence="Taskonomy's data licence: non-commercial research, one agreement a person",
    homepage="http://taskonomy.stanford.edu",
    how_to_get=(
        "Accept the agreement on the homepage, download the domains rgb and depth_zbuffer of the "
        "buildings in https://prior-datasets.s3.us-east-2.amazonaws.com/ViRB/taskonomy_scenes.txt "
        "(48 GB), and unpack them into the folder, or into train and test within it."
    ),
    layout={
        "**/rgb/*/*_domain_rgb.png": "images by building",
        "**/depth_zbuffer/*/*_domain_depth_zbuffer.png": "depth, 16 bits, 1/512 m",
    },
)
