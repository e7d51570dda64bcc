"""One interface for every backbone: normalised images in, a pooled feature and five maps out."""

from typing import NamedTuple

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from vireo.encoders.pyramid import map_size, resample
from vireo.records import EncoderCard


class Features(NamedTuple):
    """What an encoder gives.

    Attributes:
        pooled: the network's own pre-classifier feature.
        maps: five taps at `card.strides`, shallow first; empty unless asked for: 2, 4, 8, 16, 32
            (`pyramid` says how), or a small-image network's own, the last one repeated. The side of
            a map is ceil(side of the image / stride).
    """

    pooled: Float[Tensor, "batch dim"]
    maps: tuple[Float[Tensor, "batch channels height width"], ...] = ()


class Encoder(nn.Module):
    """A backbone with its card; the classifier is kept apart if the checkpoint had one.

    Args:
        card: its facts.
        backbone: maps normalised images to `Features`; called as `backbone(images, maps)`.
        classifier: the checkpoint's own head on the pooled feature, or None.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self, card: EncoderCard, backbone: nn.Module, classifier: nn.Module | None = None
    ) -> None:
        super().__init__()
        self.card = card
        self.backbone = backbone
        self.classifier = classifier
        self.register_buffer("mean", torch.tensor(card.mean).view(3, 1, 1) * 255, persistent=False)
        self.register_buffer("std", torch.tensor(card.std).view(3, 1, 1) * 255, persistent=False)

    def forward(
        self, images: Float[Tensor, "batch 3 height width"], maps: bool = False
    ) -> Features:
        """Return the features of normalised `images`; the maps only if `maps`.

        `self.backbone(images, True)` gives the maps before they are resampled to their strides: a
        ViT's are 17 times smaller then. Heads take either.
        """
        features: Features = self.backbone(images, maps)
        height, width = images.shape[-2:]
        sizes = (map_size((height, width), stride) for stride in self.card.strides)
        levels = tuple(map(resample, features.maps, sizes))
        return Features(features.pooled, levels)

    def normalise(
        self, images: UInt8[Tensor, "*batch 3 height width"]
    ) -> Float[Tensor, "*batch 3 height width"]:
        """Turn stored pixels (0..255) into the network's input by the card's mean and std."""
        return (images.float() - self.mean) / self.std

    def freeze(self) -> "Encoder":
        """Switch to evaluation for good: no gradients, batch-norm statistics kept. Returns self."""
        return self.requires_grad_(False).eval()
