"""Every column of every wide block is collected once, in order, and no more than fit at a time."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vireo.errors import SettingError
from vireo.similarity.blocks import Block
from vireo.similarity.costs import is_kept_as_features, stored_bytes
from vireo.similarity.gram import CHUNK
from vireo.similarity.passes import capacity, plan_passes
from vireo.similarity.settings import SimilaritySettings

N = 1000


def made(widths):
    return [
        Block(name=f"b{number}", module=f"b{number}", width=width, places=(2, 3))
        for number, width in enumerate(widths)
    ]


@settings(max_examples=25, deadline=None)
@given(
    widths=st.lists(st.integers(1, 5 * CHUNK), min_size=1, max_size=8),
    chunks=st.integers(1, 12),
)
def test_columns_are_collected_once(widths, chunks):
    blocks, room = made(widths), chunks * CHUNK
    passes = plan_passes(N, blocks, room)
    covered = [
        (part.block.name, column)
        for one in passes
        for part in one.slices
        for column in range(part.start, part.stop)
    ]
    wide = [block for block in blocks if not is_kept_as_features(N, block.width)]
    assert covered == [(block.name, column) for block in wide for column in range(block.width)]
    kept = [block.name for one in passes for block in one.kept]
    assert kept == [block.name for block in blocks if block not in wide]
    for one in passes:
        assert sum(part.stop - part.start for part in one.slices) <= room
        assert all(part.start % CHUNK == 0 for part in one.slices)
        assert list(one.blocks) == [block for block in blocks if block in one.blocks]
        assert [part.is_last for part in one.slices] == [
            part.stop == part.block.width for part in one.slices
        ]


def test_a_pass_ends_behind_what_it_needs():
    passes = plan_passes(N, made([2 * CHUNK, 10, 2 * CHUNK]), 2 * CHUNK)
    assert [[block.name for block in one.blocks] for one in passes] == [["b0", "b1"], ["b2"]]


def test_the_published_comparison_fits_into_a_few_gigabytes():
    """10,000 images at 112: 56 GB of features of a ResNet-50 go through 4 GiB in 29 passes."""
    widths = [200_704] * 3 + [100_352] * 4 + [50_176] * 6 + [32_768] * 3
    columns = capacity(10_000, SimilaritySettings())
    assert columns * 10_000 * 4 < 4 * 2**30
    assert len(plan_passes(10_000, made(widths), columns)) == 29


def test_too_little_memory_is_said_with_what_is_needed():
    with pytest.raises(SettingError, match=r"All pairs of 50000 images need 4\d\.\d GiB"):
        capacity(50_000, SimilaritySettings())


@pytest.mark.parametrize("n", [9, 10])
def test_the_smaller_of_both_is_kept(n):
    """Features are n x width numbers, a folded Gram matrix ceil(n / 2) x (n + 1)."""
    for width in range(1, 12):
        features, matrix = 4 * n * width, 4 * -(-n // 2) * (n + 1)
        assert stored_bytes(n, width) == min(features, matrix)
        assert is_kept_as_features(n, width) == (2 * width <= n + 1)
        if is_kept_as_features(n, width):
            assert features <= matrix


@pytest.mark.parametrize("wrong", [{"side": 0}, {"batch_size": 7}, {"memory_gib": 0.0}])
def test_numbers_that_cannot_be_are_refused(wrong):
    with pytest.raises(SettingError, match=r"must be|or more"):
        SimilaritySettings(**wrong)
