"""U-Net, and its siamese form for two frames.

References:
    Ronneberger et al. 2015 (U-Net); Shi et al. 2016 (pixel shuffle).
"""

from collections.abc import Iterable
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from vireo.encoders.encoder import Features
from vireo.records import EncoderCard
from vireo.tasks.geometry import map_size, resample, resize
from vireo.tasks.heads.head import Head

_CAP = 256
"""Channels at the deepest tap of a network whose own would dwarf the encoder."""


@final
class UNet(Head):
    """Up from the deepest map: convolution, pixel shuffle, LeakyReLU, plus the encoder's map.

    The skip is added without a lateral convolution, so the channels are the encoder's own
    (ResNet-50: 2048, 1024, 512, 256, 64). Where two taps have the same stride there is nothing to
    shuffle and the convolution goes to the channels directly. A plain transformer, or a network
    that begins at stride 8 or coarser, is known by the equal channels of its three finest maps: its
    channels are capped at 256, halving upward, with a 1x1 convolution at each tap.
    """

    dense, num_frames = True, 1

    def __init__(self, card: EncoderCard, outputs: int, frames: int = 1) -> None:
        super().__init__(card, outputs, frames)
        widths = _widths(card)
        self.strides = card.strides
        self.laterals = nn.ModuleList(
            nn.Conv2d(channels, width, 1) if _plain(card) else nn.Identity()
            for channels, width in zip(card.channels, widths, strict=True)
        )
        self.steps = _steps(card, widths, outputs)

    @classmethod
    def taps(cls, card: EncoderCard) -> tuple[int, ...]:
        """All five."""
        return (0, 1, 2, 3, 4)

    def forward(self, frames: tuple[Features, ...], size: tuple[int, int]) -> Tensor:
        """Return [batch, outputs, *size]."""
        (features,) = frames
        skips = [lateral(x) for lateral, x in zip(self.laterals, features.maps, strict=True)]
        return _climb(self.steps, _sized(skips, self.strides, size), size)


@final
class SiameseUNet(Head):
    """U-Net on two frames: at every tap a 1x1 convolution reduces both maps to one.

    That convolution goes straight to the U-Net's channels, so it is also the lateral one of a plain
    transformer.
    """

    dense, num_frames = True, 2

    def __init__(self, card: EncoderCard, outputs: int, frames: int = 2) -> None:
        super().__init__(card, outputs, frames)
        widths = _widths(card)
        self.strides = card.strides
        self.joins = nn.ModuleList(
            nn.Conv2d(2 * channels, width, 1)
            for channels, width in zip(card.channels, widths, strict=True)
        )
        self.steps = _steps(card, widths, outputs)

    @classmethod
    def taps(cls, card: EncoderCard) -> tuple[int, ...]:
        """All five."""
        return (0, 1, 2, 3, 4)

    def forward(self, frames: tuple[Features, ...], size: tuple[int, int]) -> Tensor:
        """Return [batch, outputs, *size]."""
        first, second = frames
        pairs = zip(self.joins, first.maps, second.maps, strict=True)
        skips = [join(torch.cat([a, b], dim=1)) for join, a, b in pairs]
        return _climb(self.steps, _sized(skips, self.strides, size), size)


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


def _plain(card: EncoderCard) -> bool:
    return len(set(card.channels[:3])) == 1


def _widths(card: EncoderCard) -> tuple[int, ...]:
    return tuple(_CAP >> (4 - tap) for tap in range(5)) if _plain(card) else card.channels


def _steps(card: EncoderCard, widths: tuple[int, ...], outputs: int) -> nn.ModuleList:
    """Return the step from each tap to the one above it; the first goes to the answer."""
    above, strides = (outputs, *widths), (1, *card.strides)
    return nn.ModuleList(
        _Up(widths[tap], above[tap], 2 if strides[tap + 1] > strides[tap] else 1)
        for tap in range(5)
    )


def _sized(skips: Iterable[Tensor], strides: Iterable[int], size: tuple[int, int]) -> list[Tensor]:
    """Bring maps to their strides; after the 1x1 convolution, with which that commutes."""
    return [resample(x, map_size(size, s)) for x, s in zip(skips, strides, strict=True)]


def _climb(steps: nn.ModuleList, skips: list[Tensor], size: tuple[int, int]) -> Tensor:
    """Walk up from the deepest of `skips`, which have the steps' channels: [batch, _, *size]."""
    x = skips[4]
    for tap in (4, 3, 2, 1):
        x = F.leaky_relu(steps[tap](x), 0.01)
        x = resize(x, (skips[tap - 1].shape[-2], skips[tap - 1].shape[-1])) + skips[tap - 1]
    return resize(steps[0](x), size)
