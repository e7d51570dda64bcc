"""Levels against naive loops, and the rule of which map a level comes from."""

import pytest
import torch
from torch import nn

from vireo.encoders.pyramid import LEVELS, choose_taps, describe, map_size, resample

RESAMPLED = "resampled to 2, 4, 8, 16, 32"


def cells(inputs, outputs):
    """Which inputs each output averages: those that its share of the axis touches."""
    return [
        [
            i
            for i in range(inputs)
            if i * outputs < (o + 1) * inputs and (i + 1) * outputs > o * inputs
        ]
        for o in range(outputs)
    ]


def weights(inputs, outputs):
    """Matrix [outputs, inputs] of one axis, entry by entry."""
    matrix = torch.zeros(outputs, inputs, dtype=torch.float64)
    if outputs < inputs:
        for o, touched in enumerate(cells(inputs, outputs)):
            for i in touched:
                matrix[o, i] += 1 / len(touched)
    else:
        for o in range(outputs):
            centre = min(max((o + 0.5) * inputs / outputs - 0.5, 0), inputs - 1)
            low = min(int(centre), inputs - 1)
            high = min(low + 1, inputs - 1)
            matrix[o, low] += 1 - (centre - low)
            matrix[o, high] += centre - low
    return matrix


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ((4, 6), (8, 12)),
        ((8, 4), (4, 2)),
        ((16, 16), (14, 14)),
        ((5, 7), (3, 9)),
        ((2, 9), (7, 4)),
        ((1, 3), (6, 1)),
        ((7, 7), (8, 7)),
    ],
)
def test_resampling_is_its_definition_axis_by_axis(before, after):
    draw = torch.Generator().manual_seed(0)
    maps = torch.randn(2, 3, *before, generator=draw, dtype=torch.float64)
    rows, columns = weights(before[0], after[0]), weights(before[1], after[1])
    expected = torch.einsum("oh,bchw,pw->bcop", rows, maps, columns)
    torch.testing.assert_close(resample(maps, after), expected)


def test_a_map_of_the_right_size_is_left_alone():
    maps = torch.rand(1, 2, 3, 4)
    assert resample(maps, (3, 4)) is maps


@pytest.mark.parametrize("after", [(12, 16), (3, 2), (9, 3)])
def test_resampling_commutes_with_a_1x1_convolution(after):
    maps, lateral = torch.rand(2, 5, 6, 4, dtype=torch.float64), nn.Conv2d(5, 3, 1).double()
    torch.testing.assert_close(resample(lateral(maps), after), lateral(resample(maps, after)))


@pytest.mark.parametrize(
    ("strides", "taps", "said"),
    [
        ([2, 4, 8, 16, 32], (0, 1, 2, 3, 4), ""),
        ([1, 2, 4, 8, 16, 32], (1, 2, 3, 4, 5), ""),
        ([2, 4, 4, 8, 16, 16, 32], (0, 2, 3, 5, 6), ""),
        ([4, 8, 16, 32], (0, 0, 1, 2, 3), "stride 2 upsampled from 4"),
        ([2, 4, 8, 16], (0, 1, 2, 3, 3), "stride 32 averaged from 16"),
        ([8, 16, 16, 16], (0, 0, 0, 3, 3), "strides 2, 4 upsampled from 8; 32 averaged from 16"),
        ([16, 32, 64], (0, 0, 0, 0, 1), "strides 2, 4, 8 upsampled from 16"),
        (
            [12, 17, 12, 17],
            (2, 2, 2, 3, 3),
            "strides 2, 4, 8 upsampled from 12; 16 from 17; 32 averaged from 17",
        ),
        ([2, 4, 8, 32], (0, 1, 2, 2, 3), "stride 16 averaged from 8"),
        ([16] * 12, (1, 4, 6, 9, 11), f"blocks 2, 5, 7, 10, 12 at stride 16 {RESAMPLED}"),
        ([14] * 24, (4, 9, 13, 18, 23), f"blocks 5, 10, 14, 19, 24 at stride 14 {RESAMPLED}"),
        ([8], (0, 0, 0, 0, 0), f"blocks 1, 1, 1, 1, 1 at stride 8 {RESAMPLED}"),
    ],
)
def test_a_level_comes_from_the_deepest_map_of_the_nearest_stride(strides, taps, said):
    assert choose_taps(strides) == taps
    assert describe(strides, taps) == said


def test_a_patch_of_14_gives_the_sizes_of_the_levels():
    tokens = torch.rand(1, 2, 16, 16)  # 224 / 14
    sizes = [resample(tokens, map_size((224, 224), level)).shape[-1] for level in LEVELS]
    assert sizes == [112, 56, 28, 14, 7]
