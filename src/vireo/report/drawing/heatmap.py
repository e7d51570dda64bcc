"""A square for each row and column, deeper the further from zero, with its value written in it.

Colour is laid over the page, never a pale tint, so that the same squares serve light and dark.
"""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from vireo.analysis import Figure
from vireo.analysis.table import order
from vireo.report.drawing.palette import DOWN, INK, UP
from vireo.report.drawing.parts import SMALL, Drawer, plain_axes, short, tips, words

if TYPE_CHECKING:
    from matplotlib.axes import Axes

DEEPEST = 0.72
"""Opacity of the strongest value; text of the page's own colour can be read on it."""
MOST_WRITTEN = 14
"""Columns beyond which values are not written into the squares."""
_MOST_ROWS, _KEY = 0.235, 0.24


def _names(data: pd.DataFrame) -> tuple[list[str], list[str]]:
    """Return the names of rows and columns; of a map of things with themselves, in one order."""
    rows, columns = (order(list(data[side].astype(str))) for side in ("row", "column"))
    return rows, (rows if set(rows) == set(columns) else columns)


def _height(figure: Figure, data: pd.DataFrame) -> float:
    rows, columns = _names(data)
    names = 0.055 * max(len(short(name, 22)) for name in columns)
    return max(0.6, _MOST_ROWS * len(rows)) + names + _KEY * bool(figure.value)


def _draw(axes: "Axes", figure: Figure, data: pd.DataFrame) -> None:
    from matplotlib.collections import PolyCollection

    rows, columns = _names(data)
    seen = data[data["value"].notna()]
    values = seen["value"].to_numpy(dtype=float)
    limits = _limits(figure)
    across = np.array([columns.index(str(name)) for name in seen["column"]], dtype=float)
    down = np.array([rows.index(str(name)) for name in seen["row"]], dtype=float)
    squares = PolyCollection(
        [_square(x, y) for x, y in zip(across, down, strict=True)],
        facecolors=_shades(values, limits),
        edgecolors="none",
    )
    tips(
        squares,
        [f"{r}, {c}: {v:.3g}" for r, c, v in zip(seen["row"], seen["column"], values, strict=True)],
    )
    plain_axes(axes, "both")
    axes.grid(visible=False)
    axes.add_collection(squares)
    if len(columns) <= MOST_WRITTEN:
        for x, y, value in zip(across, down, values, strict=True):
            axes.text(
                x, y, _written(value), ha="center", va="center", fontsize=SMALL - 1, color=INK
            )
    _label(axes, rows, columns)
    if figure.value and not axes.figure.legends:
        _key(axes, figure.value, np.linspace(*limits, 3))
    words(axes, figure.x, figure.y)


def _square(x: float, y: float) -> list[tuple[float, float]]:
    reach = 0.47
    return [
        (x - reach, y - reach),
        (x + reach, y - reach),
        (x + reach, y + reach),
        (x - reach, y + reach),
    ]


def _limits(figure: Figure) -> tuple[float, float]:
    values = figure.data["value"].dropna().to_numpy(dtype=float)
    return figure.limits or (float(values.min(initial=0)), float(values.max(initial=0)))


def _key(axes: "Axes", value: str, steps: np.ndarray) -> None:
    """Say once, above all panels, what the shades mean."""
    from matplotlib.lines import Line2D

    shades = _shades(steps, (steps[0], steps[-1]))
    labels = [*map(_written, steps[:-1]), f"{_written(steps[-1])}  {short(value)}"]
    axes.figure.legend(
        handles=[
            Line2D([], [], color=shade, linestyle="none", marker="s", label=label)
            for shade, label in zip(shades, labels, strict=True)
        ],
        loc="outside upper left",
        ncols=len(steps),
        frameon=False,
        fontsize=SMALL,
        labelcolor=INK,
        handlelength=1.0,
    )


def _shades(values: np.ndarray, limits: tuple[float, float]) -> np.ndarray:
    """Return colours [squares, 4]: the hue says the sign, the opacity the size."""
    from matplotlib.colors import to_rgba

    largest = max(map(abs, limits)) or 1.0
    colours = np.array([to_rgba(UP if value >= 0 else DOWN) for value in values]).reshape(-1, 4)
    colours[:, 3] = 0.04 + (DEEPEST - 0.04) * np.clip(np.abs(values) / largest, 0, 1)
    return colours


def _written(value: float) -> str:
    text = f"{value:.2f}" if abs(value) < 10 else f"{value:.3g}"
    return text.replace("-", "\N{MINUS SIGN}")


def _label(axes: "Axes", rows: list[str], columns: list[str]) -> None:
    axes.set_xlim(-0.5, len(columns) - 0.5)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_yticks(range(len(rows)), [short(name, 26) for name in rows], fontsize=SMALL, color=INK)
    axes.set_xticks(
        range(len(columns)),
        [short(name, 22) for name in columns],
        fontsize=SMALL,
        color=INK,
        rotation=45 if len(columns) <= MOST_WRITTEN else 90,
        ha="right" if len(columns) <= MOST_WRITTEN else "center",
        rotation_mode="anchor" if len(columns) <= MOST_WRITTEN else "default",
    )


HEATMAP = Drawer(_height, _draw, wide=1)
