"""The blocks of an encoder: which they are, and their outputs for a batch of images.

A block is what the literature calls so: a residual, transformer, dense or inception block, the
outermost module whose class is named as one (`_NAMES`), that holds two layers with weights or more
and runs once. ResNet-50 has 16 (`layer1.0` to `layer4.2`), ViT-B/16 12, MobileNetV2 17. A network
in which fewer than two are found (VGG, AlexNet) is compared by its five maps, `map1` to `map5`,
where one that repeats another is left out.

A block's output is what follows its last addition and activation, as in the study. Its features are
flattened as published: every number of the map is a column; of a transformer every token's, the
class token's too. Pooled, they are the means over all places or tokens. Order of the columns does
not matter to CKA.
"""

import contextlib
import functools
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from vireo.encoders.encoder import Encoder, Features
from vireo.encoders.measure import on_meta
from vireo.errors import SettingError

_NAMES = re.compile(
    "Block|Bottleneck|Residual|MB[Cc]onv|MbConv|Dla|Fire|Inception|Outlooker|Xception|(Layer|Unit)$"
)
_LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d)
_MAP = "map"


@dataclass(frozen=True, kw_only=True)
class Block:
    """One place where an encoder is looked at.

    Attributes:
        name: of its module in the network, or of one of the encoder's five maps.
        module: its path below the backbone; empty for a map.
        width: columns of its features.
        places: axes of its output that are places or tokens and not channels.
    """

    name: str
    module: str
    width: int
    places: tuple[int, ...]


Take = Callable[[Block, Float[Tensor, "batch width"]], None]


def find_blocks(encoder: Encoder, side: int, *, pooled: bool) -> tuple[Block, ...]:
    """Return the encoder's blocks in the order they run, for images of `side` x `side`.

    Raises:
        SettingError: the encoder takes no images of that size.
    """
    twin = on_meta(encoder.backbone).eval()
    images = torch.empty((2, 3, side, side), device="meta")
    try:
        found = [(name, path, _first(output)) for name, path, output in _watch(twin, images)]
    except SettingError as error:
        raise SettingError(
            f"'{encoder.card.name}' cannot be compared at side {side}; choose one that it takes."
            f" {error}"
        ) from error
    blocks = [_block(name, path, output, pooled) for name, path, output in found]
    assert blocks, f"{encoder.card.name} has no maps"
    return tuple(blocks)


def run_blocks(
    backbone: nn.Module,
    pixels: Float[Tensor, "batch 3 side side"],
    blocks: Sequence[Block],
    take: Take,
    *,
    pooled: bool,
) -> None:
    """Give the features of each of `blocks` to `take`; nothing behind the last of them runs.

    `blocks` are some of the backbone's, in the order they run. `take` has to copy what it keeps: a
    network may write over its maps.
    """
    if not blocks[0].module:
        maps = backbone(pixels, True).maps
        for block in blocks:
            index = int(block.name.removeprefix(_MAP)) - 1
            _give(take, maps[index], block, pooled)
        return
    with contextlib.ExitStack() as hooks, contextlib.suppress(_Enough):
        for block in blocks:
            hook = functools.partial(_hook, block, take, pooled, block is blocks[-1])
            module = backbone.get_submodule(block.module)
            hooks.enter_context(module.register_forward_hook(hook))
        backbone(pixels, False)


class _Enough(BaseException):
    """Ends a forward pass; not an Exception, which a network may catch."""


def _hook(  # noqa: PLR0917 - torch's three arguments come last
    block: Block, take: Take, pooled: bool, is_last: bool, _: nn.Module, inputs: Any, output: Any
) -> None:
    _give(take, _first(output), block, pooled)
    if is_last:
        raise _Enough


def _give(take: Take, output: Tensor, block: Block, pooled: bool) -> None:
    # autocast would halve the precision of every product that `take` computes
    with torch.autocast(output.device.type, enabled=False):
        means = pooled and block.places
        features = output.float().mean(block.places) if means else output.float().flatten(1)
        take(block, features)


def _watch(twin: nn.Module, images: Tensor) -> list[tuple[str, str, Any]]:
    """Return name, path and output of each block, or of the maps where there are no blocks."""
    seen: list[tuple[str, Any]] = []

    def look(path: str, _: nn.Module, inputs: Any, output: Any) -> None:
        seen.append((path, output))

    with contextlib.ExitStack() as hooks, torch.no_grad():
        for path, module in _outermost(twin, ""):
            hook = functools.partial(look, path)
            hooks.enter_context(module.register_forward_hook(hook))
        features = twin(images, True)
    paths = [path for path, _ in seen]
    blocks = [
        (path.removeprefix("network."), path, output)
        for path, output in seen
        if paths.count(path) == 1 and _first(output).shape[:1] == images.shape[:1]
    ]
    return blocks if len(blocks) > 1 else _maps(features)


def _maps(features: Features) -> list[tuple[str, str, Any]]:
    first = {id(output): number for number, output in reversed(list(enumerate(features.maps, 1)))}
    return [
        (f"{_MAP}{number}", "", output)
        for number, output in enumerate(features.maps, 1)
        if first[id(output)] == number
    ]


def _outermost(module: nn.Module, path: str) -> Iterator[tuple[str, nn.Module]]:
    for name, child in module.named_children():
        below = f"{path}.{name}" if path else name
        if path and _NAMES.search(type(child).__name__) and _num_layers(child) > 1:
            yield below, child
        else:
            yield from _outermost(child, below)


def _num_layers(module: nn.Module) -> int:
    return sum(isinstance(layer, _LAYERS) for layer in module.modules())


def _first(output: Any) -> Tensor:
    """Return the first tensor of a module's output."""
    while not isinstance(output, Tensor):
        if not isinstance(output, tuple | list) or not output:
            return torch.empty(0)
        output = output[0]
    return output


def _block(name: str, path: str, output: Tensor, pooled: bool) -> Block:
    places = _places(output)
    sizes = [n for axis, n in enumerate(output.shape) if axis not in (0, *places * pooled)]
    return Block(name=name, module=path, width=torch.Size(sizes).numel(), places=places)


def _places(output: Tensor) -> tuple[int, ...]:
    """Return the axes of places: [batch, c, h, w], [batch, h, w, c] of a square, [batch, t, c]."""
    shape = output.shape
    if len(shape) == 4:
        return (1, 2) if shape[1] == shape[2] != shape[3] else (2, 3)
    return (1,) if len(shape) == 3 else ()
