"""Folded Gram matrices against plain ones."""

import numpy as np
import pytest
import torch

from vireo.similarity import gram

SIZES = [4, 5, 6, 9]


def features(n, width=6):
    return torch.from_numpy(np.random.default_rng(n).standard_normal((n, width)) + 2)


def plain(x):
    centred = x - x.mean(0)
    return centred @ centred.T


def unfolded(folded, n):
    """Put every entry back, one at a time."""
    full = torch.full((n, n), torch.nan, dtype=folded.dtype)
    for row in range(len(folded)):
        for column in range(row, n):
            full[row, column] = full[column, row] = folded[row, column + 1]
        mirror = n - 1 - row
        if mirror != row:
            for column in range(mirror, n):
                full[mirror, column] = full[column, mirror] = folded[row, n - 1 - column]
    return full


@pytest.mark.parametrize("n", SIZES)
def test_folding_loses_nothing(n):
    x = features(n)
    folded = gram.folded(x)
    assert folded.shape == (gram.num_rows(n), n + 1)
    torch.testing.assert_close(unfolded(folded, n), plain(x))


@pytest.mark.parametrize("n", SIZES)
def test_an_entry_is_there_once(n):
    """A rectangle of this size holds the triangle, and of an odd n half a row of zeros."""
    folded = gram.folded(features(n))
    assert int((folded != 0).sum()) == n * (n + 1) // 2


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("step", [1, 2, 5])
def test_rows_can_be_made_apart_and_from_features(n, step):
    x = features(n)
    whole = gram.folded(x)
    for start in range(0, len(whole), step):
        stop = min(start + step, len(whole))
        rows = gram.fold_features(x - x.mean(0), start, stop)
        torch.testing.assert_close(rows, whole[start:stop])


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("step", [1, 3])
def test_the_diagonal_is_moved_out(n, step):
    x = features(n)
    folded = gram.folded(x)
    diagonals = torch.zeros(1, n, dtype=torch.float64)
    for start in range(0, len(folded), step):
        gram.take_diagonal(folded[None, start : start + step], start, diagonals)
    torch.testing.assert_close(diagonals[0], plain(x).diagonal())
    expected = plain(x)
    torch.testing.assert_close(2 * folded.sum(), expected.sum() - expected.trace())


def test_tiles_and_chunks_only_order_the_sums(monkeypatch):
    x = features(9, width=50)
    whole = gram.folded(x)
    monkeypatch.setattr(gram, "TILE", 4)
    monkeypatch.setattr(gram, "CHUNK", 8)
    torch.testing.assert_close(gram.folded(x), whole)


def test_float32_products_are_summed_in_float64():
    """100,000 columns: float32 sums of chunks differ from float64 by their rounding alone."""
    x = torch.rand(16, 100_000, generator=torch.Generator().manual_seed(0))
    found, exact = gram.folded(x), gram.folded(x.double())
    assert found.dtype == torch.float64
    assert float((found - exact).abs().max() / exact.abs().max()) < 1e-6
