"""Mean ranks on one axis; a bar joins those whose difference is below the critical one.

References:
    Demsar 2006, Statistical Comparisons of Classifiers over Multiple Data Sets (its Figure 1).
"""

import math
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from vireo.analysis import Figure
from vireo.report.drawing.palette import INK, SERIES, SOFT
from vireo.report.drawing.parts import SMALL, Drawer, short

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_STEP = 0.21
"""Inches a line of names takes, and a bar of a clique."""


def _height(_: Figure, data: pd.DataFrame) -> float:
    return 0.75 + _STEP * (math.ceil(len(data) / 2) + 0.5 * len(_cliques(data)))


def _draw(axes: "Axes", figure: Figure, data: pd.DataFrame) -> None:
    ranked = data.sort_values("rank", kind="stable")
    low, high = 1.0, float(max(len(data), math.ceil(ranked["rank"].max())))
    bars = _cliques(ranked)
    axes.set_axis_off()
    pad = 0.42 * (high - low or 1)
    difference = float(ranked["difference"].iloc[0])
    axes.set_xlim(low - pad, max(high, low + difference) + pad)
    depth = 0.5 * len(bars) + 0.9
    axes.set_ylim(depth + math.ceil(len(ranked) / 2) + 0.2, -2.9)
    _scale(axes, low, high)
    _difference(axes, low, difference)
    for number, (first, last) in enumerate(bars):
        axes.plot(
            [first - 0.02 * pad, last + 0.02 * pad],
            [0.45 + 0.5 * number] * 2,
            color=SERIES[1],
            linewidth=3,
            solid_capstyle="round",
        )
    _names(axes, ranked, depth, (low - 0.1 * pad, high + 0.1 * pad))


def _cliques(data: pd.DataFrame) -> list[tuple[float, float]]:
    """Return the first and last rank of each bar that joins labels, best first."""
    spans: dict[str, list[float]] = {}
    for rank, names in zip(data["rank"], data["cliques"].astype(str), strict=True):
        for name in names.split():
            spans.setdefault(name, []).append(float(rank))
    return sorted((min(ranks), max(ranks)) for ranks in spans.values() if len(ranks) > 1)


def _scale(axes: "Axes", low: float, high: float) -> None:
    axes.plot([low, high], [0, 0], color=INK, linewidth=1)
    step = max(1, math.ceil((high - low) / 12))
    for rank in np.arange(low, high + 0.5, step):
        axes.plot([rank, rank], [0, -0.25], color=INK, linewidth=1)
        axes.text(rank, -0.45, f"{rank:g}", ha="center", va="bottom", fontsize=SMALL, color=SOFT)


def _difference(axes: "Axes", low: float, difference: float) -> None:
    axes.plot([low, low + difference], [-2.0, -2.0], color=INK, linewidth=1.6, marker="|")
    words = f"critical difference {difference:.2f}"
    axes.text(low, -2.25, words, ha="left", va="bottom", fontsize=SMALL, color=INK)


def _names(axes: "Axes", ranked: pd.DataFrame, depth: float, sides: tuple[float, float]) -> None:
    """Lead a line from each rank to its name: the better half to the left, the rest right."""
    half = math.ceil(len(ranked) / 2)
    for place, (rank, label) in enumerate(zip(ranked["rank"], ranked["label"], strict=True)):
        left = place < half
        y = depth + (place if left else len(ranked) - 1 - place)
        end = sides[0] if left else sides[1]
        axes.plot([rank, rank, end], [0, y, y], color=SOFT, linewidth=0.8)
        name = f"{short(label, 28)}  {rank:.2f}" if left else f"{rank:.2f}  {short(label, 28)}"
        axes.annotate(
            name,
            (end, y),
            xytext=(-5 if left else 5, 0),
            textcoords="offset points",
            ha="right" if left else "left",
            va="center",
            fontsize=SMALL,
            color=INK,
        )


CRITICAL_DIFFERENCE = Drawer(_height, _draw, wide=1)
