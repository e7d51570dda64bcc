"""The interface of a head, and how its first weights are drawn."""

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor, nn

from vireo.encoders.encoder import Features
from vireo.records import EncoderCard


class Head(nn.Module, ABC):
    """What answers a task from features; final classes only.

    Args:
        card: the encoder's; all sizes follow from it.
        outputs: classes, or channels of a regression.
        frames: images an example has.

    Attributes:
        dense: whether it reads maps and answers for every pixel; else it reads the pooled feature.
        num_frames: images an example must have; None means any number from 2.
        smallest_batch: examples a training step needs: batch norm of maps of one pixel needs two.
    """

    dense: ClassVar[bool]
    num_frames: ClassVar[int | None]
    smallest_batch: ClassVar[int] = 1

    @abstractmethod
    def __init__(self, card: EncoderCard, outputs: int, frames: int = 1) -> None:
        assert takes(type(self), frames), f"{type(self).__name__} cannot take {frames} frames"
        super().__init__()

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


def takes(kind: type[Head], frames: int) -> bool:
    """Say whether a head reads examples of that many images."""
    return frames >= 2 if kind.num_frames is None else frames == kind.num_frames


def initialised(
    kind: type[Head], card: EncoderCard, outputs: int, seed: int, *, frames: int = 1
) -> Head:
    """Build a head on the CPU with weights drawn from `seed` alone; no global state is touched."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return kind(card, outputs, frames)
