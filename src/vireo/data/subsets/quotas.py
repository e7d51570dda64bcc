"""How many images of each class a subset asks for: the study's five rules, for any set of classes.

Classes are numbered n = 1 ... C, rarest first. The study's set has C = 1000 classes of up to 1300
images; its largest class gets 1000 and its Log subset holds 250,000, a quarter of C times 1000.

References:
    Kotar et al. 2021, section 3.2 and footnote 1. https://arxiv.org/abs/2103.14005
"""

import math

import numpy as np
from jaxtyping import Float64, Int64
from scipy.optimize import brentq

from vireo.errors import SettingError

Counts = Int64[np.ndarray, " classes"]

STUDY_LARGEST = 1000 / 1300
"""Share of the largest class that the study's unbalanced subsets ask of their last class."""


def fraction(sizes: Counts, share: float) -> Counts:
    """Ask for the same share of every class, halves rounded up.

    Example:
        >>> fraction(np.array([1300, 732]), 0.25).tolist()
        [325, 183]

    Raises:
        SettingError: the share is not in (0, 1].
    """
    if not 0 < share <= 1:
        raise SettingError(f"The fraction must be in (0, 1]; got {share}.")
    wanted: Counts = np.floor(sizes * share + 0.5).astype(np.int64)
    return wanted


def linear(num_classes: int, last: int, first: int = 1) -> Counts:
    """Rise evenly from `first` to `last`; with 1000 classes and last = 1000, class n has n.

    Example:
        >>> linear(1000, 1000).sum()
        np.int64(500500)

    Raises:
        SettingError: fewer than two classes, or the ends are out of order.
    """
    _check_ends(num_classes, first, last)
    return np.rint(np.linspace(first, last, num_classes)).astype(np.int64)


def log(num_classes: int, last: int, total: int, first: int = 1) -> Counts:
    """Rise as lambda * exp(a * n) + b from `first` to `last`, `total` in all, exactly.

    Raises:
        SettingError: no such curve: a total of half of (first + last) a class or more would need
            a <= 0, one near `first` a class an endless a.

    Example:
        >>> counts = log(1000, 1000, 250_000)
        >>> counts[0], counts[-1], counts.sum()
        (np.int64(1), np.int64(1000), np.int64(250000))
    """
    _check_ends(num_classes, first, last)
    lam, a, b = solve_log(num_classes, last, total, first)
    n = np.arange(1, num_classes + 1)
    # the curve reaches exp(a * C): lambda is tiny then, and their product is taken as one power
    return _round_to(np.exp(a * n + math.log(lam)) + b, total)


def solve_log(
    num_classes: int, last: int, total: int, first: int = 1
) -> tuple[float, float, float]:
    """Return lambda, a and b with f(1) = first, f(C) = last and f(1) + ... + f(C) = total.

    With r = e^a, f(n) = first + (last - first) * (r^(n-1) - 1) / (r^(C-1) - 1), so only a is
    unknown, and the sum falls as a rises from 0, where the curve is a line.

    Raises:
        SettingError: see `log`.
    """
    steps = num_classes - 1
    middle = (first + last) * num_classes / 2

    def excess(a: float) -> float:
        return float(_curve(a, steps, first, last).sum()) - total

    steepest = 700 / steps
    if not excess(steepest) < 0 < middle - total:
        raise SettingError(
            f"A log curve over {num_classes} classes from {first} to {last} images needs a total "
            f"above {math.ceil(total + excess(steepest))} and below {middle:g} (a straight line); "
            f"got {total}. Change the total or the largest class."
        )
    a = float(brentq(excess, 1e-9, steepest, xtol=1e-14))
    scale = (last - first) / math.expm1(a * steps)
    return scale * math.exp(-a), a, first - scale


def uniform(sizes: Counts, total: int) -> Counts:
    """Ask for the same number of every group, `total` in all as nearly as it divides.

    Example:
        >>> uniform(np.array([50, 9, 70]), 31).tolist()
        [11, 10, 10]

    Raises:
        SettingError: the total is less than one a group, or more than there is.
    """
    if not len(sizes) <= total <= sizes.sum():
        raise SettingError(
            f"The number of images must be from {len(sizes)} (one a group) to {sizes.sum()} (all); "
            f"got {total}."
        )
    each, more = divmod(total, len(sizes))
    return np.array([each + (group < more) for group in range(len(sizes))], dtype=np.int64)


def capped(wanted: Counts, sizes: Counts) -> Counts:
    """Return what can be had: no class gives more than it has."""
    taken: Counts = np.minimum(wanted, sizes)
    return taken


def _check_ends(num_classes: int, first: int, last: int) -> None:
    if num_classes < 2 or not 1 <= first < last:
        raise SettingError(
            f"A rising subset needs at least two classes and 1 <= first < last; got {num_classes} "
            f"classes, first {first}, last {last}."
        )


def _curve(a: float, steps: int, first: int, last: int) -> Float64[np.ndarray, " classes"]:
    n = np.arange(steps + 1)
    # (r^n - 1) / (r^N - 1) without overflow: multiplied out by e^(-a N)
    rise = (np.exp(a * (n - steps)) - np.exp(-a * steps)) / -np.expm1(-a * steps)
    curve: Float64[np.ndarray, " classes"] = first + (last - first) * rise
    return curve


def _round_to(exact: Float64[np.ndarray, " classes"], total: int) -> Counts:
    """Round down and give what is missing to the largest remainders.

    A rising curve stays in order, and its ends, whole numbers, keep their values.
    """
    counts = np.floor(exact + 1e-6).astype(np.int64)
    missing = total - int(counts.sum())
    order = np.argsort(counts - exact, kind="stable")
    counts[order[:missing]] += 1
    return counts
