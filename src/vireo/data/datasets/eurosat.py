"""EuroSAT: satellite images of 10 kinds of land use. Four fifths of all are the study's 21,600.

Which they were is not known: a fifth is cut out here, stratified and seeded. The study's text says
20 classes; there are 10.
"""

from vireo.records import Carve, DatasetCard, DatasetSpec

SPEC = DatasetSpec(
    name="eurosat",
    source="torchvision",
    options={"root": "$VIREO_DATASETS/eurosat", "reader": "EuroSAT"},
    carve={"test": Carve(fraction=0.2)},
)

CARD = DatasetCard(
    name="eurosat",
    summary="64x64 satellite images of 10 kinds of land use, enlarged",
    splits={"train": 21_600, "test": 5_400},
    licence="MIT",
    homepage="https://github.com/phelber/EuroSAT",
    how_to_get=(
        "Run 'vireo data get eurosat', or unpack EuroSAT.zip of the homepage (RGB) in a folder "
        "eurosat below the dataset's."
    ),
    layout={"eurosat/2750/*/*.jpg": "a folder a class"},
    checksums={"EuroSAT.zip": "md5:c8fa014336c82ac7804f0398fcb19387"},
    downloader="EuroSAT",
)
