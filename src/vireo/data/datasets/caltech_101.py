"""Caltech-101: 30 images of each of 102 folders to train, the background's among them.

The files have no split: it is drawn by file names, seeded. torchvision's reader drops the
background class, which the published size of 3,060 counts.
"""

from vireo.records import DatasetCard, DatasetSpec

SPEC = DatasetSpec(
    name="caltech-101",
    source="per-class",
    options={
        "root": "$VIREO_DATASETS/caltech-101",
        "subfolder": "caltech101/101_ObjectCategories",
        "per_class": 30,
        "seed": 0,
    },
    splits={"train": {"part": "train"}, "test": {"part": "test"}},
)

CARD = DatasetCard(
    name="caltech-101",
    summary="photographs of 101 kinds of things, and of none of them",
    splits={"train": 3_060, "test": 6_084},
    licence="CC BY 4.0",
    homepage="https://data.caltech.edu/records/mzrjq-6wc02",
    how_to_get=(
        "Run 'vireo data get caltech-101', or unpack caltech-101.zip of the homepage, and "
        "101_ObjectCategories.tar.gz in it, in a folder caltech101 below the dataset's."
    ),
    layout={
        "caltech101/101_ObjectCategories/BACKGROUND_Google": "images of none of the classes",
        "caltech101/101_ObjectCategories/*/image_*.jpg": "a folder a class",
    },
    checksums={"caltech-101.zip": "md5:3138e1922a9193bfa496528edbbc45d0"},
    downloader="Caltech101",
)
