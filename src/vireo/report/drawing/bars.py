"""A bar for each label, the first at the top; negative values go to the left of zero."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from vireo.analysis import Figure
from vireo.report.drawing.palette import INK, SOFT
from vireo.report.drawing.parts import (
    LINE_HEIGHT,
    Drawer,
    colours,
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


def _height(_: Figure, data: pd.DataFrame) -> float:
    return max(0.7, LINE_HEIGHT * len(data))


def _draw(axes: "Axes", figure: Figure, data: pd.DataFrame) -> None:
    values = data["value"].to_numpy(dtype=float)
    at = np.arange(len(data))
    plain_axes(axes, "x")
    bars = axes.barh(at, np.nan_to_num(values), height=0.68)
    palette = colours(data, groups(figure.data))
    for bar, colour, label, value in zip(bars, palette, data["label"], values, strict=True):
        bar.set_color(colour)
        tips(bar, [f"{label}: {value:.4g}"])
    lengths = half_widths(data, "value", "low", "high")
    if lengths is not None:
        axes.errorbar(values, at, xerr=lengths, fmt="none", ecolor=INK, elinewidth=1, capsize=0)
    axes.axvline(0, color=SOFT, linewidth=1)
    labels_down(axes, list(data["label"]))
    reference_line(axes, figure.reference)
    if figure.limits:
        axes.set_xlim(*figure.limits)
    words(axes, figure.x or figure.y, figure.y if figure.x else "")


BARS = Drawer(_height, _draw, wide=2)
