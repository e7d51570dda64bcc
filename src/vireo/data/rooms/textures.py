"""The textures: small periodic grey pictures and their mip maps in one flat array.

A lookup takes the level whose texels are as large as the pixel's footprint, so that far textures
blur to their mean instead of aliasing (Williams 1983, "Pyramidal parametrics").
"""

from functools import cache

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from vireo import seeding
from vireo.data.rooms.world import TEXTURES

SIDE = 128
LEVELS = SIDE.bit_length()
_PYRAMID = sum((SIDE >> level) ** 2 for level in range(LEVELS))
_STARTS = tuple(sum((SIDE >> finer) ** 2 for finer in range(level)) for level in range(LEVELS))

Picture = Float[np.ndarray, "side side"]


def sample(
    atlas: Float[Tensor, " texels"],
    texture: Int[Tensor, "*shape"],
    place: tuple[Float[Tensor, "*shape"], Float[Tensor, "*shape"]],
    footprint: Float[Tensor, "*shape"],
) -> Float[Tensor, "*shape"]:
    """Look textures up: bilinear within the mip level that fits the footprint.

    Args:
        atlas: of `atlas`, on the device of the rest.
        texture: codes (places in `TEXTURES`).
        place: u and v, in periods of the texture.
        footprint: size of a pixel on the surface, in periods.
    """
    u, v = place
    texels = footprint * SIDE
    level = torch.zeros_like(texture)
    for finer in range(1, LEVELS):
        level += texels > 1.5 * (1 << (finer - 1))
    side = torch.bitwise_right_shift(torch.full_like(level, SIDE), level)
    starts = torch.tensor(_STARTS, device=level.device, dtype=level.dtype)
    base = texture * _PYRAMID + starts[level]
    x, y = (u - u.floor()) * side - 0.5, (v - v.floor()) * side - 0.5
    left, top = x.floor(), y.floor()
    a, b = x - left, y - top
    wrap = side - 1
    columns = [(left.to(level.dtype) + step) & wrap for step in (0, 1)]
    rows = [base + ((top.to(level.dtype) + step) & wrap) * side for step in (0, 1)]
    upper = torch.lerp(atlas[rows[0] + columns[0]], atlas[rows[0] + columns[1]], a)
    lower = torch.lerp(atlas[rows[1] + columns[0]], atlas[rows[1] + columns[1]], a)
    return torch.lerp(upper, lower, b)


@cache
def atlas(device: str) -> Float[Tensor, " texels"]:
    """Return all textures with their mip maps, one after the other."""
    flat = np.concatenate([_pyramid(_PICTURES[name]()) for name in TEXTURES])
    return torch.from_numpy(flat.astype(np.float32)).to(device)


def _pyramid(picture: Picture) -> Float[np.ndarray, " texels"]:
    levels = [picture]
    while levels[-1].shape[0] > 1:
        side = levels[-1].shape[0] // 2
        levels.append(levels[-1].reshape(side, 2, side, 2).mean((1, 3)))
    return np.concatenate([level.ravel() for level in levels])


def _grid() -> tuple[Picture, Picture]:
    """Return u (columns) and v (rows) of the texel centres, in [0, 1)."""
    line = (np.arange(SIDE) + 0.5) / SIDE
    u, v = np.meshgrid(line, line)
    return u, v


def _plain() -> Picture:
    return np.zeros((SIDE, SIDE))


def _checker() -> Picture:
    u, v = _grid()
    return np.asarray((u < 0.5) ^ (v < 0.5), dtype=float)


def _stripes() -> Picture:
    u, _ = _grid()
    return np.asarray((4 * u) % 2 < 1, dtype=float)


def _tiles() -> Picture:
    """2 x 2 tiles of slightly different shades with joints between them."""
    u, v = _grid()
    shade = _shades("tiles", 2, 2)[(2 * v).astype(int), (2 * u).astype(int)]
    joint = ((2 * u) % 1 < 0.06) | ((2 * v) % 1 < 0.06)
    return np.where(joint, 1.0, 0.3 * shade)


def _bricks() -> Picture:
    """Four courses of two bricks, every other course shifted by half a brick."""
    u, v = _grid()
    course = (4 * v).astype(int)
    along = (2 * u + 0.5 * (course % 2)) % 2
    joint = ((4 * v) % 1 < 0.12) | (along % 1 < 0.06)
    return np.where(joint, 1.0, 0.45 * _shades("bricks", 4, 2)[course, along.astype(int)])


def _planks() -> Picture:
    """Four boards with grain along u."""
    u, v = _grid()
    board = (4 * v).astype(int)
    end = (u + np.array([0.1, 0.6, 0.35, 0.85])[board]) % 1 < 0.012
    grain = _noise("planks", ((2, 32), (4, 64)))
    gap = ((4 * v) % 1 < 0.04) | end
    return np.where(gap, 1.0, 0.5 * _shades("planks", 4, 1)[board, 0] + 0.4 * grain)


def _marble() -> Picture:
    return _noise("noise", ((4, 4), (8, 8), (16, 16), (32, 32)))


def _dots() -> Picture:
    """Discs in a staggered grid."""
    u, v = _grid()
    distances = [
        np.hypot((2 * u + shift) % 1 - 0.5, (2 * v) % 1 - 0.5) + 9.0 * ((2 * v).astype(int) != row)
        for row, shift in enumerate((0.0, 0.5))
    ]
    return np.asarray(np.minimum(*distances) < 0.3, dtype=float)


def _shades(name: str, rows: int, columns: int) -> Float[np.ndarray, "rows columns"]:
    return seeding.generator("rooms", f"texture/{name}").random((rows, columns))


def _noise(name: str, lattices: tuple[tuple[int, int], ...]) -> Picture:
    """Add octaves of periodic value noise, halving in strength, stretched to [0, 1]."""
    total = np.zeros((SIDE, SIDE))
    for octave, (columns, rows) in enumerate(lattices):
        values = seeding.generator("rooms", f"texture/{name}", octave).random((rows, columns))
        total += _smooth(_smooth(values, 0), 1) / 2**octave
    return np.asarray((total - total.min()) / np.ptp(total))


def _smooth(values: np.ndarray, axis: int) -> np.ndarray:
    """Interpolate periodic values to `SIDE` places along an axis, flat at the lattice."""
    count = values.shape[axis]
    place = (np.arange(SIDE) + 0.5) / SIDE * count
    cell = place.astype(int)
    weight = place - cell
    weight = weight * weight * (3 - 2 * weight)
    weight = weight[:, None] if axis == 0 else weight[None]
    low, high = values.take(cell, axis), values.take((cell + 1) % count, axis)
    return np.asarray(low + (high - low) * weight)


_PICTURES = {
    "plain": _plain,
    "checker": _checker,
    "stripes": _stripes,
    "tiles": _tiles,
    "bricks": _bricks,
    "planks": _planks,
    "noise": _marble,
    "dots": _dots,
}
