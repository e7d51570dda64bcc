"""Effective rank and spread against NumPy, and against cases with known answers."""

import numpy as np
import pytest
import torch

from vireo.features import effective_rank, feature_std

RNG = np.random.default_rng(1)


@pytest.mark.parametrize("shape", [(50, 8), (8, 50), (30, 30)])
def test_effective_rank_is_the_papers(shape):
    z = RNG.standard_normal(shape) @ np.diag(np.logspace(0, -3, shape[1]))
    sigma = np.linalg.svd(z, compute_uv=False)
    p = sigma / np.abs(sigma).sum() + 1e-7
    assert effective_rank(z) == pytest.approx(np.exp(-np.sum(p * np.log(p))), rel=1e-9)


@pytest.mark.parametrize("rank", [1, 3, 6])
def test_equal_singular_values_give_the_rank(rank):
    left, _ = np.linalg.qr(RNG.standard_normal((40, rank)))
    right, _ = np.linalg.qr(RNG.standard_normal((10, rank)))
    assert effective_rank(left @ right.T) == pytest.approx(rank, rel=1e-3)


def test_scale_does_not_matter_and_collapse_shows():
    z = RNG.standard_normal((100, 16))
    assert effective_rank(z * 1e6) == pytest.approx(effective_rank(z))
    assert effective_rank(np.ones((100, 16))) == pytest.approx(1, abs=1e-3)
    assert effective_rank(torch.zeros(10, 4)) == pytest.approx(1, abs=1e-3)


def test_spread_is_numpys():
    z = RNG.standard_normal((64, 7)) + 0.3
    unit = z / np.linalg.norm(z, axis=1, keepdims=True)
    assert feature_std(z) == pytest.approx(unit.std(axis=0).mean(), rel=1e-9)
    assert feature_std(torch.tensor(z).float()) == pytest.approx(unit.std(axis=0).mean(), rel=1e-5)


def test_spread_of_even_features_is_one_over_root_dim():
    z = RNG.standard_normal((20000, 64))
    assert feature_std(z) == pytest.approx(1 / 8, rel=0.01)
    assert feature_std(np.tile(z[:1], (9, 1))) == pytest.approx(0, abs=1e-9)
