"""Five maps at strides 2, 4, 8, 16 and 32 from whatever strides a network has.

Level L comes from the network's deepest map of the stride nearest to L (in ratio; the finer of two
equally near). A network with one stride throughout gives five of its blocks instead, evenly through
the depth. The map is then resampled to ceil(height / L) x ceil(width / L), whatever the network
itself does with a remainder.

Resampling is linear and the same for every channel, so it commutes with a 1x1 convolution. That is
why a backbone gives its maps as they are, and the encoder, or a head after its own 1x1 convolution,
brings them to their strides: the stride-2 map of a ViT-B/16 is 38 MB an image (float32, 224 x 224),
the block it is made from 0.6 MB.
"""

import math
from collections.abc import Iterable, Sequence

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

Five = tuple[int, int, int, int, int]

LEVELS: Five = (2, 4, 8, 16, 32)
RULE = "pyramid 2"
"""Which maps are chosen, and how heads bring them to their strides. Another rule needs another
word: stored maps, and results of dense tasks, are found by it."""


def map_size(size: tuple[int, int], stride: int) -> tuple[int, int]:
    """Return height and width of a map of `stride` over an image of `size` (rounded up).

    Example:
        >>> map_size((224, 225), 32)
        (7, 8)
    """
    return -(-size[0] // stride), -(-size[1] // stride)


def resample(
    maps: Float[Tensor, "batch channels _h _w"], size: tuple[int, int]
) -> Float[Tensor, "batch channels height width"]:
    """Bring maps to `size`: averaged along an axis that shrinks, bilinear along one that grows.

    Output i of n averages the inputs of m that it touches: floor(i m / n) up to, not including,
    ceil((i + 1) m / n). Bilinear keeps pixel centres (corners not aligned). A map that has the size
    is returned itself.

    Example:
        >>> import torch
        >>> resample(torch.tensor([[[[1.0, 2.0, 3.0, 6.0]]]]), (1, 2))
        tensor([[[[1.5000, 4.5000]]]])
    """
    smaller = (min(maps.shape[-2], size[0]), min(maps.shape[-1], size[1]))
    if maps.shape[-2:] != smaller:
        maps = F.adaptive_avg_pool2d(maps, smaller)
    if smaller != size:
        maps = F.interpolate(maps, size=size, mode="bilinear", align_corners=False)
    return maps


def choose_taps(strides: Sequence[int]) -> Five:
    """Choose five of a network's maps, given the stride of each, shallow first.

    Example:
        >>> choose_taps([4, 8, 16, 32])
        (0, 0, 1, 2, 3)
        >>> choose_taps([16] * 12)
        (1, 4, 6, 9, 11)
        >>> choose_taps([1, 2, 4, 8, 16, 16, 32])
        (1, 2, 3, 5, 6)
    """
    if is_plain(strides):
        share = len(strides) / len(LEVELS)
        return _five([max(0, round(place * share) - 1) for place in range(1, 6)])
    deepest = {stride: tap for tap, stride in enumerate(strides)}
    nearest = (min(sorted(deepest), key=lambda s: abs(math.log2(s / level))) for level in LEVELS)
    return _five([deepest[stride] for stride in nearest])


def is_plain(strides: Sequence[int]) -> bool:
    """Say whether a network has one stride throughout, as plain transformers have."""
    return len(set(strides)) == 1


def describe(strides: Sequence[int], taps: Five) -> str:
    """Say in one clause how levels come about that the network does not have; empty if all do.

    Example:
        >>> describe([4, 8, 16, 32], (0, 0, 1, 2, 3))
        'stride 2 upsampled from 4'
        >>> describe([16] * 12, (1, 4, 6, 9, 11))
        'blocks 2, 5, 7, 10, 12 at stride 16 resampled to 2, 4, 8, 16, 32'
        >>> describe([7, 14, 28], (0, 0, 0, 1, 2))
        'strides 2, 4 upsampled from 7; 8 averaged from 7; 16 from 14; 32 from 28'
    """
    if is_plain(strides):
        blocks = _listed(tap + 1 for tap in taps)
        return f"blocks {blocks} at stride {strides[0]} resampled to {_listed(LEVELS)}"
    groups: dict[tuple[str, int], list[int]] = {}
    for level, tap in zip(LEVELS, taps, strict=True):
        if strides[tap] != level:
            verb = "upsampled" if strides[tap] > level else "averaged"
            groups.setdefault((verb, strides[tap]), []).append(level)
    return _sentence(groups)


def _sentence(groups: dict[tuple[str, int], list[int]]) -> str:
    said, before = [], ""
    for (verb, stride), levels in groups.items():
        said.append(f"{_listed(levels)} {'' if verb == before else verb + ' '}from {stride}")
        before = verb
    if not said:
        return ""
    several = sum(map(len, groups.values())) > 1
    return f"stride{'s' if several else ''} {'; '.join(said)}"


def _listed(numbers: Iterable[int]) -> str:
    return ", ".join(map(str, numbers))


def _five(numbers: Sequence[int]) -> Five:
    a, b, c, d, e = numbers
    return a, b, c, d, e
