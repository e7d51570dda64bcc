"""Oxford-IIIT Pets: 37 breeds of cats and dogs, and where in the image the animal is."""

from vireo.records import DatasetCard, DatasetSpec

SPEC = DatasetSpec(
    name="pets",
    source="torchvision",
    options={"root": "$VIREO_DATASETS/pets", "reader": "OxfordIIITPet"},
    splits={"train": {"parts": ("trainval",)}, "test": {"parts": ("test",)}},
)

CARD = DatasetCard(
    name="pets",
    summary="cats and dogs of 37 breeds, with masks of the animal; the official split",
    splits={"train": 3_680, "test": 3_669},
    licence="CC BY-SA 4.0",
    homepage="https://www.robots.ox.ac.uk/~vgg/data/pets/",
    how_to_get=(
        "Run 'vireo data get pets', or unpack images.tar.gz and annotations.tar.gz of the homepage "
        "in a folder oxford-iiit-pet below the dataset's."
    ),
    layout={
        "oxford-iiit-pet/images/*.jpg": "the photographs",
        "oxford-iiit-pet/annotations/trainval.txt": "the images to train on, and their breeds",
        "oxford-iiit-pet/annotations/test.txt": "those to test on",
        "oxford-iiit-pet/annotations/trimaps/*.png": "1 animal, 2 background, 3 border",
    },
    checksums={
        "images.tar.gz": "md5:5c4f3ee8e5d25df40f4fd59a7f44e54c",
        "annotations.tar.gz": "md5:95a8c909bbe2e81eed6a22bccdf3f68f",
    },
    downloader="OxfordIIITPet",
)
