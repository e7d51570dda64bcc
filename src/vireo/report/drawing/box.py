"""A box for each label (quartiles and median), with every point beside it."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from vireo.analysis import Figure
from vireo.analysis.table import order
from vireo.report.drawing.palette import INK, SOFT
from vireo.report.drawing.parts import (
    LINE_HEIGHT,
    Drawer,
    colours,
    groups,
    labels_down,
    plain_axes,
    reference_line,
    tips,
    words,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_GOLDEN = (5**0.5 - 1) / 2
"""Steps of this share never bunch up: points are spread across a box without chance."""


def _height(_: Figure, data: pd.DataFrame) -> float:
    return max(0.7, 1.9 * LINE_HEIGHT * data["label"].nunique())


def _draw(axes: "Axes", figure: Figure, data: pd.DataFrame) -> None:
    labels = order(list(data["label"].astype(str)))
    known = groups(figure.data)
    plain_axes(axes, "x")
    for place, label in enumerate(labels):
        part = data[(data["label"].astype(str) == label) & data["value"].notna()]
        if len(part):
            _one_box(axes, part, place, colours(part, known))
    labels_down(axes, labels)
    reference_line(axes, figure.reference)
    if figure.limits:
        axes.set_xlim(*figure.limits)
    words(axes, figure.x or figure.y, figure.y if figure.x else "")


def _one_box(axes: "Axes", part: pd.DataFrame, place: int, palette: list[str]) -> None:
    """Draw the points, each in its group's colour; the box has it too if they are of one group."""
    values = part["value"].to_numpy(dtype=float)
    spread = 0.28 * (2 * np.mod(_GOLDEN * np.arange(1, len(values) + 1), 1) - 1)
    points = axes.scatter(values, place + spread, s=9, c=palette, alpha=0.6, linewidths=0)
    named = part["point"] if "point" in part.columns else part["label"]
    tips(points, [f"{name}: {value:.4g}" for name, value in zip(named, values, strict=True)])
    first, median, third = np.quantile(values, [0.25, 0.5, 0.75])
    colour = palette[0] if len(set(palette)) == 1 else SOFT
    axes.barh(place, third - first, left=first, height=0.66, color=colour, alpha=0.2)
    axes.plot([median, median], [place - 0.33, place + 0.33], color=INK, linewidth=1.8)
    axes.plot([values.min(), first], [place, place], color=SOFT, linewidth=0.8, zorder=1)
    axes.plot([third, values.max()], [place, place], color=SOFT, linewidth=0.8, zorder=1)


BOX = Drawer(_height, _draw, wide=1)
