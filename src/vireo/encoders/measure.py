"""The facts of a backbone, measured and not declared: strides, channels, width, FLOPs.

A copy of the backbone runs once on torch's meta device, which knows shapes and computes nothing.
"""

import copy
from dataclasses import dataclass

import torch
from torch.utils.flop_counter import FlopCounterMode

from vireo.encoders.backbones import Backbone, Network
from vireo.encoders.weights import weights_digest
from vireo.records import EncoderCard

Five = tuple[int, int, int, int, int]


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What one forward pass shows: fields of `EncoderCard`."""

    features: int
    strides: Five
    channels: Five
    flops: int
    parameters: int


def measure(backbone: Backbone, input_size: tuple[int, int]) -> Measured:
    """Run `backbone` on one image of `input_size` on the meta device and look at what comes out."""
    twin = copy.deepcopy(backbone).to("meta").eval()
    images = torch.empty((1, 3, *input_size), device="meta")
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        features = twin(images, True)
    strides = [round(input_size[0] / tap.shape[2]) for tap in features.maps]
    channels = [tap.shape[1] for tap in features.maps]
    assert len(channels) == 5, f"a backbone gives five maps, got {len(channels)}"
    return Measured(
        features=features.pooled.shape[1],
        strides=tuple(strides),
        channels=tuple(channels),
        flops=counter.get_total_flops(),
        parameters=sum(parameter.numel() for parameter in backbone.parameters()),
    )


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Where weights come from: the fields of `EncoderCard` that no measurement shows."""

    name: str
    source: str
    architecture: str
    method: str
    pretraining_set: str
    images: int | None = None


def make_card(
    network: Network,
    origin: Origin,
    *,
    input_size: tuple[int, int] | None = None,
    mean: tuple[float, float, float] | None = None,
    std: tuple[float, float, float] | None = None,
) -> EncoderCard:
    """Fill an encoder's card; size and normalisation default to the architecture's."""
    size = input_size or network.input_size
    return EncoderCard(
        **vars(origin),
        **vars(measure(network.backbone, size)),
        input_size=size,
        mean=mean or network.mean,
        std=std or network.std,
        weights=weights_digest(network.backbone),
    )
