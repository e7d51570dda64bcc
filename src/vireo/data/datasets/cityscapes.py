"""Cityscapes: street scenes with the 19 classes of its benchmark and one background.

The labels of the published test images are not given out, so the 500 validation images are the test
split here, and the 2,975 training images the training split. The study counts both together
(3,475). Ids that the benchmark does not score (its train id 255) become one background class, code
0, that is learned; the 19 follow in the order of their train ids.
"""

from vireo.records import DatasetCard, DatasetSpec

CLASSES = (
    "road",
    "sidewalk",
    "building",
    "wall",
    "fence",
    "pole",
    "traffic light",
    "traffic sign",
    "vegetation",
    "terrain",
    "sky",
    "person",
    "rider",
    "car",
    "truck",
    "bus",
    "train",
    "motorcycle",
    "bicycle",
)
_SCORED_IDS = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)
"""The label ids of `CLASSES`; all others of 0 to 33, and 255 (the id -1), are background."""

CODES = {
    str(label): str(_SCORED_IDS.index(label) + 1 if label in _SCORED_IDS else 0)
    for label in (*range(34), 255)
}


def _part(name: str) -> dict[str, str]:
    return {
        "images": f"leftImg8bit/{name}/*_leftImg8bit.png",
        "masks": f"gtFine/{name}/*_gtFine_labelIds.png",
    }


SPEC = DatasetSpec(
    name="cityscapes",
    source="image-mask",
    options={
        "root": "$VIREO_DATASETS/cityscapes",
        "codes": CODES,
        "class_names": ("background", *CLASSES),
    },
    splits={"train": _part("train"), "test": _part("val")},
)

CARD = DatasetCard(
    name="cityscapes",
    summary="street scenes of German cities, 1024x2048, 19 classes and background",
    splits={"train": 2975, "test": 500},
    licence="Cityscapes terms of use: non-commercial research, no redistribution",
    homepage="https://www.cityscapes-dataset.com",
    how_to_get=(
        "Register on the homepage, accept the terms, download leftImg8bit_trainvaltest.zip (11 GB) "
        "and gtFine_trainvaltest.zip (241 MB), and unpack both into the folder."
    ),
    class_names=("background", *CLASSES),
    layout={
        "leftImg8bit/train/*/*_leftImg8bit.png": "2,975 training images by city",
        "leftImg8bit/val/*/*_leftImg8bit.png": "500 validation images, the test split here",
        "gtFine/train/*/*_gtFine_labelIds.png": "label ids of the training images",
        "gtFine/val/*/*_gtFine_labelIds.png": "label ids of the validation images",
    },
)
