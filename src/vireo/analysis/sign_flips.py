"""Tests of paired differences by changing signs: exact for few, drawn for many.

Under "each difference is as likely to have the other sign" all sign patterns are equally likely,
and the p-value is the share of patterns whose sum is at least as far from zero.

References:
    Fisher 1935, The design of experiments, section 21; Pitman 1937.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float64
from scipy import stats

from vireo import seeding

DRAWS = 9999
_ENUMERATED = 12
"""Up to this many differences all sign patterns are tried."""


def signs(purpose: str, n: int, count: int) -> Float64[np.ndarray, "draws n"]:
    """Return sign patterns of n differences, the one without a change first.

    All 2^n of them where they are few, else `count` at random.

    Example:
        >>> signs("example", 2, 100).tolist()
        [[1.0, 1.0], [-1.0, 1.0], [1.0, -1.0], [-1.0, -1.0]]
    """
    if n <= _ENUMERATED:
        patterns = (np.arange(2**n)[:, None] >> np.arange(n)) & 1
    else:
        rng = seeding.generator("analysis", purpose, index=n)
        patterns = rng.integers(2, size=(count, n))
        patterns[0] = 0
    return 1.0 - 2.0 * patterns


def sign_flip_test(
    differences: Float64[np.ndarray, "n *tests"],
    purpose: str = "sign flips",
    statistic: Callable[[np.ndarray], np.ndarray] | None = None,
) -> Float64[np.ndarray, "*tests"]:
    """Return two-sided p-values of "each difference is as likely to have the other sign".

    The statistic is the sum of the differences, or of what `statistic` makes of them.

    Example:
        >>> float(sign_flip_test(np.array([1.0, 2.0, 3.0])))
        0.25
    """
    flat = differences.reshape(len(differences), -1)
    scores = flat if statistic is None else statistic(flat)
    sums = signs(purpose, len(flat), DRAWS + 1) @ scores
    extreme = np.abs(sums) >= np.abs(sums[0]) * (1 - 1e-9)
    return np.asarray(extreme.mean(0).reshape(differences.shape[1:]))


def signed_ranks(differences: Float64[np.ndarray, "n tests"]) -> Float64[np.ndarray, "n tests"]:
    """Return the ranks of the sizes with the differences' signs: Wilcoxon's statistic is their sum.

    Differences of zero take part in the ranking and then count 0 (Pratt 1959).

    Example:
        >>> signed_ranks(np.array([[0.3], [-0.1], [0.0]])).ravel().tolist()
        [3.0, -2.0, 0.0]
    """
    ranks = stats.rankdata(np.abs(differences), axis=0)
    return np.asarray(ranks * np.sign(differences))
