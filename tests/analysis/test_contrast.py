"""A contrast of two kinds of task, against scipy and the textbook's formula."""

import math

import numpy as np
import pytest
from scipy import stats

from vireo.analysis.contrast import contrast, label_test, smallest_p, welch_interval


def mean_difference(first, second, axis):
    return first.mean(axis=axis) - second.mean(axis=axis)


@pytest.mark.parametrize(("sizes", "shift"), [((4, 5), 1.0), ((2, 7), 0.0), ((5, 5), -2.0)])
def test_the_label_test_is_scipys_where_all_arrangements_are_tried(sizes, shift):
    rng = np.random.default_rng(sum(sizes))
    first, second = rng.normal(shift, size=sizes[0]), rng.normal(size=sizes[1])
    expected = stats.permutation_test((first, second), mean_difference, vectorized=True).pvalue
    assert label_test(first, second, "test") == pytest.approx(expected)


def test_drawn_arrangements_come_close_to_the_t_test():
    rng = np.random.default_rng(0)
    first, second = rng.normal(0.8, size=12), rng.normal(size=12)
    p = label_test(first, second, "test")
    assert p == pytest.approx(stats.ttest_ind(first, second).pvalue, abs=0.02)
    assert p == label_test(first, second, "test")


def test_p_values_of_equal_groups_are_uniform():
    rng = np.random.default_rng(3)
    found = [label_test(x[:4], x[4:], "null") for x in rng.exponential(size=(400, 8))]
    for bound in (0.05, 0.2, 0.5):
        assert np.mean(np.array(found) <= bound) == pytest.approx(bound, abs=0.06)
        assert np.mean(np.array(found) <= bound) < bound + 2.5 * math.sqrt(bound / 400)


def test_the_smallest_p_is_reached_by_groups_apart():
    for a, b in ((2, 2), (1, 4), (3, 5)):
        found = label_test(np.arange(a) + 100.0, np.arange(b) + 0.0, "test")
        assert found == pytest.approx(smallest_p(a, b))


def test_equal_values_differ_by_nothing():
    assert label_test(np.ones(3), np.ones(4), "test") == 1.0
    assert all(math.isnan(bound) for bound in welch_interval(np.ones(3), np.ones(4), 0.95))
    assert label_test(np.array([1.0]), np.array([2.0]), "test") == 1.0


def test_welchs_interval_by_its_formula():
    first, second = np.array([5.1, 4.9, 6.2, 5.8]), np.array([4.0, 4.4, 3.1])
    errors = [side.var(ddof=1) / len(side) for side in (first, second)]
    spread = math.sqrt(sum(errors))
    freedom = sum(errors) ** 2 / (errors[0] ** 2 / 3 + errors[1] ** 2 / 2)
    half = stats.t.ppf(0.95, freedom) * spread
    middle = first.mean() - second.mean()
    assert welch_interval(first, second, 0.9) == pytest.approx((middle - half, middle + half))


def test_what_is_said_follows_the_test_and_what_it_could_show():
    rng = np.random.default_rng(1)
    noise, words = rng.normal(size=6), ("up", "down", "neither")
    assert contrast(noise + 9, noise, "test", 0.95).said(*words) == "up"
    assert contrast(noise, noise + 9, "test", 0.95).said(*words) == "down"
    assert contrast(noise, noise + 0.01, "test", 0.95).said(*words) == "neither"
    few = contrast(np.array([9.0, 9.1]), np.array([1.0, 1.1]), "test", 0.95)
    assert few.said(*words) == "so few tasks cannot tell (the smallest possible p is 0.33)"
