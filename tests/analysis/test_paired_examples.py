"""Paired tests against naive loops, textbook numbers, enumeration, and null tables."""

from itertools import product

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar as their_mcnemar

from vireo.analysis.example_sums import scorer
from vireo.analysis.paired_examples import exchange_test, mcnemar, paired_tests
from vireo.analysis.sign_flips import sign_flip_test, signed_ranks

ONE = np.array([[0, 1]])
SHARE = scorer("top-1").value
IOU = scorer("miou").value


def right(rng, images, shares):
    """[encoders, 1, images, 2]: (correct, 1), with images that are hard for all."""
    hard = rng.normal(size=images)
    terms = [(rng.normal(size=images) + hard < stats.norm.ppf(s) * 2**0.5) for s in shares]
    ones = np.ones(images)
    return np.stack([np.stack([t.astype(float), ones], axis=1) for t in terms])[:, None]


def masks(rng, images, classes=3):
    """[2, 1, images, 3 classes]: areas of both, truth, prediction, as `miou` sums them."""
    truth = rng.integers(0, 40, size=(images, classes))
    both = rng.binomial(truth, rng.uniform(0.4, 0.8, size=(2, images, 1)))
    wrong = rng.integers(0, 20, size=(2, images, classes))
    parts = [both, np.broadcast_to(truth, both.shape), both + wrong]
    return np.concatenate(parts, axis=2)[:, None].astype(float)


def test_mcnemars_textbook_table():
    """Agresti 2002, table 10.1 turned into examples: 86 and 150 that one alone has right."""
    first = np.array([1.0] * 794 + [1.0] * 150 + [0.0] * 86 + [0.0] * 570)
    second = np.array([1.0] * 794 + [0.0] * 150 + [1.0] * 86 + [0.0] * 570)
    theirs = their_mcnemar([[794, 150], [86, 570]], exact=True).pvalue
    assert mcnemar(np.stack([first, second]), ONE)[0] == pytest.approx(theirs)
    assert theirs == pytest.approx(3.7e-5, rel=0.05)


def test_large_samples_of_exchanges_are_mcnemars_without_correction():
    """z = (150 - 86) / sqrt(236) = 4.17 (Agresti 2002, section 10.1.1)."""
    first = np.array([1.0] * 794 + [1.0] * 150 + [0.0] * 86 + [0.0] * 570)
    second = np.array([1.0] * 794 + [0.0] * 150 + [1.0] * 86 + [0.0] * 570)
    terms = np.stack([np.stack([x, np.ones(1600)], axis=1) for x in (first, second)])[:, None]
    p = exchange_test(terms, ONE, SHARE, "agresti")[0]
    assert stats.norm.isf(p / 2) == pytest.approx(4.17, abs=0.15)


@pytest.mark.parametrize("kind", ["shares", "masks"])
def test_few_examples_are_enumerated_as_a_naive_loop_does(kind):
    rng = np.random.default_rng(1)
    terms = right(rng, 7, (0.5, 0.8)) if kind == "shares" else masks(rng, 7)
    value = SHARE if kind == "shares" else IOU
    a, b = terms[0, 0], terms[1, 0]
    observed = abs(value(a.sum(0)) - value(b.sum(0)))
    found = []
    for swap in product([False, True], repeat=7):
        chosen = np.array(swap)[:, None]
        one, other = np.where(chosen, b, a).sum(0), np.where(chosen, a, b).sum(0)
        found.append(abs(value(one) - value(other)) >= observed - 1e-12)
    assert exchange_test(terms, ONE, value, "few")[0] == pytest.approx(np.mean(found))


def test_intervals_and_differences_are_a_naive_loops():
    rng = np.random.default_rng(2)
    terms = masks(rng, 60)
    tests = paired_tests(terms, ONE, IOU, level=0.9, purpose="loop")
    value = lambda rows: float(IOU(rows.sum(0)))  # noqa: E731
    assert tests.difference[0] == pytest.approx(value(terms[0, 0]) - value(terms[1, 0]))
    draws = []
    for _ in range(2000):
        chosen = rng.integers(60, size=60)
        draws.append(value(terms[0, 0][chosen]) - value(terms[1, 0][chosen]))
    low, high = np.quantile(draws, [0.05, 0.95])
    assert tests.low[0] == pytest.approx(low, abs=0.006)
    assert tests.high[0] == pytest.approx(high, abs=0.006)


def test_replicates_are_averaged():
    rng = np.random.default_rng(3)
    one, other = right(rng, 50, (0.5, 0.7)), right(rng, 50, (0.5, 0.7))
    both = np.concatenate([one, other], axis=1)
    tests = paired_tests(both, ONE, SHARE, level=0.95, purpose="two")
    alone = [float(SHARE(t.sum(2))[0, 0] - SHARE(t.sum(2))[1, 0]) for t in (one, other)]
    assert tests.difference[0] == pytest.approx(np.mean(alone))


@pytest.mark.parametrize("kind", ["shares", "masks"])
def test_null_encoders_give_uniform_p_values(kind):
    """200 pairs of encoders that are equally good on images of unequal difficulty."""
    rng = np.random.default_rng(4)
    p = []
    for draw in range(200):
        terms = right(rng, 120, (0.6, 0.6)) if kind == "shares" else masks(rng, 40)
        p.append(float(exchange_test(terms, ONE, SHARE if kind == "shares" else IOU, f"{draw}")[0]))
    # shares of 120 images take few values: their p-values are coarse, and never too small
    if kind == "masks":
        assert stats.kstest(p, "uniform").pvalue > 0.01
    for level in (0.05, 0.2, 0.5):
        assert np.mean(np.array(p) <= level) < level + 3 * (level * (1 - level) / 200) ** 0.5


def test_the_exact_test_never_exceeds_its_level_and_finds_a_planted_difference():
    rng = np.random.default_rng(5)
    null = [mcnemar(right(rng, 200, (0.6, 0.6))[:, 0, :, 0], ONE)[0] for _ in range(400)]
    assert np.mean(np.array(null) < 0.05) < 0.06
    better = [mcnemar(right(rng, 200, (0.55, 0.72))[:, 0, :, 0], ONE)[0] for _ in range(100)]
    assert np.mean(np.array(better) < 0.05) > 0.8


def test_small_p_values_come_from_the_tail_and_not_below_what_examples_can_show():
    terms = np.zeros((2, 1, 14, 2))
    terms[..., 1] = 1
    terms[0, 0, :, 0] = 1
    assert exchange_test(terms, ONE, SHARE, "all")[0] == pytest.approx(2.0**-13, rel=5)
    assert exchange_test(terms, ONE, SHARE, "all")[0] >= 2.0**-13
    many = np.zeros((2, 1, 400, 2))
    many[..., 1] = 1
    many[0, 0, :, 0] = 1
    assert exchange_test(many, ONE, SHARE, "all")[0] < 1e-30


def test_wilcoxons_test_is_scipys_exact_one():
    x = np.array([0.3, -0.1, 0.5, 0.7, 0.2, -0.4, 0.9, 1.1])
    theirs = stats.wilcoxon(x, method="exact").pvalue
    assert sign_flip_test(x[:, None], "w", signed_ranks)[0] == pytest.approx(theirs)


def test_fishers_sign_flips_on_darwins_plants():
    """Fisher 1935, section 21: 15 pairs, 863 of 32768 patterns are as extreme one-sided: .0267."""
    inches = np.array([49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48]) / 8
    p = float(sign_flip_test(inches, "darwin"))
    assert p == pytest.approx(2 * 863 / 32768, abs=0.005)


def test_sign_flips_of_null_differences_give_uniform_p_values():
    x = np.random.default_rng(7).normal(size=(18, 400))
    assert stats.kstest(sign_flip_test(x, "null"), "uniform").pvalue > 0.01
