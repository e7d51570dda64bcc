"""CIFAR-100: 32x32 photographs of 100 kinds of things."""

from vireo.records import DatasetCard, DatasetSpec

SPEC = DatasetSpec(
    name="cifar-100",
    source="torchvision",
    options={"root": "$VIREO_DATASETS/cifar-100", "reader": "CIFAR100"},
    splits={"train": {"parts": ("train",)}, "test": {"parts": ("test",)}},
)

CARD = DatasetCard(
    name="cifar-100",
    summary="32x32 photographs of 100 kinds of things, enlarged; the official split",
    splits={"train": 50_000, "test": 10_000},
    licence="none stated; its author asks to be cited",
    homepage="https://www.cs.toronto.edu/~kriz/cifar.html",
    how_to_get=(
        "Run 'vireo data get cifar-100', or unpack cifar-100-python.tar.gz of the homepage in the "
        "dataset's folder."
    ),
    layout={
        "cifar-100-python/train": "the images to train on",
        "cifar-100-python/test": "those to test on",
        "cifar-100-python/meta": "the names of the classes",
    },
    checksums={"cifar-100-python.tar.gz": "md5:eb9058c3a382ffc7106e4002c42a8d85"},
    downloader="CIFAR100",
)
