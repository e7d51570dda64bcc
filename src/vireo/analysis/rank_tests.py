r"""Tests on average ranks: do encoders differ over tasks at all, and which from which.

Friedman's statistic of the ranks of k encoders on n tasks, corrected for ties, is
$\chi^2 = \frac{12 n}{k (k+1)} \sum_j (R_j - \frac{k+1}{2})^2 / C$,
$C = 1 - \sum (t^3 - t) / (n k (k^2 - 1))$ with t the sizes of groups of ties. Iman & Davenport's
$F = (n-1)\chi^2 / (n (k-1) - \chi^2)$ is less conservative. Both are for many ranks: two encoders
in the same order on two tasks give $F = \infty$, and happen by chance every other time. Where there
are few, ranks are exchanged within tasks instead. Nemenyi's critical difference of two average
ranks, when all are compared, is $CD = q_{\alpha,k} \sqrt{k (k+1) / 6n}$ with q the studentised
range over $\sqrt 2$.

References:
    Demsar 2006, Statistical comparisons of classifiers over multiple data sets, JMLR 7.
"""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64
from scipy import stats

from vireo.seeding import generator

MANY_TASKS, MANY_ENCODERS = 10, 5
"""Beyond both, the distributions hold (Demsar 2006, section 3.2.2)."""
_EXCHANGES, _BLOCK = 9999, 1111


@dataclass(frozen=True, kw_only=True)
class Friedman:
    """The test that all encoders have the same distribution of ranks.

    Attributes:
        chi2, p_chi2: Friedman's, with k - 1 degrees of freedom.
        F, freedom: Iman & Davenport's.
        p: of F where there are many ranks, else of exchanging ranks within tasks.
        few: whether it is the latter; smallest: the smallest p that so many ranks can give.
    """

    chi2: float
    p_chi2: float
    F: float
    p: float
    freedom: tuple[int, int]
    few: bool
    smallest: float


def friedman(ranks: Float64[np.ndarray, "tasks encoders"]) -> Friedman:
    """Test ranks within tasks; ties share the mean rank.

    Raises nothing for tasks on which all tie: if all do, nothing differs and p is 1.
    """
    n, k = ranks.shape
    sizes = [np.unique(row, return_counts=True)[1] for row in ranks]
    ties = sum(float((size**3 - size).sum()) for size in sizes)
    untied = 1 - ties / (n * k * (k**2 - 1))
    spread = np.square(ranks.mean(0) - (k + 1) / 2).sum()
    chi2 = 12 * n / (k * (k + 1)) * spread / untied if untied > 0 else 0.0
    freedom = (k - 1, (k - 1) * (n - 1))
    left = n * (k - 1) - chi2
    F = (n - 1) * chi2 / left if left > 1e-12 else np.inf
    few = n <= MANY_TASKS or k <= MANY_ENCODERS
    return Friedman(
        chi2=float(chi2),
        p_chi2=float(stats.chi2.sf(chi2, k - 1)),
        F=float(F),
        p=exchange_p(ranks) if few else float(stats.f.sf(F, *freedom)),
        freedom=freedom,
        few=few,
        smallest=float(math.factorial(k)) ** (1 - n) if few else 0.0,
    )


def exchange_p(ranks: Float64[np.ndarray, "tasks encoders"]) -> float:
    """Return how often the mean ranks lie as far apart when ranks are exchanged within tasks.

    Of 9,999 exchanges at random, beside the one that was seen.

    Example:
        >>> round(exchange_p(np.array([[1.0, 2.0], [1.0, 2.0]])), 1)
        0.5
    """
    rng = generator("exchanged ranks", f"{ranks.shape}")
    seen, reached = _spread(ranks), 1
    for _ in range(_EXCHANGES // _BLOCK):
        drawn = rng.permuted(np.broadcast_to(ranks, (_BLOCK, *ranks.shape)), axis=-1)
        reached += int((_spread(drawn) >= seen - 1e-9).sum())
    return reached / (_EXCHANGES + 1)


def _spread(ranks: Float64[np.ndarray, "*draws tasks encoders"]) -> np.ndarray:
    """Return the sum of squares of the mean ranks about their mean."""
    means = ranks.mean(-2)
    return np.asarray(np.square(means - means.mean(-1, keepdims=True)).sum(-1))


def critical_difference(encoders: int, tasks: int, level: float = 0.95) -> float:
    """Return Nemenyi's critical difference of average ranks.

    Example:
        >>> round(critical_difference(4, 14), 2)
        1.25
    """
    q = stats.studentized_range.ppf(level, encoders, np.inf) / np.sqrt(2)
    return float(q * np.sqrt(encoders * (encoders + 1) / (6 * tasks)))


def cliques(ranks: Float64[np.ndarray, " encoders"], difference: float) -> list[tuple[int, ...]]:
    """Return the largest groups of places that lie within `difference`, best first.

    Args:
        ranks: average ranks in ascending order.
        difference: the critical one.

    Example:
        >>> cliques(np.array([1.0, 1.5, 2.5, 4.0]), 1.2)
        [(0, 1), (1, 2)]
    """
    assert (np.diff(ranks) >= 0).all(), "ascending ranks"
    ends = np.searchsorted(ranks, ranks + difference, side="left")
    groups = []
    reached = 0
    for first, end in enumerate(ends):
        if end > max(reached, first + 1):
            groups.append(tuple(range(first, int(end))))
        reached = max(reached, int(end))
    return groups
