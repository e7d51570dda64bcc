"""SUN397: scenes of 397 categories. The study's 87,003 training images are four fifths of it all.

Which they were is not known: a fifth is cut out here, stratified and seeded.
"""

from vireo.records import Carve, DatasetCard, DatasetSpec

SPEC = DatasetSpec(
    name="sun397",
    source="torchvision",
    options={"root": "$VIREO_DATASETS/sun397", "reader": "SUN397"},
    carve={"test": Carve(fraction=0.2)},
)

CARD = DatasetCard(
    name="sun397",
    summary="scenes of 397 categories",
    splits={"train": 87_003, "test": 21_751},
    licence="none stated; for research, the photographs are their owners'",
    homepage="https://vision.princeton.edu/projects/2010/SUN/",
    how_to_get=(
        "Run 'vireo data get sun397', or unpack SUN397.tar.gz of the homepage in the dataset's "
        "folder."
    ),
    layout={
        "SUN397/ClassName.txt": "the categories, in order",
        "SUN397/[a-z]/*": "a folder a category, below its first letter",
    },
    checksums={"SUN397.tar.gz": "md5:8ca2778205c41d23104230ba66911c7a"},
    downloader="SUN397",
)
