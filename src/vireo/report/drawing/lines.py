"""A line for each group, with a band where bounds are given."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from vireo.analysis import Figure
from vireo.report.drawing.palette import series_colour
from vireo.report.drawing.parts import Drawer, groups, has_panels, plain_axes, reference_line, words

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_STYLES = ("-", (0, (5, 2)), (0, (1, 1.5)), (0, (6, 2, 1, 2)))
MOST_MARKED = 16
"""Points a line up to which each is marked."""


def _height(figure: Figure, data: pd.DataFrame) -> float:
    return 2.1 if has_panels(figure) else 3.2


def _draw(axes: "Axes", figure: Figure, data: pd.DataFrame) -> None:
    from matplotlib.ticker import MaxNLocator

    plain_axes(axes, "both")
    for number, name in enumerate(groups(figure.data)):
        part = data[(data["group"].astype(str) == name) & data["y"].notna()].sort_values("x")
        if part.empty:
            continue
        colour = series_colour(number)
        if {"low", "high"} <= set(part.columns):
            axes.fill_between(part["x"], part["low"], part["high"], color=colour, alpha=0.15, lw=0)
        axes.plot(
            part["x"],
            part["y"],
            color=colour,
            linewidth=1.6,
            linestyle=_STYLES[number // 8 % len(_STYLES)],
            marker="o" if len(part) <= MOST_MARKED else "",
            markersize=3.5,
        )
    if np.array_equal(data["x"], np.rint(data["x"])):
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    reference_line(axes, figure.reference, "y")
    if figure.limits:
        axes.set_ylim(*figure.limits)
    words(axes, figure.x, figure.y)


LINES = Drawer(_height, _draw, wide=3)
