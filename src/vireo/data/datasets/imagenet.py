"""ImageNet: the ILSVRC 2012 classification images, 1000 classes; tested on the validation set.

The layout is the one that torchvision unpacks the archives to. Class codes are the places of the
sorted WordNet identifiers, as everywhere.
"""

from vireo.records import DatasetCard, DatasetSpec

SPEC = DatasetSpec(
    name="imagenet",
    source="image-folder",
    options={"root": "$VIREO_DATASETS/imagenet", "classes": True},
    splits={"train": {"subfolder": "train"}, "test": {"subfolder": "val"}},
)

CARD = DatasetCard(
    name="imagenet",
    summary="photographs of 1000 kinds of things; the official validation set is the test",
    splits={"train": 1_281_167, "test": 50_000},
    licence="ImageNet's terms of access: non-commercial research and education, after registration",
    homepage="https://image-net.org/challenges/LSVRC/2012/",
    how_to_get=(
        "Register at https://image-net.org, accept the terms, fetch ILSVRC2012_img_train.tar, "
        "ILSVRC2012_img_val.tar and ILSVRC2012_devkit_t12.tar.gz into the dataset's folder, and "
        "run 'vireo data get imagenet', which verifies and unpacks them."
    ),
    layout={
        "train/n*": "a folder a class, named after its WordNet identifier",
        "val/n*": "likewise",
    },
    checksums={
        "ILSVRC2012_img_train.tar": "md5:1d675b47d978889d74fa0da5fadfb00e",
        "ILSVRC2012_img_val.tar": "md5:29b22e2961454d5413ddabcf34fc5622",
        "ILSVRC2012_devkit_t12.tar.gz": "md5:fa75699e90414af021442c21a62c3abf",
    },
    downloader="ImageNet",
)
