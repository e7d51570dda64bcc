"""Cards of the shapes that heads must fit."""

import pytest

from vireo.records import EncoderCard


def make_card(strides, channels, features=None) -> EncoderCard:
    return EncoderCard(
        name="net",
        method="random",
        pretraining_set="none",
        architecture="net",
        parameters=1,
        flops=1,
        input_size=(64, 64),
        mean=(0.5, 0.5, 0.5),
        std=(0.5, 0.5, 0.5),
        strides=strides,
        channels=channels,
        features=features or channels[-1],
        source="random:net",
        weights="0" * 16,
    )


CARDS = {
    "pyramid": make_card((2, 4, 8, 16, 32), (4, 6, 8, 10, 12)),
    "cifar": make_card((1, 1, 2, 4, 4), (4, 4, 6, 8, 8)),
    "small-stem": make_card((1, 1, 2, 4, 8), (3, 3, 4, 6, 8)),
    "plain-transformer": make_card((2, 4, 8, 16, 32), (12,) * 5),
    "one-stride": make_card((16,) * 5, (12,) * 5),
    "tiny": make_card((2, 4, 4, 4, 4), (4, 8, 8, 8, 8)),
}
RESNET50 = make_card((2, 4, 8, 16, 32), (64, 256, 512, 1024, 2048))


@pytest.fixture(params=sorted(CARDS))
def card(request) -> EncoderCard:
    return CARDS[request.param]


@pytest.fixture
def pyramid() -> EncoderCard:
    return CARDS["pyramid"]


@pytest.fixture
def resnet50() -> EncoderCard:
    return RESNET50
