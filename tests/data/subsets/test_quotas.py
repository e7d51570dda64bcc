"""The study's rules for how many images a class gives, at its own size and at others."""

from decimal import Decimal, getcontext

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vireo.data.subsets import quotas
from vireo.errors import SettingError


def test_the_studys_sizes():
    """1000 classes of 1300 images: 650,000 and 325,000 balanced, 500,500 linear, 250,000 log."""
    sizes = np.full(1000, 1300)
    assert quotas.fraction(sizes, 0.5).sum() == 650_000
    assert quotas.fraction(sizes, 0.25).sum() == 325_000
    last = round(quotas.STUDY_LARGEST * 1300)
    assert quotas.linear(1000, last).tolist() == list(range(1, 1001))
    log = quotas.log(1000, last, 250_000)
    assert (log[0], log[-1], log.sum()) == (1, 1000, 250_000)


def test_a_real_class_gives_no_more_than_it_has():
    sizes = np.full(1000, 1300)
    sizes[999] = 732
    given_ = quotas.capped(quotas.linear(1000, 1000), sizes)
    assert (given_[-1], given_.sum()) == (732, 500_500 - 268)


@pytest.mark.parametrize(
    ("classes", "first", "last", "total"), [(1000, 1, 1000, 250_000), (10, 5, 3846, 9000)]
)
def test_the_log_curve_meets_its_three_conditions_in_exact_arithmetic(classes, first, last, total):
    getcontext().prec = 40
    lam, a, b = (Decimal(value) for value in quotas.solve_log(classes, last, total, first))
    curve = [lam * (a * n).exp() + b for n in range(1, classes + 1)]
    assert float(curve[0]) == pytest.approx(first, abs=1e-6)
    assert float(curve[-1]) == pytest.approx(last, abs=1e-6)
    assert float(sum(curve)) == pytest.approx(total, rel=1e-9)
    counts = quotas.log(classes, last, total, first)
    assert max(abs(float(c) - float(f)) for c, f in zip(counts, curve, strict=True)) < 1.0


@settings(max_examples=60, deadline=None)
@given(st.integers(3, 400), st.integers(1, 20), st.integers(2, 2000), st.floats(0.02, 0.98))
def test_every_log_subset_rises_and_has_its_total(classes, first, rise, place):
    last = first + rise
    low, high = first * (classes - 1) + last, (first + last) * classes / 2
    total = round(low + place * (high - low))
    if not low + 1 < total < high - 1:
        return
    counts = quotas.log(classes, last, total, first)
    assert counts.sum() == total
    assert (counts[0], counts[-1]) == (first, last)
    assert (np.diff(counts) >= 0).all()


def test_uniform_is_even_to_one():
    counts = quotas.uniform(np.full(365, 5000), 1_300_000)
    assert counts.sum() == 1_300_000
    assert set(counts.tolist()) == {3561, 3562}


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: quotas.fraction(np.ones(3, int), 0.0), r"fraction must be in \(0, 1\]"),
        (lambda: quotas.fraction(np.ones(3, int), 1.5), "got 1.5"),
        (lambda: quotas.linear(1, 5), "at least two classes"),
        (lambda: quotas.linear(5, 1), "1 <= first < last"),
        (lambda: quotas.log(10, 100, 550), "below 505"),
        (lambda: quotas.log(10, 100, 109), "above 109"),
        (lambda: quotas.uniform(np.full(3, 10), 2), "from 3 "),
        (lambda: quotas.uniform(np.full(3, 10), 31), "to 30 "),
    ],
)
def test_numbers_that_cannot_be_met_are_refused(call, said):
    with pytest.raises(SettingError, match=said):
        call()
