"""The heads on the pooled feature: one image, or several joined."""

from typing import final

import torch
from torch import Tensor, nn

from vireo.encoders.encoder import Features
from vireo.records import EncoderCard
from vireo.tasks.heads.head import Head


@final
class LinearHead(Head):
    """One fully connected layer."""

    dense, num_frames = False, 1

    def __init__(self, card: EncoderCard, outputs: int, frames: int = 1) -> None:
        super().__init__(card, outputs, frames)
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


@final
class FusionHead(Head):
    """A linear module for each frame, ReLU, and one layer that joins what they found.

    The study's text has one module a frame, each with its own weights, of 512 numbers. (The
    released code joins the features first: frames x features -> 512 -> outputs.)
    """

    dense, num_frames = False, None
    width = 512

    def __init__(self, card: EncoderCard, outputs: int, frames: int = 2) -> None:
        super().__init__(card, outputs, frames)
        self.modules_of_frames = nn.ModuleList(
            nn.Linear(card.features, self.width) for _ in range(frames)
        )
        self.fusion = nn.Linear(frames * self.width, outputs)

    @classmethod
    def taps(cls, card: EncoderCard) -> tuple[int, ...]:
        """None of the maps."""
        return ()

    def forward(self, frames: tuple[Features, ...], size: tuple[int, int]) -> Tensor:
        """Return [batch, outputs]."""
        pairs = zip(self.modules_of_frames, frames, strict=True)
        found = [module(features.pooled).relu() for module, features in pairs]
        logits: Tensor = self.fusion(torch.cat(found, dim=1))
        return logits
