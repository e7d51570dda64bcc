"""Two tasks over encoders: their correlation, its interval, and the interval of a contrast."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from vireo.analysis.bootstrap import Draws, percentiles, weighted_pearson, weighted_spearman

FEWEST = 3
COLUMNS = (
    *("first", "second", "pearson", "pearson_low", "pearson_high"),
    *("spearman", "spearman_low", "spearman_high", "n", "note"),
)


def pair_correlation(
    wide: Mapping[str, np.ndarray], pair: tuple[str, str], draws: Draws, level: float
) -> tuple[dict[str, Any], np.ndarray]:
    """Return the line of two tasks, and Spearman's correlation in each draw (empty where none).

    Args:
        wide: task to the scores of all encoders, NaN where a cell is missing.
        pair: the two tasks.
        draws: of the encoders.
        level: coverage of the intervals.
    """
    x, y = (wide[task] for task in pair)
    have = np.isfinite(x) & np.isfinite(y)
    x, y = x[have], y[have]
    line: dict[str, Any] = dict.fromkeys(COLUMNS, math.nan)
    line |= {"first": pair[0], "second": pair[1], "n": len(x), "note": ""}
    if len(x) < FEWEST:
        return line | {"note": "too few"}, np.empty(0)
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        return line | {"note": "constant"}, np.empty(0)
    counts = draws.within(have)
    found = {
        "pearson": weighted_pearson(x, y, counts),
        "spearman": weighted_spearman(x, y, counts),
    }
    for name, values in found.items():
        line[name] = float(values[0])
        line[f"{name}_low"], line[f"{name}_high"] = percentiles(values[1:], level)
    return line, found["spearman"][1:]


def columns_of(wide: pd.DataFrame) -> dict[str, np.ndarray]:
    """Return task to the scores of all encoders."""
    return {str(task): wide[task].to_numpy(dtype=np.float64) for task in wide.columns}


def difference_interval(
    draws: list[np.ndarray], first: np.ndarray, second: np.ndarray, level: float
) -> tuple[float, float]:
    """Return the bootstrap interval of the mean of the draws of `first` minus that of `second`."""
    means = []
    for chosen in (first, second):
        some = [draw for draw, one in zip(draws, chosen, strict=True) if one and len(draw)]
        if len(some) < int(chosen.sum()):
            return math.nan, math.nan
        means.append(np.mean(some, axis=0))
    return percentiles(means[0] - means[1], level)
