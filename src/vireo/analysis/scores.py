"""Mean score of every encoder on every task, with an interval that covers examples and seeds."""

import numpy as np
import pandas as pd
from scipy import stats

from vireo.analysis.context import ALONE, Context
from vireo.analysis.finding import Figure, Finding
from vireo.analysis.table import level_of, present

CAPTION = (
    "Mean over seeds; higher is better, errors are negated. The interval joins two uncertainties "
    "in quadrature: of the test examples (bootstrap, averaged over seeds, since all seeds read the "
    "same examples) and of the seeds (t interval of their mean, with the variance pooled over the "
    "encoders of a task). With one seed it covers the examples only. It does not cover another "
    "draw of the training set, nor another pre-training run of the same recipe. `floor` is the "
    "score of the best constant answer."
)


def scores(table: pd.DataFrame, context: Context = ALONE) -> Finding:
    """Return one line a cell: score, low, high, seeds, n and floor.

    Args:
        table: cells and seeds may be missing.
        context: is not asked.
    """
    table, notes = present(table)
    cells = cell_scores(table)
    names = {"encoder": "label", "task": "panel", "score": "value"}
    shown = cells.rename(columns=names)[["label", "value", "low", "high", "panel"]]
    figure = Figure(
        kind="intervals",
        title="Scores of every encoder",
        x="score, in the task's unit",
        y="",
        data=shown.sort_values(["panel", "value"], kind="stable", ignore_index=True),
    )
    return Finding("Scores", cells, CAPTION, figures=(figure,), notes=notes)


def cell_scores(table: pd.DataFrame) -> pd.DataFrame:
    """Average the rows of each cell; cells that `table` lacks are simply not in the result."""
    facts = {name: (name, "first") for name in ("metric", "unit", "family", "n")}
    cells = table.groupby(["encoder", "task"], sort=True).agg(
        score=("score", "mean"),
        raw=("raw", "mean"),
        mean_low=("low", "mean"),
        mean_high=("high", "mean"),
        seeds=("seed", "nunique"),
        floor=("floor", "mean"),
        **facts,
    )
    half = _seed_half_width(table, level_of(table)).reindex(cells.index.get_level_values("task"))
    half_width = half.to_numpy() / np.sqrt(cells["seeds"].to_numpy())
    below, above = cells["score"] - cells["mean_low"], cells["mean_high"] - cells["score"]
    cells["low"] = cells["score"] - np.hypot(below, half_width)
    cells["high"] = cells["score"] + np.hypot(above, half_width)
    columns = ["score", "low", "high", "raw", "floor", "seeds", "n", "metric", "unit", "family"]
    return cells[columns].reset_index()


def _seed_half_width(table: pd.DataFrame, level: float) -> pd.Series:
    """Per task: t quantile times the standard deviation between seeds, pooled over encoders."""
    groups = table.groupby(["task", "encoder"])["score"]
    squares = (table["score"] - groups.transform("mean")) ** 2
    squared = squares.groupby(table["task"]).sum()
    freedom = (groups.size() - 1).groupby(level="task").sum()
    known = freedom.where(freedom > 0)
    quantile = stats.t.ppf(0.5 + level / 2, known)
    half: pd.Series = (quantile * np.sqrt(squared / known)).fillna(0.0)
    return half
