r"""Tests of the difference of two scores on the same test examples.

Under the null hypothesis an example does not care which of two encoders answered it, so exchanging
the two outcomes of any examples leaves the distribution as it is. With $a_i, b_i$ the terms of the
metric's sums (`example_sums`), signs $s_i = \pm 1$, $m = \frac12\sum(a_i+b_i)$ and
$d = \frac12\sum s_i(a_i-b_i)$, the redrawn difference is $f(m + d) - f(m - d)$: a function of sums
again, so that all draws of all pairs are one matrix product. Where an example is right or wrong,
and answered once, the exact form is McNemar's test of those that the two disagree on.

Intervals are of a bootstrap over examples whose draws both encoders share.

References:
    McNemar 1947; Pitman 1937; Efron & Tibshirani 1993, chapters 13 and 15.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64
from scipy import stats

from vireo import seeding
from vireo.analysis.sign_flips import signs

Terms = Float64[np.ndarray, "encoders replicates examples sums"]
Pairs = Int64[np.ndarray, "pairs 2"]
Value = Callable[[np.ndarray], np.ndarray]
FLIPS, RESAMPLES = 1999, 1000
_ENUMERATED = 12
"""Up to this many examples all exchanges are tried."""
_CELLS = 2_000_000
"""Numbers held at once."""
_FEW = 10
"""With fewer draws beyond the observed one, a p-value is taken from the normal tail."""


@dataclass(frozen=True, kw_only=True)
class PairedTests:
    """One number a pair: the difference of scores, its interval and its p-value."""

    difference: Float64[np.ndarray, " pairs"]
    low: Float64[np.ndarray, " pairs"]
    high: Float64[np.ndarray, " pairs"]
    p: Float64[np.ndarray, " pairs"]


def paired_tests(
    terms: Terms, pairs: Pairs, value: Value, *, level: float, purpose: str
) -> PairedTests:
    """Test every pair; a score is the mean over replicates (seeds of the head, draws of shots).

    Args:
        terms: each example's terms of the metric's sums.
        pairs: places of the encoders to compare.
        value: sums [..., sums] to scores.
        level: coverage of the intervals.
        purpose: seeds the draws: the name of the task.
    """
    scores = value(terms.sum(2)).mean(1)
    difference = scores[pairs[:, 0]] - scores[pairs[:, 1]]
    drawn = _redrawn(terms, value, purpose)
    redrawn = drawn[:, pairs[:, 0]] - drawn[:, pairs[:, 1]]
    low, high = np.nanpercentile(redrawn, [50 * (1 - level), 50 * (1 + level)], axis=0)
    p = exchange_test(terms, pairs, value, purpose)
    return PairedTests(difference=difference, low=low, high=high, p=p)


def mcnemar(
    right: Float64[np.ndarray, "encoders examples"], pairs: Pairs
) -> Float64[np.ndarray, " pairs"]:
    """Return exact two-sided p-values: examples that one alone has right are a fair coin.

    Example:
        >>> right = np.array([[1.0, 1, 1, 1, 1, 0], [0.0, 0, 0, 0, 0, 0]])
        >>> mcnemar(right, np.array([[0, 1]])).tolist()
        [0.0625]
    """
    alone = right @ (1 - right).T
    first, second = alone[pairs[:, 0], pairs[:, 1]], alone[pairs[:, 1], pairs[:, 0]]
    tail = stats.binom.cdf(np.minimum(first, second), first + second, 0.5)
    return np.asarray(np.minimum(1.0, 2 * tail))


def exchange_test(
    terms: Terms, pairs: Pairs, value: Value, purpose: str
) -> Float64[np.ndarray, " pairs"]:
    """Return two-sided p-values of exchanging the outcomes of examples.

    The share of draws at least as far from zero as the observed one, which is one of them. Where
    fewer than ten are, the tail of a normal distribution with the draws' variance says how much
    further it lies; it may not fall below what so few examples can show, 2^(1-n).
    """
    n = terms.shape[2]
    totals = terms.sum(2)
    middle = (totals[pairs[:, 0]] + totals[pairs[:, 1]]) / 2
    observed = np.abs(_apart(middle, (totals[pairs[:, 0]] - totals[pairs[:, 1]]) / 2, value))
    beyond, squares, count = np.zeros(len(pairs)), np.zeros(len(pairs)), 0
    for block in _patterns(n, _block(middle.size, n), purpose):
        flipped = _sums(block, terms)
        half = (flipped[:, pairs[:, 0]] - flipped[:, pairs[:, 1]]) / 2
        found = np.abs(_apart(middle, half, value))
        beyond += (~(found < observed * (1 - 1e-9))).sum(0)
        squares += np.square(np.nan_to_num(found)).sum(0)
        count += len(block)
    p = beyond / count
    if n <= _ENUMERATED:
        return p
    deviation = np.sqrt(squares / count)
    tail = 2 * stats.norm.sf(observed / np.where(deviation > 0, deviation, 1))
    tail = np.clip(tail, 2.0 ** (1 - min(n, 1000)), (beyond + 1) / count)
    return np.where(beyond < _FEW, tail, p)


def _apart(middle: np.ndarray, half: np.ndarray, value: Value) -> np.ndarray:
    """Return the difference of scores of two encoders whose sums are middle +- half."""
    found: np.ndarray = (value(middle + half) - value(middle - half)).mean(-1)
    return found


def _redrawn(terms: Terms, value: Value, purpose: str) -> Float64[np.ndarray, "draws encoders"]:
    """Return every encoder's score on the same bootstrap samples of examples."""
    n = terms.shape[2]
    rng = seeding.generator("analysis", f"bootstrap {purpose}", index=n)
    block = _block(terms.size // n, n)
    found = []
    for first in range(0, RESAMPLES, block):
        chosen = rng.integers(n, size=(min(block, RESAMPLES - first), n))
        counts = np.stack([np.bincount(row, minlength=n) for row in chosen])
        found.append(value(_sums(counts, terms)).mean(-1))
    return np.concatenate(found)


def _sums(weights: np.ndarray, terms: Terms) -> np.ndarray:
    """Return [draws, encoders, replicates, sums]: terms summed over examples with weights."""
    encoders, replicates, n, sums = terms.shape
    flat = terms.transpose(2, 0, 1, 3).reshape(n, -1)
    summed: np.ndarray = weights.astype(np.float64) @ flat
    return summed.reshape(-1, encoders, replicates, sums)


def _patterns(n: int, block: int, purpose: str) -> Iterator[np.ndarray]:
    """Yield blocks of sign patterns, the one without an exchange first."""
    if n <= _ENUMERATED:
        yield signs(purpose, n, 0)
        return
    rng = seeding.generator("analysis", f"exchanges {purpose}", index=n)
    yield np.ones((1, n))
    for first in range(0, FLIPS, block):
        yield 1.0 - 2.0 * rng.integers(2, size=(min(block, FLIPS - first), n))


def _block(cells: int, n: int) -> int:
    """Return how many draws are made at once."""
    return max(1, _CELLS // max(cells, n))
