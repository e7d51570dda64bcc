"""A point for each label, with error bars where intervals are given; few points are named."""

from typing import TYPE_CHECKING

import pandas as pd

from vireo.analysis import Figure
from vireo.report.drawing.palette import INK, SOFT, marker, series_colour
from vireo.report.drawing.parts import (
    SMALL,
    Drawer,
    groups,
    half_widths,
    has_panels,
    plain_axes,
    reference_line,
    short,
    tips,
    words,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_NAMED = 10
"""Points whose names are written beside them; more would lie on one another."""
WIDE = 4
"""Panels side by side; in so small a panel no name has room."""


def _height(figure: Figure, data: pd.DataFrame) -> float:
    return 1.55 if has_panels(figure) else 3.6


def _draw(axes: "Axes", figure: Figure, data: pd.DataFrame) -> None:
    known = groups(figure.data) or [""]
    seen = data[data["x"].notna() & data["y"].notna()]
    plain_axes(axes, "both")
    for number, name in enumerate(known):
        part = seen[seen["group"].astype(str) == name] if "group" in seen.columns else seen
        if len(part):
            _one_group(axes, part, number)
    if len(seen) <= MOST_NAMED and not _is_small(figure):
        _names(axes, seen)
    reference_line(axes, figure.reference, "y")
    if figure.limits:
        axes.set_ylim(*figure.limits)
    axes.margins(0.1)
    words(axes, figure.x, figure.y)


def _one_group(axes: "Axes", part: pd.DataFrame, number: int) -> None:
    colour = series_colour(number)
    across = half_widths(part, "x", "x_low", "x_high")
    along = half_widths(part, "y", "y_low", "y_high")
    if across is not None or along is not None:
        axes.errorbar(
            part["x"], part["y"], xerr=across, yerr=along, fmt="none", ecolor=SOFT, elinewidth=0.8
        )
    dots = axes.scatter(
        part["x"], part["y"], s=34, color=colour, marker=marker(number), alpha=0.9, zorder=3
    )
    columns = (part["label"], part["x"], part["y"])
    tips(dots, [f"{name}: {x:.4g}, {y:.4g}" for name, x, y in zip(*columns, strict=True)])


def _is_small(figure: Figure) -> bool:
    return "panel" in figure.data.columns and figure.data["panel"].nunique() > WIDE // 2


def _names(axes: "Axes", seen: pd.DataFrame) -> None:
    """Write each name on the side where the figure has more room."""
    middle = seen["x"].agg(["min", "max"]).mean()
    for number, (x, y, name) in enumerate(zip(seen["x"], seen["y"], seen["label"], strict=True)):
        left = x > middle
        axes.annotate(
            short(name, 22),
            (x, y),
            xytext=(-6 if left else 6, -9 if number % 2 else 5),
            textcoords="offset points",
            ha="right" if left else "left",
            fontsize=SMALL - 0.5,
            color=INK,
        )


SCATTER = Drawer(_height, _draw, wide=WIDE)
