"""Draws as counts, against samples written out."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from vireo.analysis.bootstrap import (
    FEWEST_FOR_INTERVAL,
    Draws,
    crossed_mean,
    draw_counts,
    percentiles,
    sign_test,
    weighted_pearson,
    weighted_spearman,
)


@pytest.fixture
def sample():
    rng = np.random.default_rng(1)
    x = rng.normal(size=12).round(1)  # with ties
    y = (0.5 * x + rng.normal(size=12)).round(1)
    return x, y, draw_counts([f"g{n}" for n in range(12)], "test", 30)


def test_weighted_correlations_are_scipys_of_the_sample_written_out(sample):
    x, y, counts = sample
    pearson, spearman = weighted_pearson(x, y, counts), weighted_spearman(x, y, counts)
    for line, r, rho in zip(counts.astype(int), pearson, spearman, strict=True):
        xs, ys = np.repeat(x, line), np.repeat(y, line)
        assert r == pytest.approx(stats.pearsonr(xs, ys).statistic)
        assert rho == pytest.approx(stats.spearmanr(xs, ys).statistic)


def test_a_draw_of_one_value_has_no_correlation():
    counts = np.array([[3.0, 0.0, 0.0], [1.0, 1.0, 1.0], [0.0, 0.0, 0.0]])
    found = weighted_pearson(np.array([0.1, 0.2, 0.4]), np.array([1.0, 3.0, 2.0]), counts)
    assert np.isnan(found[0])
    assert np.isfinite(found[1])
    assert np.isnan(found[2])


def test_members_of_a_group_are_drawn_together():
    counts = draw_counts(["a", "b", "a", "c"], "test", 200)
    assert np.array_equal(counts[:, 0], counts[:, 2])
    distinct = counts[:, [0, 1, 3]]
    assert (distinct.sum(axis=1) == 3).all()
    assert distinct.mean(axis=0) == pytest.approx([1, 1, 1], abs=0.2)
    assert np.array_equal(counts, draw_counts(["a", "b", "a", "c"], "test", 200))
    assert not np.array_equal(counts, draw_counts(["a", "b", "a", "c"], "other", 200))


def test_repeats_of_one_recipe_do_not_make_an_interval():
    many = tuple(f"g{n}" for n in range(FEWEST_FOR_INTERVAL))
    few = (*many[:-1], many[0])
    have = np.ones(FEWEST_FOR_INTERVAL, dtype=bool)
    assert len(Draws.of(many, "test").within(have)) > 1
    (once,) = Draws.of(few, "test").within(have)
    assert (once == 1).all()


def test_percentiles_are_numpys_unless_too_many_draws_have_no_value():
    draws = np.arange(101.0)
    assert percentiles(draws, 0.9) == pytest.approx((5, 95))
    draws[:20] = math.nan
    assert all(math.isnan(bound) for bound in percentiles(draws, 0.9))


def test_the_crossed_mean_is_that_of_the_table_written_out():
    rng = np.random.default_rng(2)
    values = pd.DataFrame(rng.normal(size=(4, 3)))
    values.iloc[1, 2] = math.nan
    rows, columns = draw_counts(list("abcd"), "rows", 20), draw_counts(list("xyz"), "columns", 20)
    found = crossed_mean(values, rows, columns)
    for draw in range(20):
        written = [
            values.iloc[i, j]
            for i in range(4)
            for j in range(3)
            for _ in range(int(rows[draw, i] * columns[draw, j]))
            if not math.isnan(values.iloc[i, j])
        ]
        expected = np.mean(written) if written else math.nan
        assert found[draw] == pytest.approx(expected, nan_ok=True)


def test_the_sign_test_adds_up_binomial_tails():
    tails = sum(math.comb(9, k) for k in (0, 1, 8, 9)) / 2**9
    assert sign_test(8, 1) == pytest.approx(tails)
    assert sign_test(0, 5) == pytest.approx(2 / 2**5)
