"""Texture lookup against a naive bilinear one, and what mip maps promise."""

import math

import numpy as np
import pytest
import torch

from vireo.data.rooms import textures
from vireo.data.rooms.world import TEXTURES


def finest(name):
    """The finest level of a texture, cut out of the atlas by hand."""
    texels = sum(4**k for k in range(int(math.log2(textures.SIDE)) + 1))
    start = TEXTURES.index(name) * texels
    flat = textures.atlas("cpu").numpy()[start : start + textures.SIDE**2]
    return flat.reshape(textures.SIDE, textures.SIDE)


def naive(picture, u, v):
    """Periodic bilinear interpolation with texel centres at half integers."""
    side = picture.shape[0]
    x, y = u * side - 0.5, v * side - 0.5
    total = 0.0
    for row in (math.floor(y), math.floor(y) + 1):
        for column in (math.floor(x), math.floor(x) + 1):
            weight = (1 - abs(x - column)) * (1 - abs(y - row))
            total += weight * picture[row % side, column % side]
    return total


def look_up(name, u, v, footprint):
    code = torch.full((len(u),), TEXTURES.index(name))
    place = torch.tensor(u, dtype=torch.float32), torch.tensor(v, dtype=torch.float32)
    pixel = torch.full((len(u),), footprint)
    return textures.sample(textures.atlas("cpu"), code, place, pixel).numpy()


@pytest.mark.parametrize("name", TEXTURES)
def test_near_lookups_are_bilinear_and_periodic(name):
    rng = np.random.default_rng(0)
    u, v = rng.uniform(-2, 2, (2, 64))
    expected = [naive(finest(name), a, b) for a, b in zip(u, v, strict=True)]
    np.testing.assert_allclose(look_up(name, u, v, 1e-4), expected, atol=1e-4)


@pytest.mark.parametrize("name", TEXTURES)
def test_far_lookups_give_the_mean(name):
    values = look_up(name, np.linspace(0, 1, 9), np.linspace(0, 3, 9), 10.0)
    np.testing.assert_allclose(values, finest(name).mean(), atol=1e-5)


def test_coarser_levels_average_finer_ones():
    picture = finest("bricks")
    factor = 8
    side = textures.SIDE // factor
    blocks = picture.reshape(side, factor, side, factor).mean((1, 3))
    centre = (np.arange(side) + 0.5) / side
    u, v = (grid.ravel() for grid in np.meshgrid(centre, centre))
    values = look_up("bricks", u, v, factor / textures.SIDE)
    np.testing.assert_allclose(values, blocks.ravel(), atol=1e-5)


def test_textures_differ_and_stay_in_range():
    pictures = [finest(name) for name in TEXTURES]
    assert all(picture.min() >= 0 and picture.max() <= 1 for picture in pictures)
    assert [name for name, p in zip(TEXTURES, pictures, strict=True) if p.std() < 0.1] == ["plain"]
    distances = [np.abs(pictures[i] - pictures[j]).mean() for i in range(8) for j in range(i)]
    assert min(distances) > 0.05


def test_the_level_changes_halfway_between_texel_sizes():
    """A checker's edge, looked up at a texel centre beside it: sharp at level 0, blurred after."""
    edge = [(textures.SIDE / 2 - 0.5) / textures.SIDE]
    sharp, blurred = (look_up("checker", edge, [0.25], k / textures.SIDE)[0] for k in (1.45, 1.55))
    assert sharp == finest("checker")[textures.SIDE // 4, textures.SIDE // 2 - 1]
    assert abs(blurred - 0.25 * (1 - sharp) - 0.75 * sharp) < 1e-5
