"""The heads that are trained on a frozen encoder: linear, U-Net, DeepLabv3+.

A head is sized by the encoder's card alone, so the same task asks the same question of every
encoder. Small-image networks with fewer than five stages repeat their last tap; a head follows the
strides of the card. It brings maps to those strides itself, after its own 1x1 convolution where it
has one: the result is the same as before it, and so maps can be stored and read as the network has
them, a ViT's 17 times smaller.

References:
    Ronneberger et al. 2015 (U-Net); Shi et al. 2016 (pixel shuffle); Chen et al. 2018 (DeepLabv3+).
"""

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from vireo.encoders.encoder import Features
from vireo.records import EncoderCard
from vireo.tasks.geometry import detail_tap, map_size, resample, resize


class Head(nn.Module, ABC):
    """What answers a task from features. Final classes only, constructed as `(card, outputs)`.

    Attributes:
        dense: whether it reads maps and answers for every pixel; else it reads the pooled feature.
    """

    dense: ClassVar[bool]

    @classmethod
    @abstractmethod
    def taps(cls, card: EncoderCard) -> tuple[int, ...]:
        """Return which of the five maps it reads (0 is the shallowest)."""

    @abstractmethod
    def forward(self, frames: tuple[Features, ...], size: tuple[int, int]) -> Tensor:
        """Answer for each example: [batch, outputs], or [batch, outputs, *size] if dense.

        Args:
            frames: the features of each image of an example; maps at the card's strides, or as the
                backbone has them. Maps that `taps` does not name are not read and may hold
                anything.
            size: height and width of the images, and of the answer.
        """


def initialised(kind: type[Head], card: EncoderCard, outputs: int, seed: int) -> Head:
    """Build a head on the CPU with weights drawn from `seed` alone; no global state is touched."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return kind(card, outputs)


class LinearHead(Head):
    """One fully connected layer on the pooled feature."""

    dense = False

    def __init__(self, card: EncoderCard, outputs: int) -> None:
        super().__init__()
        self.layer = nn.Linear(card.features, outputs)

    @classmethod
    def taps(cls, card: EncoderCard) -> tuple[int, ...]:
        """None of the maps."""
        return ()

    def forward(self, frames: tuple[Features, ...], size: tuple[int, int]) -> Tensor:
        """Return [batch, outputs]."""
        (features,) = frames
        logits: Tensor = self.layer(features.pooled)
        return logits


class UNet(Head):
    """Up from the deepest map: convolution, pixel shuffle, LeakyReLU, plus the encoder's map.

    The skip is added without a lateral convolution, so the channels are the encoder's own
    (ResNet-50: 2048, 1024, 512, 256, 64). Where two taps have the same stride there is nothing to
    shuffle and the convolution goes to the channels directly. A plain transformer, or a network
    that begins at stride 8 or coarser, is known by the equal channels of its three finest maps: its
    channels are capped at 256, halving upward, with a 1x1 convolution at each tap.
    """

    dense = True

    def __init__(self, card: EncoderCard, outputs: int) -> None:
        super().__init__()
        plain = len(set(card.channels[:3])) == 1
        widths = tuple(256 >> (4 - tap) for tap in range(5)) if plain else card.channels
        self.strides = card.strides
        self.laterals = nn.ModuleList(
            nn.Conv2d(channels, width, 1) if plain else nn.Identity()
            for channels, width in zip(card.channels, widths, strict=True)
        )
        strides = (1, *card.strides)
        self.steps = nn.ModuleList(
            _Up(widths[tap], (outputs, *widths)[tap], 2 if strides[tap + 1] > strides[tap] else 1)
            for tap in range(5)
        )

    @classmethod
    def taps(cls, card: EncoderCard) -> tuple[int, ...]:
        """All five."""
        return (0, 1, 2, 3, 4)

    def forward(self, frames: tuple[Features, ...], size: tuple[int, int]) -> Tensor:
        """Return [batch, outputs, *size]."""
        (features,) = frames
        sizes = [map_size(size, stride) for stride in self.strides]
        laterals = zip(self.laterals, features.maps, sizes, strict=True)
        skips = [resample(lateral(tap), to) for lateral, tap, to in laterals]
        x = skips[4]
        for tap in (4, 3, 2, 1):
            x = F.leaky_relu(self.steps[tap](x), 0.01)
            x = resize(x, sizes[tap - 1]) + skips[tap - 1]
        return resize(self.steps[0](x), size)


class DeepLabV3Plus(Head):
    """Atrous spatial pyramid on the deepest map, its answer added to the stride-4 map, decoded.

    256 channels, or those of the deepest map if it has fewer, so that a small network does not
    carry a head many times its own cost. The rates 3, 6, 9 are the usual 6, 12, 18 halved for
    stride 32. The stride-4 map is added, as the study's text says; the common form concatenates.
    """

    dense = True

    def __init__(self, card: EncoderCard, outputs: int) -> None:
        super().__init__()
        deep, detail = card.channels[-1], card.channels[detail_tap(card.strides)]
        width = min(256, deep)
        self.strides = card.strides
        self.detail_tap = detail_tap(card.strides)
        self.branches = nn.ModuleList(
            [_conv(deep, width, 1), *(_conv(deep, width, 3, rate) for rate in (3, 6, 9))]
        )
        self.pooling = _conv(deep, width, 1)
        self.join = _conv(5 * width, width, 1)
        self.lateral = nn.Identity() if detail == width else nn.Conv2d(detail, width, 1)
        self.decoder = nn.Sequential(_conv(width, width, 3), _conv(width, width, 3))
        self.classes = nn.Conv2d(width, outputs, 1)

    @classmethod
    def taps(cls, card: EncoderCard) -> tuple[int, ...]:
        """The detail tap and the deepest."""
        return tuple(sorted({detail_tap(card.strides), 4}))

    def forward(self, frames: tuple[Features, ...], size: tuple[int, int]) -> Tensor:
        """Return [batch, outputs, *size]."""
        (features,) = frames
        fine, coarse = (map_size(size, self.strides[tap]) for tap in (self.detail_tap, 4))
        detail = resample(self.lateral(features.maps[self.detail_tap]), fine)
        x = resize(self.pyramid(resample(features.maps[4], coarse)), fine)
        logits: Tensor = self.classes(self.decoder(x + detail))
        return resize(logits, size)

    def pyramid(
        self, deep: Float[Tensor, "batch deep height width"]
    ) -> Float[Tensor, "batch channels height width"]:
        """Join the views of the deepest map at four rates and its mean."""
        mean = self.pooling(deep.mean((2, 3), keepdim=True)).expand(-1, -1, *deep.shape[-2:])
        views = [branch(deep) for branch in self.branches]
        joined: Tensor = self.join(torch.cat([*views, mean], dim=1))
        return joined


class _Up(nn.Module):
    """A 3x3 convolution to factor^2 times the channels, then pixel shuffle by `factor`."""

    def __init__(self, channels: int, width: int, factor: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, width * factor**2, 3, padding=1)
        self.factor = factor

    def forward(
        self, x: Float[Tensor, "batch _channels _height _width"]
    ) -> Float[Tensor, "batch width height_up width_up"]:
        return F.pixel_shuffle(self.conv(x), self.factor)


def _conv(channels: int, width: int, kernel: int, rate: int = 1) -> nn.Sequential:
    """Convolution that keeps the size, batch norm, ReLU."""
    padding = rate * (kernel // 2)
    conv = nn.Conv2d(channels, width, kernel, padding=padding, dilation=rate, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(width), nn.ReLU(inplace=True))
