"""Intervals of a metric by drawing test examples with replacement.

Every metric is a function of sums over examples, so a draw is a vector of counts, and all draws
are one matrix product. Images are the unit drawn, also for mIoU and depth, whose pixels are not
independent.

References:
    Efron & Tibshirani 1993, An introduction to the bootstrap, chapter 13 (percentile interval).
"""

import numpy as np
from jaxtyping import Float64

from vireo import seeding
from vireo.tasks.metrics import Metric

_CELLS = 4_000_000
"""Counts held at once, so that memory does not grow with the number of draws."""


def interval(
    metric: Metric,
    statistics: Float64[np.ndarray, "examples sums"],
    *,
    resamples: int,
    level: float,
    digest: str,
) -> tuple[float, float]:
    """Return the percentile interval of the metric's raw value, lower bound first.

    Args:
        metric: the value of summed statistics.
        statistics: each example's.
        resamples: draws.
        level: coverage, 0.95 for the 2.5th to the 97.5th percentile.
        digest: seeds the draws. The digest of the test examples: then every encoder's interval
            comes from the same draws, and differences between encoders are paired.
    """
    values = draws(metric, statistics, resamples, digest)
    low, high = np.nanpercentile(values, [50 * (1 - level), 50 * (1 + level)])
    return float(low), float(high)


def interval_of_mean(values: Float64[np.ndarray, " draws"], level: float) -> tuple[float, float]:
    """Return Student's interval of the mean of independent draws: m -+ t s / sqrt(n).

    Example:
        >>> low, high = interval_of_mean(np.array([0.4, 0.5, 0.6]), 0.95)
        >>> round(low, 3), round(high, 3)
        (0.252, 0.748)
    """
    from scipy.stats import t

    error = values.std(ddof=1) / len(values) ** 0.5
    reach = float(t.ppf(0.5 + level / 2, len(values) - 1) * error)
    mean = float(values.mean())
    return mean - reach, mean + reach


def draws(
    metric: Metric, statistics: Float64[np.ndarray, "examples sums"], resamples: int, digest: str
) -> Float64[np.ndarray, " resamples"]:
    """Return the metric of `resamples` draws of as many examples as there are."""
    rng = seeding.generator(digest, "bootstrap")
    examples = len(statistics)
    chunk = max(1, _CELLS // examples)
    values = []
    for first in range(0, resamples, chunk):
        chosen = rng.integers(examples, size=(min(chunk, resamples - first), examples))
        counts = np.stack([np.bincount(row, minlength=examples) for row in chosen])
        values.append(metric.value(counts @ statistics))
    return np.concatenate(values)
