"""CKA by its definitions, in float64, one loop at a time."""

from itertools import permutations

import numpy as np


def biased_hsic(x, y):
    """tr(K H L H) / (n - 1)^2 of linear kernels (Kornblith et al. 2019, eq. 3)."""
    n = len(x)
    h = np.eye(n) - np.ones((n, n)) / n
    return np.trace(x @ x.T @ h @ y @ y.T @ h) / (n - 1) ** 2


def unbiased_hsic(x, y):
    """HSIC1 as Song et al. 2012 write it (eq. 5), with kernels that are not centred."""
    n = len(x)
    k, m = x @ x.T, y @ y.T
    np.fill_diagonal(k, 0)
    np.fill_diagonal(m, 0)
    one = np.ones(n)
    middle = (one @ k @ one) * (one @ m @ one) / ((n - 1) * (n - 2))
    return (np.trace(k @ m) + middle - 2 / (n - 2) * (one @ k @ m @ one)) / (n * (n - 3))


def u_statistic(x, y):
    """HSIC1 as the mean over all ordered choices of four images: unbiased by construction."""
    k, m = x @ x.T, y @ y.T
    values = [
        k[i, j] * (m[i, j] + m[q, r] - 2 * m[i, q]) for i, j, q, r in permutations(range(len(x)), 4)
    ]
    return np.mean(values)


HSIC = {"biased": biased_hsic, "unbiased": unbiased_hsic}


def cka(x, y, estimator):
    """CKA of two sets of features."""
    hsic = HSIC[estimator]
    x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    return hsic(x, y) / np.sqrt(hsic(x, x) * hsic(y, y))


def cka_matrix(features, estimator):
    """CKA of each with each, none taken over from its mirror image."""
    return np.array([[cka(x, y, estimator) for y in features] for x in features])
