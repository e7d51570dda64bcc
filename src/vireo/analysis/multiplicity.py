"""Many tests at once: p-values made honest."""

import numpy as np
from jaxtyping import Float64
from numpy.typing import ArrayLike


def holm(p: ArrayLike) -> Float64[np.ndarray, " tests"]:
    """Return Holm's adjusted p-values: the probability of one false alarm or more is below p.

    The k-th smallest of m is multiplied by m + 1 - k, and none may be below the one before it. NaN
    are no tests: they stay NaN and count for nothing.

    References:
        Holm 1979, A simple sequentially rejective multiple test procedure.

    Example:
        >>> holm([0.01, 0.04, 0.03, float("nan")]).tolist()
        [0.03, 0.06, 0.06, nan]
    """
    p = np.asarray(p, dtype=np.float64)
    adjusted = np.full(p.shape, np.nan)
    tested = np.flatnonzero(~np.isnan(p))
    ordered = tested[np.argsort(p[tested], kind="stable")]
    raised = p[ordered] * np.arange(len(ordered), 0, -1)
    adjusted[ordered] = np.minimum(1.0, np.maximum.accumulate(raised))
    return adjusted
