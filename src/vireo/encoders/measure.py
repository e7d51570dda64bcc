"""The facts of a backbone, measured and not declared: strides, channels, width, FLOPs.

A copy of the backbone runs once on torch's meta device, which knows shapes and computes nothing.
"""

import copy
import math
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from vireo.encoders.backbones import Backbone, Network, refused
from vireo.encoders.pyramid import Five
from vireo.encoders.weights import weights_digest
from vireo.records import EncoderCard

Module = TypeVar("Module", bound=nn.Module)


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What one forward pass shows: fields of `EncoderCard`."""

    features: int
    strides: Five
    native_strides: Five
    channels: Five
    flops: int
    parameters: int


def measure(backbone: Backbone, input_size: tuple[int, int]) -> Measured:
    """Run `backbone` on one image of `input_size` on the meta device and look at what comes out."""
    # torch's counter follows gradients where a parameter asks for them, and fails on views of one.
    twin = on_meta(backbone).eval().requires_grad_(False)
    images = torch.empty((1, 3, *input_size), device="meta")
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        features = twin(images, True)
    a, b, c, d, e = (_stride(input_size[0], tap.shape[2]) for tap in features.maps)
    native = (a, b, c, d, e)
    a, b, c, d, e = (tap.shape[1] for tap in features.maps)
    return Measured(
        features=features.pooled.shape[1],
        strides=backbone.strides or native,
        native_strides=native,
        channels=(a, b, c, d, e),
        flops=counter.get_total_flops(),
        parameters=sum(parameter.numel() for parameter in backbone.parameters()),
    )


def on_meta(module: Module) -> Module:
    """Return a copy of `module` on torch's meta device; no number is copied on the way."""
    tensors = (*module.parameters(), *module.buffers())
    return copy.deepcopy(module, {id(tensor): _shell(tensor) for tensor in tensors})


def check_size(backbone: Backbone, images: torch.Tensor, error: Exception) -> None:
    """Find out whether the size of `images` is why a forward pass ended in `error`.

    The meta device shows it: there, nothing else can go wrong.

    Raises:
        SettingError: it is; the message gives the network's own reason.
    """
    if images.is_meta:
        raise refused(tuple(images.shape[-2:]), str(error)) from error
    dtype = next(backbone.parameters()).dtype
    on_meta(backbone)(torch.empty(images.shape, dtype=dtype, device="meta"), True)


def _shell(tensor: torch.Tensor) -> torch.Tensor:
    empty = torch.empty_like(tensor, device="meta", requires_grad=False)
    return nn.Parameter(empty, tensor.requires_grad) if isinstance(tensor, nn.Parameter) else empty


def _stride(size: int, found: int) -> int:
    """Return the stride of a map of `found` rows over an image of `size`.

    A power of two if that explains it; else the largest by which `map_size` gives no fewer rows.

    Example:
        >>> _stride(225, 8), _stride(224, 16), _stride(299, 35)
        (32, 14, 8)
    """
    power = 1 << max(0, round(math.log2(size / found)))
    return power if -(-size // power) == found else max(1, size // found)


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
        maps=network.maps,
        weights=weights_digest(network.backbone),
    )
