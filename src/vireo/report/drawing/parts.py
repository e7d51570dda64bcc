"""What every kind of figure needs: axes without clutter, names that fit, colours of groups."""

import json
import unicodedata
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from vireo.analysis import Figure
from vireo.analysis.table import order
from vireo.report.drawing.palette import INK, LINE, SOFT, marker, series_colour
from vireo.report.words import FAMILIES

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LONGEST_NAME = 34
LINE_HEIGHT = 0.235
"""Inches that a line of labels takes."""
SMALL, NORMAL = 8.0, 9.0
TIPS = "tips-"
"""How the name of an artist that carries hints begins; they follow in hexadecimal digits."""


class Drawer(NamedTuple):
    """How one kind of figure is drawn.

    Attributes:
        height: of one panel with these data, in inches, without titles.
        draw: fills the axes with one panel's data.
        wide: how many panels stand side by side at most.
    """

    height: Callable[[Figure, pd.DataFrame], float]
    draw: Callable[["Axes", Figure, pd.DataFrame], None]
    wide: int = 1


def short(name: object, most: int = LONGEST_NAME) -> str:
    """Return a name as a label shows it: printable, on one line, its middle left out if long.

    Example:
        >>> short("a very long name of an encoder and its training set")
        'a very long name …its training set'
    """
    text = "".join(
        " " if unicodedata.category(letter) in ("Cc", "Cf", "Cs", "Zl", "Zp") else letter
        for letter in str(name)
    )
    if len(text) <= most:
        return text
    tail = (most - 1) // 2
    return f"{text[: most - 1 - tail]}…{text[-tail:]}"


def groups(data: pd.DataFrame) -> list[str]:
    """Return the names of the groups of a figure in order; none where it has no such column.

    Families of tasks are in the study's order, so that each has one colour in all figures.
    """
    names = order(list(data["group"].astype(str))) if "group" in data.columns else []
    return [name for name in FAMILIES if name in names] + [n for n in names if n not in FAMILIES]


def has_panels(figure: Figure) -> bool:
    """Say whether a figure is small multiples."""
    return "panel" in figure.data.columns and figure.data["panel"].nunique() > 1


def colours(data: pd.DataFrame, known: Sequence[str]) -> list[str]:
    """Return the colour of each line of `data` by its group among `known`."""
    if not known:
        return [series_colour(0)] * len(data)
    return [series_colour(known.index(str(group))) for group in data["group"]]


def plain_axes(axes: "Axes", grid: str) -> None:
    """Leave of the axes what helps to read: light lines across, no box."""
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0, labelsize=SMALL, colors=SOFT, labelcolor=INK)
    axes.set_axisbelow(True)
    axes.grid(visible=True, axis=grid, color=LINE, linewidth=0.8)  # type: ignore[arg-type]


def words(axes: "Axes", x: str, y: str) -> None:
    """Write what the axes show."""
    axes.set_xlabel(short(x, 90), fontsize=SMALL, color=SOFT)
    axes.set_ylabel(short(y, 60), fontsize=SMALL, color=SOFT)


def labels_down(axes: "Axes", names: Sequence[object]) -> None:
    """Put names at 0, 1, 2 ... of the vertical axis, the first at the top."""
    axes.set_yticks(range(len(names)), [short(name) for name in names], fontsize=SMALL, color=INK)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.margins(x=0.04)


def reference_line(axes: "Axes", value: float | None, axis: str = "x") -> None:
    """Draw the figure's line of reference across the axis of values."""
    if value is None:
        return
    line = axes.axvline if axis == "x" else axes.axhline
    line(value, color=SOFT, linewidth=1.0, linestyle=(0, (4, 3)), zorder=1)


def legend(axes: "Axes", known: Sequence[str], *, lines: bool = False) -> None:
    """Name the colours above the axes; nothing to name where there is one group or none."""
    from matplotlib.lines import Line2D

    if len(known) < 2:
        return
    style: dict[str, Any] = {"linewidth": 2} if lines else {"linestyle": "none", "markersize": 6}
    handles = [
        Line2D(
            [],
            [],
            color=series_colour(number),
            marker="" if lines else marker(number),
            label=short(name, 26),
            **style,
        )
        for number, name in enumerate(known)
    ]
    axes.figure.legend(
        handles=handles,
        loc="outside upper left",
        ncols=min(4, len(known)),
        frameon=False,
        fontsize=SMALL,
        labelcolor=INK,
        handlelength=1.2,
        columnspacing=1.4,
    )


def tips(artist: Any, texts: Sequence[str]) -> None:
    """Give each mark of an artist, in its order, a text that the page shows on hover."""
    artist.set_gid(TIPS + json.dumps([short(text, 200) for text in texts]).encode().hex())


def half_widths(data: pd.DataFrame, value: str, low: str, high: str) -> np.ndarray | None:
    """Return the lengths of error bars below and above, shape [2, lines]; None without columns.

    A bound that is not known has no bar.
    """
    if low not in data.columns or high not in data.columns:
        return None
    below, above = data[value] - data[low], data[high] - data[value]
    lengths: np.ndarray = np.nan_to_num(np.stack([below, above]).astype(float)).clip(min=0)
    return lengths
