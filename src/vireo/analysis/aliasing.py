"""Which factors a design cannot tell apart, found before any test is believed.

A factor is aliased when hardly any of its variation is its own: less than `OWN` of it is left after
the others explain what they can. Nearly is enough: the number of steps is a whole number of batches
an epoch, so that steps follow size up to rounding, and a coefficient that rests on the rounding
means nothing. `OWN` of 1 % is a variance inflation factor of 100.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from vireo.analysis.linear_model import Columns

OWN = 0.01


@dataclass(frozen=True)
class Alias:
    """A factor that the study's design cannot tell from others.

    Attributes:
        factor: which one.
        others: the fewest factors that explain it; empty where it does not vary at all.
    """

    factor: str
    others: tuple[str, ...]

    def __str__(self) -> str:
        if not self.others:
            return f"{self.factor} is the same everywhere"
        return f"{self.factor} follows from {' and '.join(self.others)}"


def own_share(columns: Columns, others: Sequence[Columns]) -> float:
    """Return the least share of a factor's variation that the others do not explain.

    Of a factor with several columns it is that of the combination that has least of its own.

    Example:
        >>> x = np.array([[1.0], [-1.0], [1.0], [-1.0]])
        >>> y = np.array([[1.0], [1.0], [-1.0], [-1.0]])
        >>> own_share(x + y, [x]), own_share(x + y, [x, y])
        (0.5, 0.0)
    """
    x = columns - columns.mean(0)
    size = np.linalg.norm(x, axis=0)
    if not (size > 1e-9 * np.abs(columns).max(initial=1)).all():
        return 0.0
    basis, _ = np.linalg.qr(x)
    known = np.concatenate([np.ones((len(x), 1)), *others], axis=1)
    left = basis - known @ np.linalg.lstsq(known, basis, rcond=1e-8)[0]
    return round(float(np.linalg.svd(left, compute_uv=False).min() ** 2), 12)


def aliases(factors: Mapping[str, Columns]) -> list[Alias]:
    """Return the factors that follow from those before them, in the order of `factors`.

    What is aliased explains nothing after it: of two factors that are one, the second is named.

    Example:
        >>> size, method = np.array([[1.0], [2], [1], [2]]), np.array([[1.0], [1], [-1], [-1]])
        >>> [str(alias) for alias in aliases({"method": method, "size": size, "steps": 3 * size})]
        ['steps follows from size']
    """
    free: dict[str, Columns] = {}
    found = []
    for name, columns in factors.items():
        if own_share(columns, list(free.values())) >= OWN:
            free[name] = columns
        else:
            found.append(Alias(name, _fewest(columns, free)))
    return found


def _fewest(columns: Columns, free: Mapping[str, Columns]) -> tuple[str, ...]:
    """Return the smallest group of `free` that leaves the factor nothing of its own."""
    for count in range(len(free) + 1):
        for names in combinations(free, count):
            if own_share(columns, [free[name] for name in names]) < OWN:
                return names
    raise AssertionError("all of them together explain it")
