"""Friedman, Nemenyi and Holm against Demsar's worked example, his table and scipy."""

from itertools import permutations, product

import numpy as np
import pytest
from scipy import stats
from tests.analysis.planted import Effects, planted, without

from vireo.analysis.multiplicity import holm
from vireo.analysis.rank_tests import cliques, critical_difference, friedman
from vireo.analysis.ranking import ranking

# Demsar 2006, table 6: AUC of C4.5, C4.5+m, C4.5+cf and C4.5+m+cf on 14 sets. The paper's ranks
# tell apart the two .975 of "voting" (2 and 3), so the digit that was cut off is put back.
AUC = np.array(
    [
        [0.763, 0.768, 0.771, 0.798],
        [0.599, 0.591, 0.590, 0.569],
        [0.954, 0.971, 0.968, 0.967],
        [0.628, 0.661, 0.654, 0.657],
        [0.882, 0.888, 0.886, 0.898],
        [0.936, 0.931, 0.916, 0.931],
        [0.661, 0.668, 0.609, 0.685],
        [0.583, 0.583, 0.563, 0.625],
        [0.775, 0.838, 0.866, 0.875],
        [1.000, 1.000, 1.000, 1.000],
        [0.940, 0.962, 0.965, 0.962],
        [0.619, 0.666, 0.614, 0.669],
        [0.972, 0.981, 0.9751, 0.975],
        [0.957, 0.978, 0.946, 0.970],
    ]
)


def ranks(scores):
    return stats.rankdata(-scores, axis=1)


def untied(values):
    """What Demsar's chi2, which does not correct for ties, must be divided by."""
    n, k = values.shape
    counts = [np.unique(row, return_counts=True)[1] for row in values]
    return 1 - sum((c**3 - c).sum() for c in counts) / (n * k * (k**2 - 1))


def test_demsars_average_ranks_friedman_and_critical_difference():
    assert ranks(AUC).mean(0) == pytest.approx([3.143, 2.000, 2.893, 1.964], abs=5e-4)
    test = friedman(ranks(AUC))
    assert test.chi2 * untied(AUC) == pytest.approx(9.28, abs=0.005)
    assert test.freedom == (3, 39)
    assert critical_difference(4, 14) == pytest.approx(1.25, abs=0.005)
    assert critical_difference(4, 14, 0.90) == pytest.approx(1.12, abs=0.005)


@pytest.mark.parametrize(
    ("encoders", "q"),
    [(2, 1.960), (3, 2.343), (4, 2.569), (5, 2.728), (6, 2.850), (8, 3.031), (10, 3.164)],
)
def test_critical_values_are_those_of_demsars_table_5(encoders, q):
    found = critical_difference(encoders, 1) / np.sqrt(encoders * (encoders + 1) / 6)
    assert found == pytest.approx(q, abs=1.1e-3)


def test_friedman_is_scipys_with_ties():
    theirs = stats.friedmanchisquare(*AUC.T)
    test = friedman(ranks(AUC))
    assert (test.chi2, test.p_chi2) == (
        pytest.approx(theirs.statistic),
        pytest.approx(theirs.pvalue),
    )


def test_iman_davenport_is_the_f_test_of_the_ranks():
    """The two-way analysis of variance of the ranks, with tasks as blocks."""
    r = ranks(AUC)
    n, k = r.shape
    between = n * np.square(r.mean(0) - r.mean()).sum() / (k - 1)
    left = r - r.mean(0) - r.mean(1, keepdims=True) + r.mean()
    F = between / (np.square(left).sum() / ((n - 1) * (k - 1)))
    assert pytest.approx(F) == friedman(r).F


def test_tasks_on_which_all_tie_show_nothing():
    test = friedman(np.full((5, 3), 2.0))
    assert (test.chi2, test.p) == (0.0, 1.0)


def test_null_ranks_give_uniform_p_values():
    rng = np.random.default_rng(2)
    p = [friedman(ranks(rng.normal(size=(20, 6)))).p for _ in range(300)]
    assert stats.kstest(p, "uniform").pvalue > 0.01


def test_two_tasks_in_one_order_are_no_evidence():
    """F is infinite; that two encoders keep their order has a chance of one half."""
    test = friedman(np.array([[1.0, 2.0], [1.0, 2.0]]))
    assert np.isinf(test.F)
    assert test.p == pytest.approx(test.smallest, abs=0.02) == pytest.approx(0.5, abs=0.02)
    said = ranking(planted(names=("swav-200", "random-resnet50"), tasks=2)).verdict
    assert "so few tasks cannot tell whether ranks differ beyond chance" in said
    assert "more than by chance" not in said


def test_few_ranks_have_the_exact_p_value():
    """Against all 6^3 arrangements of three encoders on three tasks."""
    orders = [np.array(order) for order in permutations([1.0, 2.0, 3.0])]
    seen = np.array([[1.0, 2, 3], [1, 3, 2], [1, 2, 3]])
    means = np.array([np.mean(rows, axis=0) for rows in product(orders, repeat=3)])
    spread = np.square(means - 2).sum(1)
    exact = np.mean(spread >= np.square(seen.mean(0) - 2).sum() - 1e-9)
    assert friedman(seen).p == pytest.approx(exact, abs=0.015)
    assert friedman(seen).smallest == pytest.approx(1 / 36)


def test_null_ranks_of_few_tasks_are_rarely_called_different():
    rng = np.random.default_rng(7)
    p = np.array([friedman(ranks(rng.normal(size=(3, 4)))).p for _ in range(150)])
    assert np.mean(p < 0.05) < 0.1
    assert np.mean(p < 0.5) == pytest.approx(0.5, abs=0.12)


def test_nemenyi_keeps_its_level_over_all_pairs():
    """Of 400 null tables about 5 % have a pair further apart than the critical difference."""
    rng = np.random.default_rng(3)
    means = [ranks(rng.normal(size=(20, 8))).mean(0) for _ in range(400)]
    difference = critical_difference(8, 20)
    wrong = np.mean([np.ptp(mean) > difference for mean in means])
    assert 0.02 < wrong < 0.08


def test_cliques_are_those_of_a_naive_search():
    rng = np.random.default_rng(4)
    for _ in range(50):
        places = np.sort(rng.uniform(0, 6, size=7))
        groups = [
            tuple(range(first, last + 1))
            for first in range(7)
            for last in range(first + 1, 7)
            if places[last] - places[first] < 1.5
        ]
        largest = [g for g in groups if not any(set(g) < set(other) for other in groups)]
        assert cliques(places, 1.5) == largest


def test_holms_worked_example():
    """Five p-values of .01 to .05: 5 x .01, 4 x .02, 3 x .03, and none below the one before."""
    assert holm([0.05, 0.01, 0.03, 0.02, 0.04]).tolist() == pytest.approx(
        [0.09, 0.05, 0.09, 0.08, 0.09]
    )


def test_holm_is_statsmodels_and_holds_the_level():
    from statsmodels.stats.multitest import multipletests

    p = np.random.default_rng(5).uniform(size=30) ** 3
    assert holm(p) == pytest.approx(multipletests(p, method="holm")[1])
    null = np.random.default_rng(6).uniform(size=(1000, 10))
    alarms = np.mean([holm(row).min() < 0.05 for row in null])
    assert 0.03 < alarms < 0.07


def test_the_ranking_of_a_planted_table_joins_equals_and_parts_others():
    """Ten encoders alike but for the random one: only it is worse beyond the difference."""
    table = planted(10, effects=Effects(random=-0.2, seed=0.001))
    finding = ranking(table)
    lines = finding.table.set_index("encoder")
    assert not lines.loc["random-resnet50", "like_best"]
    assert lines["mean_rank"].idxmax() == "random-resnet50"
    figure = finding.figures[0].data.set_index("label")
    assert figure.loc["random-resnet50", "cliques"] == ""
    groups = [set(text.split()) for text in figure["cliques"].head(3)]
    assert groups[0] & groups[1] & groups[2]
    assert "Friedman's test as F(9, 180)" in finding.verdict


def test_a_missing_cell_costs_the_line_that_lacks_most_and_is_named():
    table = planted(8, tasks=6)
    holed = without(table, ("swav-200", "imagenet"), ("swav-200", "cityscapes"))
    finding = ranking(holed)
    assert "swav-200" not in set(finding.table["encoder"])
    assert finding.notes == ("Left out swav-200: no score on cityscapes, imagenet.",)
    assert set(finding.table["tasks"]) == {6}
