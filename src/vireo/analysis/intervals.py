"""Student's interval of a mean."""

import numpy as np
from jaxtyping import Float64
from scipy import stats

_EQUAL = 1e-12


def mean_interval(values: Float64[np.ndarray, " n"], level: float) -> tuple[float, float]:
    """Return the t interval of the mean of independent values.

    NaN for fewer than two, or if all are equal but for rounding: what never differed says nothing
    of how much it might.

    Example:
        >>> [round(bound, 2) for bound in mean_interval(np.array([1.0, 2.0, 3.0]), 0.95)]
        [-0.48, 4.48]
    """
    if len(values) < 2 or np.ptp(values) <= _EQUAL * np.abs(values).max():
        return float("nan"), float("nan")
    half = stats.t.ppf(0.5 + level / 2, len(values) - 1) * stats.sem(values)
    return float(values.mean() - half), float(values.mean() + half)
