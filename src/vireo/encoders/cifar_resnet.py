"""The CIFAR-10 ResNets of depth 6n + 2 (He et al. 2016, section 4.2).

A 3x3 convolution, then three stages of n blocks with 16, 32 and 64 channels at strides 1, 2 and 4.
Shortcuts are the paper's option A: where a block changes size, its input is subsampled and padded
with zero channels, so a shortcut has no weights. The paper pads at the end; the released networks
in PyTorch pad half before and half behind, and that is what their weights expect, so it is done so
here.

References:
    He et al. 2016, Deep residual learning for image recognition. https://arxiv.org/abs/1512.03385
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from vireo.encoders.backbones import Backbone, Network
from vireo.encoders.encoder import Features

WIDTHS = (16, 32, 64)


class Block(nn.Module):
    """Two 3x3 convolutions and an option-A shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.stride = stride
        self.padding = (outputs - inputs) // 2

    def forward(
        self, x: Float[Tensor, "batch inputs height width"]
    ) -> Float[Tensor, "batch outputs half_height half_width"]:
        """Return the block's output."""
        residual = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(residual + self.shortcut(x))

    def shortcut(
        self, x: Float[Tensor, "batch inputs height width"]
    ) -> Float[Tensor, "batch outputs half_height half_width"]:
        """Subsample by the stride and pad channels with zeros (option A)."""
        if self.stride == 1:
            return x
        return F.pad(
            x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, self.padding, self.padding)
        )


class CifarResNet(nn.Module):
    """The layers of a CIFAR ResNet, named as its released files name them."""

    def __init__(self, depth: int) -> None:
        super().__init__()
        blocks = (depth - 2) // 6
        assert depth == 6 * blocks + 2, f"depth must be 6n + 2, got {depth}"
        self.conv1 = nn.Conv2d(3, WIDTHS[0], 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(WIDTHS[0])
        self.layer1 = _stage(WIDTHS[0], WIDTHS[0], blocks)
        self.layer2 = _stage(WIDTHS[0], WIDTHS[1], blocks)
        self.layer3 = _stage(WIDTHS[1], WIDTHS[2], blocks)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)


class CifarBackbone(Backbone):
    """Taps after the stem and the three stages, the last one twice."""

    def forward(self, images: Float[Tensor, "batch 3 height width"], maps: bool) -> Features:
        """Return the pooled feature, and the five maps if `maps`."""
        net = self.network
        x = F.relu(net.bn1(net.conv1(images)))  # type: ignore[operator]
        taps = [x]
        for stage in (net.layer1, net.layer2, net.layer3):
            x = stage(x)  # type: ignore[operator]
            taps.append(x)
        pooled = torch.flatten(F.adaptive_avg_pool2d(x, 1), 1)
        return Features(pooled, (*taps, x) if maps else ())


def cifar_resnet(name: str, input_size: tuple[int, int] | None = None) -> Network:
    """Build "resnet20", "resnet32", ... with random weights."""
    backbone = CifarBackbone(CifarResNet(int(name.removeprefix("resnet"))))
    return Network(backbone=backbone, classifier="linear", input_size=(32, 32))


def _stage(inputs: int, outputs: int, blocks: int) -> nn.Sequential:
    stride = 1 if inputs == outputs else 2
    rest = [Block(outputs, outputs, 1) for _ in range(blocks - 1)]
    return nn.Sequential(Block(inputs, outputs, stride), *rest)
