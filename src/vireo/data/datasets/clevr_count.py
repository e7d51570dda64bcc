"""CLEVR: rendered scenes of 3 to 10 objects; the official validation set is the test.

The labels of the test set were never published.
"""

from vireo.records import DatasetCard, DatasetSpec

SPEC = DatasetSpec(
    name="clevr-count",
    source="torchvision",
    options={"root": "$VIREO_DATASETS/clevr-count", "reader": "CLEVRClassification"},
    splits={"train": {"parts": ("train",)}, "test": {"parts": ("val",)}},
)

CARD = DatasetCard(
    name="clevr-count",
    summary="rendered scenes and the number of their objects, 3 to 10",
    splits={"train": 70_000, "test": 15_000},
    licence="CC BY 4.0",
    homepage="https://cs.stanford.edu/people/jcjohns/clevr/",
    how_to_get=(
        "Run 'vireo data get clevr-count', or unpack CLEVR_v1.0.zip of the homepage in a folder "
        "clevr below the dataset's."
    ),
    layout={
        "clevr/CLEVR_v1.0/images/train/*.png": "the images to train on",
        "clevr/CLEVR_v1.0/images/val/*.png": "those to test on",
        "clevr/CLEVR_v1.0/scenes/CLEVR_train_scenes.json": "what is in them",
        "clevr/CLEVR_v1.0/scenes/CLEVR_val_scenes.json": "likewise",
    },
    checksums={"CLEVR_v1.0.zip": "md5:b11922020e72d0cd9154779b2d3d07d2"},
    downloader="CLEVRClassification",
)
