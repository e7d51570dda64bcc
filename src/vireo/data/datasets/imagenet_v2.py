"""ImageNet v2, matched frequency: a second test set for heads that were trained on ImageNet.

Its folders are named after class codes, "0" to "999", whose order as texts is another.
"""

from vireo.records import DatasetCard, DatasetSpec

SPEC = DatasetSpec(
    name="imagenet-v2",
    source="image-folder",
    options={"root": "$VIREO_DATASETS/imagenet-v2", "classes": True},
    splits={
        "train": {"root": "$VIREO_DATASETS/imagenet", "subfolder": "train"},
        "test": {
            "subfolder": "imagenetv2-matched-frequency-format-val",
            "class_names": tuple(map(str, range(1000))),
        },
    },
)

CARD = DatasetCard(
    name="imagenet-v2",
    summary="ten new test images for each class of ImageNet; trained on ImageNet itself",
    splits={"train": 1_281_167, "test": 10_000},
    licence="MIT, as its repository states; the photographs are their owners'",
    homepage="https://github.com/modestyachts/ImageNetV2",
    how_to_get=(
        "Fetch imagenetv2-matched-frequency.tar.gz from "
        "https://huggingface.co/datasets/vaishaal/ImageNetV2 and unpack it in the dataset's "
        "folder. Training uses the dataset 'imagenet', so that has to be there too."
    ),
    layout={"imagenetv2-matched-frequency-format-val/*": "a folder a class, 0 to 999"},
)
