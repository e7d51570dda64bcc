"""A tiny network in NumPy, float64, and gradients by finite differences: no autograd involved.

Parameters are dictionaries from the names that torch gives them to arrays.
"""

from collections.abc import Callable, Sequence

import numpy as np

Arrays = dict[str, np.ndarray]


def numeric_gradient(function: Callable[[Arrays], float], at: Arrays, h: float = 1e-6) -> Arrays:
    """Central differences, one number at a time; good to about 1e-8."""
    gradients = {}
    for name, value in at.items():
        gradient = np.zeros_like(value)
        for place in np.ndindex(value.shape):
            ends = []
            for sign in (1, -1):
                moved = value.copy()
                moved[place] += sign * h
                ends.append(function({**at, name: moved}))
            gradient[place] = (ends[0] - ends[1]) / (2 * h)
        gradients[name] = gradient
    return gradients


def batch_norm(
    x: np.ndarray, weight: np.ndarray, bias: np.ndarray, groups: Sequence[np.ndarray]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Normalise x [n, c, ...] within each group of examples.

    Returns the output and, by group, the mean and unbiased variance of each channel.
    """
    out, means, variances = np.zeros_like(x), [], []
    for group in groups:
        for c in range(x.shape[1]):
            values = x[group, c]
            out[group, c] = (values - values.mean()) / np.sqrt(values.var() + 1e-5) * weight[c]
            out[group, c] += bias[c]
        part = np.moveaxis(x[group], 1, 0).reshape(x.shape[1], -1)
        means.append(part.mean(axis=1))
        variances.append(part.var(axis=1, ddof=1))
    return out, np.array(means), np.array(variances)


def pixel_encoder(
    parameters: Arrays, images: np.ndarray, splits: int = 1
) -> tuple[np.ndarray, Arrays]:
    """`tests.tiny.PixelBackbone`; batch norm is of each of `splits` runs of examples.

    Returns pooled features [n, features] and the means over groups of the batch statistics.
    """
    n = len(images)
    x = np.einsum("fc,nchw->nfhw", parameters["backbone.conv.weight"][:, :, 0, 0], images)
    groups = np.split(np.arange(n), splits)
    x, means, variances = batch_norm(
        x, parameters["backbone.bn.weight"], parameters["backbone.bn.bias"], groups
    )
    statistics = {"mean": means.mean(axis=0), "var": variances.mean(axis=0)}
    return np.maximum(x, 0).mean(axis=(2, 3)), statistics


def linear(x: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    return np.array([[row @ w + b for w, b in zip(weight, bias, strict=True)] for row in x])


def unit(x: np.ndarray) -> np.ndarray:
    return np.array([row / np.sqrt((row**2).sum()) for row in x])
