"""torchvision's networks as backbones: one forward gives the pooled feature and, if asked, maps.

A builder takes an architecture's name and returns a `Network`: the backbone and what a loader has
to know of it. Inside a backbone, `network` keeps its library's tensor names, so that a published
file loads without renaming.

References:
    He et al. 2016, Deep residual learning for image recognition. https://arxiv.org/abs/1512.03385
    Sandler et al. 2018, MobileNetV2. https://arxiv.org/abs/1801.04381
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from vireo.encoders.encoder import Features
from vireo.encoders.pyramid import Five
from vireo.errors import SettingError

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class Backbone(nn.Module, ABC):
    """A network without its classifier, called as `backbone(images, maps)`.

    Args:
        network: the library's module, its classifier removed; its tensor names are the library's.

    Attributes:
        strides: what the encoder brings the five maps to; None: they are as they should be.
    """

    strides: ClassVar[Five | None] = None

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    @abstractmethod
    def forward(self, images: Float[Tensor, "batch 3 height width"], maps: bool) -> Features:
        """Return the pooled feature, and five of the network's maps, as they are, if `maps`."""


@dataclass(frozen=True, kw_only=True)
class Network:
    """What a builder gives: a backbone, and what a loader needs to know.

    Attributes:
        classifier: name of the published file's linear classifier on the pooled feature ("fc").
        head: that classifier itself, where the builder has read published weights.
        input_size, mean, std: what the architecture is usually trained with.
        maps: how levels come about that the network does not have, as `EncoderCard.maps`.
    """

    backbone: Backbone
    classifier: str
    head: nn.Linear | None = None
    input_size: tuple[int, int] = (224, 224)
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    maps: str = ""


class ResNetBackbone(Backbone):
    """A torchvision ResNet: taps after the stem's ReLU and after each of the four stages."""

    def forward(self, images: Float[Tensor, "batch 3 height width"], maps: bool) -> Features:
        """Return the pooled feature, and the five maps if `maps`."""
        net = self.network
        x = net.relu(net.bn1(net.conv1(images)))  # type: ignore[operator]
        taps = [x]
        x = net.maxpool(x)  # type: ignore[operator]
        for stage in (net.layer1, net.layer2, net.layer3, net.layer4):
            x = stage(x)  # type: ignore[operator]
            if maps:
                taps.append(x)
        pooled = torch.flatten(net.avgpool(x), 1)  # type: ignore[operator]
        return Features(pooled, tuple(taps) if maps else ())


class MobileNetBackbone(Backbone):
    """torchvision's MobileNetV2: the deepest bottleneck at each stride is a tap.

    The last tap is the 320-channel bottleneck before the 1x1 expansion to 1280, as in section 6.3
    of the paper; the pooled feature is the mean of the expansion.
    """

    TAPS = (1, 3, 6, 13, 17)

    def forward(self, images: Float[Tensor, "batch 3 height width"], maps: bool) -> Features:
        """Return the pooled feature, and the five maps if `maps`."""
        x, taps = images, []
        for index, layer in enumerate(self.network.features):  # type: ignore[arg-type]
            x = layer(x)
            if maps and index in self.TAPS:
                taps.append(x)
        return Features(x.mean((2, 3)), tuple(taps))


def torchvision_resnet(name: str, input_size: tuple[int, int] | None = None) -> Network:
    """Build a torchvision ResNet, ResNeXt or wide ResNet with random weights."""
    from torchvision import models

    network = models.get_model(name, weights=None)
    network.fc = nn.Identity()
    return Network(backbone=ResNetBackbone(network), classifier="fc")


def small_resnet(name: str, input_size: tuple[int, int] | None = None) -> Network:
    """Build a ResNet for small images: a 3x3 stem of stride 1 and no max pooling.

    This is SimCLR's CIFAR-10 variant (Chen et al. 2020, appendix B.9).
    """
    built = torchvision_resnet(name.removesuffix("-small"))
    stem = nn.Conv2d(3, 64, kernel_size=3, stride=1, padding=1, bias=False)
    nn.init.kaiming_normal_(stem.weight, mode="fan_out", nonlinearity="relu")
    built.backbone.network.conv1 = stem
    built.backbone.network.maxpool = nn.Identity()
    return Network(backbone=built.backbone, classifier="fc", input_size=(32, 32))


def mobilenet_v2(name: str, input_size: tuple[int, int] | None = None) -> Network:
    """Build torchvision's MobileNetV2 with random weights."""
    from torchvision import models

    network = models.get_model(name, weights=None)
    network.classifier = nn.Identity()
    return Network(backbone=MobileNetBackbone(network), classifier="classifier.1")


def refused(size: tuple[int, ...], reason: str) -> SettingError:
    """Return the error of a network that cannot take images of a size."""
    first = reason.strip().partition("\n")[0].rstrip(".") or "it gives no reason"
    return SettingError(
        f"This network cannot take images of {times(size)} pixels: {first}. Set the task's"
        " input_size, or the encoder's, to what it takes."
    )


def times(size: tuple[int, ...]) -> str:
    """Write a size as people do: "224 x 224"."""
    return " x ".join(map(str, size))
