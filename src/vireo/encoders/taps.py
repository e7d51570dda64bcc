"""Which modules of a convolutional or windowed network give its five maps, found from shapes.

The network runs once on the meta device and every module's output is looked at. A block is a
module inside which the side of the map changes at most once; the deepest block at each stride is a
tap. A 1x1 convolution that closes the network to widen its last map for the classifier belongs to
the head (MobileNetV2, section 6.3): it counts for the pooled feature and not for the maps.
"""

import contextlib
import functools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from vireo.encoders.pyramid import choose_taps, describe


@dataclass(frozen=True, kw_only=True)
class Taps:
    """Where a network's five maps are.

    Attributes:
        names: of the five modules; a name may repeat.
        channels_last: whether each gives [batch, height, width, channels].
        maps: how levels come about that the network does not have, as `EncoderCard.maps`.
    """

    names: tuple[str, ...]
    channels_last: tuple[bool, ...]
    maps: str


def find_taps(network: nn.Module, head: str, size: tuple[int, int]) -> Taps:
    """Find the taps of a network, given on the meta device and in evaluation mode.

    Args:
        network: called with images alone.
        head: the top-level module of the classifier; nothing inside it is a tap.
        size: height and width that it takes, equal.

    Example:
        >>> from torchvision.models import vgg11
        >>> with torch.device("meta"):
        ...     network = vgg11().eval()
        >>> find_taps(network, "classifier", (224, 224)).names
        ('features.4', 'features.9', 'features.14', 'features.19', 'features.20')
    """
    seen = _watch(network, size)
    blocks = [b for b in _blocks(network, "", seen) if b.partition(".")[0] != head]
    blocks = _without_head(network, sorted(blocks, key=list(seen).index))
    strides = [1 << round(math.log2(size[0] / seen[block].after)) for block in blocks]
    taps = choose_taps(strides)
    return Taps(
        names=tuple(blocks[tap] for tap in taps),
        channels_last=tuple(seen[blocks[tap]].channels_last for tap in taps),
        maps=describe(strides, taps),
    )


@dataclass(frozen=True, kw_only=True)
class _Seen:
    """Side of the map that a module read (None: it read none) and of the one it gave."""

    before: int | None
    after: int
    channels_last: bool


def _watch(network: nn.Module, size: tuple[int, int]) -> dict[str, _Seen]:
    """Run on a square image and return what modules gave maps, in the order they ended."""
    seen: dict[str, _Seen] = {}

    def look(name: str, inputs: tuple[Any, ...], output: Any) -> None:
        side = _side(output)
        if side is not None:
            last = output.shape[1] == side != output.shape[3]
            seen[name] = _Seen(before=_side(inputs[0]), after=side, channels_last=last)

    with contextlib.ExitStack() as hooks, torch.no_grad():
        for name, module in network.named_modules():
            if name and not isinstance(module, nn.AdaptiveAvgPool2d):
                hook = functools.partial(lambda name, module, i, o: look(name, i, o), name)
                hooks.enter_context(module.register_forward_hook(hook))
        network(torch.empty(1, 3, *size, device="meta"))
    return seen


def _side(value: Any) -> int | None:
    """Return the side of a square map, [1, c, n, n] or [1, n, n, c]; None for anything else."""
    if not isinstance(value, Tensor) or value.ndim != 4:
        return None
    _, first, second, third = value.shape
    if second > 1 and second in (first, third):
        return second
    return None


def _blocks(module: nn.Module, name: str, seen: Mapping[str, _Seen]) -> Iterator[str]:
    """Yield modules inside which the side changes at most once, opening those where it does not."""
    inside = [s for key, s in seen.items() if f"{key}.".startswith(f"{name}.") or not name]
    sides = {s.after for s in inside} | {s.before for s in inside if s.before is not None}
    if len(sides) <= 2 and name:  # before and after one change
        if name in seen:
            yield name
        return
    for child, inner in module.named_children():
        yield from _blocks(inner, f"{name}.{child}" if name else child, seen)


def _without_head(network: nn.Module, blocks: Sequence[str]) -> list[str]:
    """Drop a closing 1x1 convolution with its norm and activation."""
    kept = list(blocks)
    while all(map(_pointwise, _layers(network.get_submodule(kept[-1])))):
        kept.pop()
    dropped = [
        layer for name in blocks[len(kept) :] for layer in _layers(network.get_submodule(name))
    ]
    return kept if any(isinstance(layer, nn.Conv2d) for layer in dropped) else list(blocks)


def _layers(module: nn.Module) -> Iterator[nn.Module]:
    """Yield the modules that hold parameters themselves."""
    return (m for m in module.modules() if next(m.parameters(recurse=False), None) is not None)


def _pointwise(layer: nn.Module) -> bool:
    if isinstance(layer, nn.Conv2d):
        return layer.kernel_size == (1, 1)
    return isinstance(layer, nn.BatchNorm2d)
