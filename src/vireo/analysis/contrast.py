"""One kind of task against another, with tasks as units: a difference, its interval and a test."""

import math
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from jaxtyping import Float64, Int64
from scipy import stats

from vireo.analysis.words import interval_words, p_words
from vireo.seeding import generator

_MOST_ARRANGEMENTS = 9999


@dataclass(frozen=True)
class Contrast:
    """Two groups of values compared.

    Attributes:
        difference: of the means.
        low, high: Welch's interval of it; NaN with fewer than two values on a side.
        p: two-sided, of exchanging labels; smallest: that so many values could give at all.
        level: of the interval; 1 - level is what p is held against.
    """

    difference: float
    low: float
    high: float
    p: float
    smallest: float
    level: float

    @property
    def numbers(self) -> str:
        """The interval and the test in words."""
        span = interval_words(self.low, self.high, self.level)
        return f"{span} of the difference; permutation over tasks {p_words(self.p)}"

    def said(self, first: str, second: str, neither: str) -> str:
        """Return the conclusion: `first` or `second`, `neither`, or that nothing can be told."""
        if self.smallest >= 1 - self.level:
            return f"so few tasks cannot tell (the smallest possible p is {self.smallest:.2g})"
        if self.p >= 1 - self.level:
            return neither
        return first if self.difference > 0 else second


def contrast(
    first: Float64[np.ndarray, " a"],
    second: Float64[np.ndarray, " b"],
    purpose: str,
    level: float,
) -> Contrast:
    """Return the first group's mean against the second's; both have at least one value."""
    low, high = welch_interval(first, second, level)
    return Contrast(
        difference=float(first.mean() - second.mean()),
        low=low,
        high=high,
        p=label_test(first, second, purpose),
        smallest=smallest_p(len(first), len(second)),
        level=level,
    )


def welch_interval(
    first: Float64[np.ndarray, " a"], second: Float64[np.ndarray, " b"], level: float
) -> tuple[float, float]:
    """Return Welch's interval of the difference of means; NaN with fewer than two on a side.

    Example:
        >>> low, high = welch_interval(np.array([1.0, 2.0]), np.array([1.0, 2.0]), 0.95)
        >>> round(low, 3), round(high, 3)
        (-3.042, 3.042)
    """
    if min(len(first), len(second)) < 2 or np.ptp(first) + np.ptp(second) == 0:
        return math.nan, math.nan
    interval = stats.ttest_ind(first, second, equal_var=False).confidence_interval(level)
    return float(interval.low), float(interval.high)


def label_test(
    first: Float64[np.ndarray, " a"], second: Float64[np.ndarray, " b"], purpose: str
) -> float:
    """Return the two-sided p-value of the difference of means when labels are exchanged.

    Twice the smaller tail, of all arrangements where there are at most 9,999, else of that many
    drawn at random.

    Example:
        >>> round(label_test(np.array([1.0, 2.0]), np.array([5.0, 6.0]), "example"), 3)
        0.333
    """
    values, size = np.concatenate([first, second]), len(first)
    chosen, drawn = _arrangements(len(values), size, purpose)
    sums, seen = values[chosen].sum(axis=1), first.sum()
    slack = 1e-9 * np.abs(values).sum()
    tails = [int((sums >= seen - slack).sum()), int((sums <= seen + slack).sum())]
    return min(1.0, 2 * (min(tails) + drawn) / (len(sums) + drawn))


def _arrangements(n: int, size: int, purpose: str) -> tuple[Int64[np.ndarray, "count size"], int]:
    """Return which places are of the first group in each arrangement, and 1 where they are drawn.

    Drawn ones do not hold the arrangement that was seen, which then counts beside them.
    """
    if math.comb(n, size) <= _MOST_ARRANGEMENTS:
        return np.array(list(combinations(range(n), size)), dtype=np.int64), 0
    rng = generator("label test", purpose)
    places = np.tile(np.arange(n, dtype=np.int64), (_MOST_ARRANGEMENTS, 1))
    return rng.permuted(places, axis=1)[:, :size], 1


def smallest_p(first: int, second: int) -> float:
    """Return the smallest p-value that `label_test` can give with so many on each side.

    Example:
        >>> round(smallest_p(2, 2), 3), round(smallest_p(4, 4), 3)
        (0.333, 0.029)
    """
    return min(1.0, 2 / math.comb(first + second, first))
