"""Small encoders and images, and their features by plain forward passes."""

import pytest
import torch
from tests.tiny import ArraySource, tiny_encoder

from vireo.devices import choose
from vireo.encoders import build

COUNT, SIDE = 25, 8


@pytest.fixture(scope="session")
def compute():
    return choose("cpu", "float32", threads=1)


@pytest.fixture(scope="session")
def images():
    return ArraySource(count=COUNT, side=SIDE), "train"


@pytest.fixture(scope="session")
def openers():
    """Two networks with nine blocks and one with two maps."""
    return {
        "a": lambda: build("resnet20"),
        "b": lambda: build("resnet20", seed=1),
        "t": tiny_encoder,
    }


@pytest.fixture(scope="session")
def features(openers, images):
    """Name to the flattened output of each block for all images, float64."""
    return {name: plain_features(openers[name](), images[0]) for name in openers}


def plain_features(encoder, source):
    encoder.freeze()
    stacked = torch.stack(
        [torch.from_numpy(source.frames(i)[0]).permute(2, 0, 1) for i in range(len(source))]
    )
    pixels = encoder.normalise(stacked)
    if not hasattr(encoder.backbone, "network"):
        return [x.flatten(1).double().numpy() for x in encoder.backbone(pixels, True).maps[:2]]
    net, found = encoder.backbone.network, []
    x = net.bn1(net.conv1(pixels)).relu()
    for stage in (net.layer1, net.layer2, net.layer3):
        for block in stage:
            x = block(x)
            found.append(x.flatten(1).double().numpy())
    return found
