"""The study in one picture, for a README: all scores, and the two tasks that agree least."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import stats

from vireo.analysis.table import order
from vireo.report.drawing.parts import short
from vireo.report.words import task_words

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#d55e00", "#0072b2", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c6bb1", "#7a7a7a")


def overview(cells: pd.DataFrame) -> "Figure":
    """Draw the overview of a table of cells.

    Left: every encoder's score on every task, coloured by skill over the floor. Right: the two
    tasks that order the encoders least alike, with intervals.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    tasks, encoders = order(list(cells["task"])), order(list(cells["encoder"]))
    width, height = 6.5 + 0.85 * len(tasks), max(3.4, 1.6 + 0.5 * len(encoders))
    with mpl.rc_context({"text.parse_math": False}):
        figure = Figure(figsize=(width, height), layout="constrained", dpi=160)
        heat, scatter = figure.subplots(1, 2, width_ratios=(0.85 * len(tasks) + 1.2, 3.8))
        draw_scores(heat, cells)
        draw_pair(scatter, cells, *least_alike(cells))
    return figure


def draw_scores(axes: "Axes", cells: pd.DataFrame) -> None:
    """Draw the heat map: score as text, skill as colour."""
    words = task_words(cells)
    tasks, encoders = list(words), order(list(cells["encoder"]))
    score, skill = (
        cells.pivot(index="encoder", columns="task", values=name)
        .reindex(index=encoders, columns=tasks)
        .to_numpy(dtype=float)
        for name in ("score", "skill")
    )
    axes.imshow(np.clip(skill, 0, 1), cmap="GnBu", vmin=0, vmax=1, aspect="auto")
    for row, column in np.ndindex(*score.shape):
        dark = skill[row, column] > 0.65
        best = score[row, column] == np.nanmax(score[:, column])
        axes.text(
            column,
            row,
            words[tasks[column]].show(float(score[row, column])),
            ha="center",
            va="center",
            color="white" if dark else "#1c1f22",
            fontsize=9,
            fontweight="bold" if best else "normal",
        )
    labels = [f"{short(word.name)}\n{word.metric}, {word.unit}" for word in words.values()]
    axes.set_xticks(range(len(tasks)), labels, fontsize=7.5, rotation=35, ha="right")
    axes.set_yticks(range(len(encoders)), [short(name) for name in encoders], fontsize=9)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    axes.set_title("Score (bold: best), coloured by skill over the floor", fontsize=9, loc="left")


def draw_pair(axes: "Axes", cells: pd.DataFrame, first: str, second: str) -> None:
    """Draw the encoders' scores on two tasks, with intervals."""
    words = task_words(cells)
    lines = {(line["encoder"], line["task"]): line for line in cells.to_dict("records")}
    middle = cells.loc[cells["task"] == first, "score"].agg(["min", "max"]).mean()
    for number, name in enumerate(order(list(cells["encoder"]))):
        colour = COLOURS[number % len(COLOURS)]
        if (name, first) not in lines or (name, second) not in lines:
            continue
        left, x_bar = _bar(lines[name, first], words[first].factor)
        bottom, y_bar = _bar(lines[name, second], words[second].factor)
        right = lines[name, first]["score"] > middle
        axes.errorbar(
            left, bottom, xerr=x_bar, yerr=y_bar, fmt="o", color=colour, elinewidth=0.8, ms=6
        )
        axes.annotate(
            short(name),
            (left, bottom),
            xytext=(-5 if right else 5, -11 if number % 2 else 5),
            ha="right" if right else "left",
            textcoords="offset points",
            fontsize=8,
            color=colour,
        )
    axes.set_xlabel(short(words[first].axis), fontsize=8.5)
    axes.set_ylabel(short(words[second].axis), fontsize=8.5)
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(0.18)
    axes.set_title("The two tasks with the lowest rank correlation", fontsize=9, loc="left")


def least_alike(cells: pd.DataFrame) -> tuple[str, str]:
    """Return the two tasks with the lowest rank correlation; the first and last where none is."""
    wide = cells.pivot(index="encoder", columns="task", values="score").dropna()
    tasks = order(list(cells["task"]))
    pairs = [(a, b) for i, a in enumerate(tasks) for b in tasks[i + 1 :]]
    varied = [pair for pair in pairs if all(wide[task].nunique() > 1 for task in pair)]
    if len(wide) < 3 or not varied:
        return tasks[0], tasks[-1]
    return min(varied, key=lambda pair: float(stats.spearmanr(wide[pair[0]], wide[pair[1]])[0]))


def _bar(line: Mapping[Any, Any], factor: float) -> tuple[float, list[list[float]]]:
    """Return a score and the lengths of its error bar, as matplotlib takes them."""
    score, low, high = (float(line[name]) * factor for name in ("score", "low", "high"))
    return score, [[score - low], [high - score]]
