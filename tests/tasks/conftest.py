"""Cards of the shapes that heads must fit."""

import pytest
from tests.tiny import card_of

from vireo.records import EncoderCard

CARDS = {
    "pyramid": card_of((4, 6, 8, 10, 12)),
    "cifar": card_of((4, 4, 6, 8, 8), (1, 1, 2, 4, 4)),
    "small-stem": card_of((3, 3, 4, 6, 8), (1, 1, 2, 4, 8)),
    "plain-transformer": card_of((12,) * 5),
    "one-stride": card_of((12,) * 5, (16,) * 5),
    "tiny": card_of((4, 8, 8, 8, 8), (2, 4, 4, 4, 4)),
}
RESNET50 = card_of((64, 256, 512, 1024, 2048))


@pytest.fixture(params=sorted(CARDS))
def card(request) -> EncoderCard:
    return CARDS[request.param]


@pytest.fixture
def pyramid() -> EncoderCard:
    return CARDS["pyramid"]


@pytest.fixture
def resnet50() -> EncoderCard:
    return RESNET50
