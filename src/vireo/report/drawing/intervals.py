"""A dot with its interval for each label; labels that stand twice (two groups) share a line."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from vireo.analysis import Figure
from vireo.analysis.table import order
from vireo.report.drawing.palette import marker, series_colour
from vireo.report.drawing.parts import (
    LINE_HEIGHT,
    Drawer,
    groups,
    half_widths,
    labels_down,
    plain_axes,
    reference_line,
    tips,
    words,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SPREAD = 0.5
"""Share of a line over which its groups are spread."""


def _height(_: Figure, data: pd.DataFrame) -> float:
    labels = order(list(data["label"].astype(str)))
    crowd = max(1.0, len(data) / max(1, len(labels)) / 2)
    return max(0.7, LINE_HEIGHT * crowd * len(labels))


def _draw(axes: "Axes", figure: Figure, data: pd.DataFrame) -> None:
    labels = order(list(data["label"].astype(str)))
    known = groups(figure.data) or [""]
    crowded = len(data) > len(labels)
    plain_axes(axes, "x")
    for number, name in enumerate(known):
        part = data[data["group"].astype(str) == name] if "group" in data.columns else data
        part = part[part["value"].notna()]
        if len(part):
            _one_group(axes, part, labels, (number, len(known) if crowded else 1))
    labels_down(axes, labels)
    reference_line(axes, figure.reference)
    if figure.limits:
        axes.set_xlim(*figure.limits)
    words(axes, figure.x or figure.y, figure.y if figure.x else "")


def _one_group(axes: "Axes", part: pd.DataFrame, labels: list[str], place: tuple[int, int]) -> None:
    """Draw the group of a number among those that share the labels' lines."""
    number, count = place
    shift = _SPREAD * ((number + 0.5) / count - 0.5) if count > 1 else 0.0
    at = np.array([labels.index(str(label)) for label in part["label"]]) + shift
    values = part["value"].to_numpy(dtype=float)
    lengths = half_widths(part, "value", "low", "high")
    colour = series_colour(number)
    axes.errorbar(values, at, xerr=lengths, fmt="none", ecolor=colour, elinewidth=1.6, alpha=0.65)
    dots = axes.scatter(values, at, s=26, color=colour, marker=marker(number), zorder=3)
    columns = (part["label"], values, part["low"], part["high"])
    tips(dots, [_tip(*line) for line in zip(*columns, strict=True)])


def _tip(label: object, value: float, low: float, high: float) -> str:
    span = "" if np.isnan([low, high]).any() else f" ({low:.4g} to {high:.4g})"
    return f"{label}: {value:.4g}{span}"


INTERVALS = Drawer(_height, _draw, wide=2)
