"""The correlations between tasks as a square table that is coloured by its values."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vireo.analysis import Finding

COEFFICIENTS = {"pearson": "Pearson", "spearman": "Spearman (ranks)"}


@dataclass(frozen=True)
class Heat:
    """A line a task, a column a task; each place has one value a coefficient, or None."""

    coefficients: tuple[str, ...]
    lines: tuple[tuple[tuple[float, ...] | None, ...], ...]
    caption: str


def correlation_heat(finding: Finding | str, tasks: Sequence[str]) -> Heat | None:
    """Lay out what the correlation analysis found; None where it found no value."""
    if isinstance(finding, str) or not {"first", "second", *COEFFICIENTS} <= set(finding.table):
        return None
    known: dict[tuple[str, str], tuple[float, ...]] = {}
    for line in finding.table.to_dict("records"):
        values = tuple(float(line[name]) for name in COEFFICIENTS)
        if np.isfinite(values).all():
            rounded = tuple(round(value, 4) for value in values)
            known[line["first"], line["second"]] = known[line["second"], line["first"]] = rounded
    if not known:
        return None
    ones = (1.0,) * len(COEFFICIENTS)
    return Heat(
        coefficients=tuple(COEFFICIENTS.values()),
        lines=tuple(tuple(ones if a == b else known.get((a, b)) for b in tasks) for a in tasks),
        caption=finding.caption,
    )
