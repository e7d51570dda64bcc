"""DeepLabv3+ on a frozen encoder.

References:
    Chen et al. 2018, Encoder-decoder with atrous separable convolution.
"""

from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from vireo.encoders.encoder import Features
from vireo.records import EncoderCard
from vireo.tasks.geometry import detail_tap, map_size, resample, resize
from vireo.tasks.heads.head import Head


@final
class DeepLabV3Plus(Head):
    """Atrous spatial pyramid on the deepest map, its answer added to the stride-4 map, decoded.

    256 channels, or those of the deepest map if it has fewer, so that a small network does not
    carry a head many times its own cost. The rates 3, 6, 9 are the usual 6, 12, 18 halved for
    stride 32. The stride-4 map is added, as the study's text says; the common form concatenates.
    """

    dense, num_frames, smallest_batch = True, 1, 2

    def __init__(self, card: EncoderCard, outputs: int, frames: int = 1) -> None:
        super().__init__(card, outputs, frames)
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


def _conv(channels: int, width: int, kernel: int, rate: int = 1) -> nn.Sequential:
    """Convolution that keeps the size, batch norm, ReLU."""
    padding = rate * (kernel // 2)
    conv = nn.Conv2d(channels, width, kernel, padding=padding, dilation=rate, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(width), nn.ReLU(inplace=True))
