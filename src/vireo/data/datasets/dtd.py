"""DTD: textures that words describe. The first official partition, its train and val together.

The study trains on both. A head that is selected is so on a part cut out of them.
"""

from vireo.records import DatasetCard, DatasetSpec

SPEC = DatasetSpec(
    name="dtd",
    source="torchvision",
    options={"root": "$VIREO_DATASETS/dtd", "reader": "DTD"},
    splits={"train": {"parts": ("train", "val")}, "test": {"parts": ("test",)}},
)

CARD = DatasetCard(
    name="dtd",
    summary="textures of 47 describing words; the first official partition",
    splits={"train": 3_760, "test": 1_880},
    licence="for research purposes, as its homepage states",
    homepage="https://www.robots.ox.ac.uk/~vgg/data/dtd/",
    how_to_get=(
        "Run 'vireo data get dtd', or unpack dtd-r1.0.1.tar.gz of the homepage in a folder dtd "
        "below the dataset's."
    ),
    layout={
        "dtd/dtd/images/*/*.jpg": "a folder a word",
        "dtd/dtd/labels/train1.txt": "of the first partition: images to train on",
        "dtd/dtd/labels/val1.txt": "these too",
        "dtd/dtd/labels/test1.txt": "those to test on",
    },
    checksums={"dtd-r1.0.1.tar.gz": "md5:fff73e5086ae6bdbea199a49dfb8a4c1"},
    downloader="DTD",
)
