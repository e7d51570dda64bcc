"""A figure's data to a matplotlib figure, one panel or small multiples."""

import math
import warnings
from typing import TYPE_CHECKING

import pandas as pd

from vireo.analysis import Figure
from vireo.analysis.table import order
from vireo.catalog import resolve
from vireo.report.drawing.palette import INK, SOFT
from vireo.report.drawing.parts import NORMAL, SMALL, Drawer, groups, legend, short

if TYPE_CHECKING:
    import matplotlib.figure

KINDS = {
    "bars": "vireo.report.drawing.bars:BARS",
    "intervals": "vireo.report.drawing.intervals:INTERVALS",
    "scatter": "vireo.report.drawing.scatter:SCATTER",
    "heatmap": "vireo.report.drawing.heatmap:HEATMAP",
    "lines": "vireo.report.drawing.lines:LINES",
    "critical-difference": "vireo.report.drawing.critical_difference:CRITICAL_DIFFERENCE",
    "box": "vireo.report.drawing.box:BOX",
}
WIDTH = 7.0
"""Inches: a page of a paper, and a column of the report."""
_TITLE, _AXIS, _LEGEND_LINE = 0.32, 0.5, 0.24
_LETTERS = 84
"""Letters of a panel's title that fit across the whole width."""


def draw(figure: Figure) -> "matplotlib.figure.Figure":
    """Return the drawing of `figure`, without a title: captions stand beside figures."""
    import matplotlib as mpl
    import matplotlib.figure

    drawer = _drawer(figure)
    panels = _panels(figure)
    columns = min(drawer.wide, len(panels))
    rows = math.ceil(len(panels) / columns)
    heights = [
        max(drawer.height(figure, data) for _, data in panels[row * columns : (row + 1) * columns])
        for row in range(rows)
    ]
    named = groups(figure.data)
    legend_height = _LEGEND_LINE * math.ceil(len(named) / 4) if len(named) > 1 else 0.0
    titles = _TITLE * any(name for name, _ in panels)
    total = sum(heights) + rows * (titles + _AXIS * (1 if rows == 1 else 0.5)) + legend_height
    with mpl.rc_context({"text.parse_math": False}):
        drawing = matplotlib.figure.Figure(figsize=(WIDTH, total), layout="constrained")
        grid = drawing.subplots(rows, columns, squeeze=False, height_ratios=heights)
        for axes, (name, data) in zip(grid.flat, panels, strict=False):
            drawer.draw(axes, figure, data)
            axes.set_title(short(name, _LETTERS // columns), fontsize=NORMAL, loc="left", color=INK)
        if len(panels) > 1:
            _words_once(drawing)
        for axes in grid.flat[len(panels) :]:
            axes.remove()
        legend(grid[0, 0], named, lines=figure.kind == "lines")
        _settle(drawing)
    return drawing


def _drawer(figure: Figure) -> Drawer:
    drawer = resolve(KINDS, figure.kind, "kind of figure")
    assert isinstance(drawer, Drawer)
    return drawer


def _panels(figure: Figure) -> list[tuple[str, pd.DataFrame]]:
    """Split the data by `panel`; one panel without a name where there is no such column."""
    data = figure.data
    if "panel" not in data.columns or data.empty:
        return [("", data)]
    names = data["panel"].astype(str)
    return [(name, data[names == name]) for name in order(list(names))]


def _words_once(drawing: "matplotlib.figure.Figure") -> None:
    """Write what the axes show once for all panels, below and to the left of them."""
    first = drawing.axes[0]
    drawing.supxlabel(first.get_xlabel(), fontsize=SMALL, color=SOFT)
    drawing.supylabel(first.get_ylabel(), fontsize=SMALL, color=SOFT)
    for axes in drawing.axes:
        axes.set(xlabel="", ylabel="")


def _settle(drawing: "matplotlib.figure.Figure") -> None:
    """Lay the figure out once, here: a name in a script that the font lacks is no warning."""
    engine = drawing.get_layout_engine()
    assert engine is not None
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        engine.execute(drawing)
    drawing.set_layout_engine("none")
