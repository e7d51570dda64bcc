"""The models that compare balanced with unbalanced sets: tables of variance and differences.

With task as a factor all of them analyse task-centred scores, and pay the degrees of freedom that
centring costs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float64
from scipy import stats

from vireo.analysis.factorial import Factorial
from vireo.analysis.linear_model import (
    Columns,
    TermLine,
    anova,
    categorical,
    empty_cells,
    estimates,
)
from vireo.analysis.mixed_model import MixedFit, mixed_model

BY_CELL, BY_ENCODER = "cells as units", "encoders as units"
_INTERACTIONS = ("task:method", "task:balance", "balance:method")
_NOTHING = float("nan")
_EXPLAINED = 1e-24
"""A residual below this share of the scores' sum of squares is rounding."""
_DOUBLED = {
    "size": "twice the images",
    "steps": "twice the steps",
    "seen": "twice the images seen",
}


@dataclass(frozen=True)
class Cells:
    """One line a cell.

    Attributes:
        lines: encoder, task, and the scores "centred" and "standardised".
        factors: name to columns; task, then what is constant within an encoder.
        values: name to levels, of those that are categories.
    """

    design: Factorial
    lines: pd.DataFrame
    factors: Mapping[str, Columns]
    values: Mapping[str, Sequence[str]]

    @property
    def of_encoders(self) -> dict[str, Columns]:
        """Return the factors that are constant within an encoder."""
        return {name: columns for name, columns in self.factors.items() if name != "task"}

    def scores(self, kind: str) -> Float64[np.ndarray, " n"]:
        """Return the scores of a kind, in the order of the lines."""
        return self.lines[kind].to_numpy(dtype=np.float64)


def cells_of(table: pd.DataFrame, design: Factorial) -> Cells:
    """Return the cells of a design's encoders; a cell's score is the mean over its seeds."""
    kept = table[table["encoder"].isin(design.facts.index)]
    lines = kept.groupby(["encoder", "task"], sort=True)["score"].mean().reset_index()
    by_task = lines.groupby("task")["score"]
    lines["centred"] = lines["score"] - by_task.transform("mean")
    spread = by_task.transform("std")
    lines["standardised"] = lines["centred"] / spread.where(spread > 0, 1.0)
    places = design.facts.index.get_indexer(pd.Index(lines["encoder"]))
    factors = {"task": categorical(lines["task"])}
    factors |= {name: columns[places] for name, columns in design.factors.items()}
    levels = {name: list(design.facts[name].iloc[places]) for name in ("balance", "method")}
    return Cells(design, lines, factors, {"task": list(lines["task"]), **levels})


def tables_of_variance(cells: Cells, scores: str) -> tuple[list[dict[str, object]], list[str]]:
    """Return the lines of all models, and a sentence for each that could not be fitted.

    Args:
        cells: the design's.
        scores: "centred" or "standardised".
    """
    y, main = cells.scores(scores), list(cells.factors)
    lines = _anova_lines("main effects", "II", anova(y, cells.factors, main, 2))
    both = _interactions(cells)
    holes = [term for term in both if empty_cells(cells.values, term)]
    notes = [f"No sums of squares of type III: {term} has empty cells." for term in holes]
    kinds = {"II": 2} if holes else {"II": 2, "III": 3}
    for name, kind in kinds.items() if both else ():
        found = anova(y, cells.factors, [*main, *both], kind)
        lines += _anova_lines("with interactions", name, found)
    fit = mixed_fit(cells, scores)
    if fit is None:
        notes.append(
            "No mixed model: there are too few encoders or cells for its factors, or nothing is "
            "left to judge luck by."
        )
        return lines, notes
    return lines + _mixed_lines(cells, fit), notes


def differences(cells: Cells, scores: str, level: float) -> pd.DataFrame:
    """Return one line a difference and model: value, low, high, p and degrees of freedom."""
    wanted = _contrasts(cells)
    design, weights = _design(cells), np.stack([_weights(cells, *one) for one in wanted.values()])
    values, errors, freedom = estimates(cells.scores(scores), design, weights)
    parts = [_intervals(list(wanted), BY_CELL, (values, errors, freedom), level)]
    fit = mixed_fit(cells, scores)
    if fit is not None:
        found = np.array([fit.contrast(one) for one in weights]).T
        parts.append(_intervals(list(wanted), BY_ENCODER, (*found, fit.freedom), level))
    return pd.concat(parts, ignore_index=True)


def mixed_fit(cells: Cells, scores: str) -> MixedFit | None:
    """Fit the mixed model.

    None where encoders leave no degree of freedom, where missing cells make a factor of encoders
    follow from the tasks they have, or where the factors explain every score.
    """
    _, groups = np.unique(cells.lines["encoder"], return_inverse=True)
    count = sum(columns.shape[1] for columns in cells.of_encoders.values())
    design, y = _design(cells), cells.scores(scores)
    if len(np.unique(groups)) - 1 - count < 1 or np.linalg.matrix_rank(design) < design.shape[1]:
        return None
    left = y - design @ np.linalg.lstsq(design, y, rcond=None)[0]
    if np.square(left).sum() <= _EXPLAINED * np.square(cells.lines["score"]).sum():
        return None
    return mixed_model(y, design, groups, slice(1, 1 + count))


def _interactions(cells: Cells) -> list[str]:
    """Return the interactions that the table can tell, leaving degrees of freedom."""
    terms = list(cells.factors)
    kept: list[str] = []
    for term in _INTERACTIONS:
        if set(term.split(":")) <= set(cells.factors):
            found = anova(cells.scores("centred"), cells.factors, [*terms, *kept, term], 2)
            kept += [term] if found[-1].df > 0 and found[-1].df_residual > 0 else []
    return kept


def _anova_lines(model: str, kind: str, lines: Sequence[TermLine]) -> list[dict[str, object]]:
    """Return the lines as plain values, without that of the tasks, which centring took away."""
    return [
        {
            "model": model,
            "type": kind,
            "term": line.term,
            "df": line.df,
            "df_residual": line.df_residual,
            "sum_of_squares": float(line.sum_of_squares),
            "F": float(line.F),
            "p": float(line.p),
            "eta2": float(line.eta2),
            "omega2": float(line.omega2),
        }
        for line in lines
        if line.term != "task"
    ]


def _mixed_lines(cells: Cells, fit: MixedFit) -> list[dict[str, object]]:
    lines, start = [], 1
    for name, columns in cells.of_encoders.items():
        places = slice(start, start + columns.shape[1])
        F, p, df = fit.wald(places)
        line: dict[str, object] = {"model": "mixed", "type": "", "term": name, "df": df}
        lines.append(line | {"df_residual": fit.freedom, "F": F, "p": p})
        start = places.stop
    return lines


def _design(cells: Cells) -> Columns:
    """Return the columns of the main effects: intercept, factors of encoders, tasks."""
    ones = np.ones((len(cells.lines), 1))
    tasks = cells.factors["task"]
    return np.concatenate([ones, *cells.of_encoders.values(), tasks], axis=1)


def _contrasts(cells: Cells) -> dict[str, tuple[str, Float64[np.ndarray, " _"]]]:
    """Return words to a factor and weights of its columns: the differences of interest."""
    found: dict[str, tuple[str, Float64[np.ndarray, " _"]]] = {}
    for name in ("balance", "method", "architecture"):
        if name in cells.factors:
            levels = sorted(set(cells.design.facts[name].astype(str)))
            coding = categorical(levels)
            base = levels.index("balanced") if name == "balance" else len(levels) - 1
            found |= {
                f"{level} - {levels[base]}": (name, coding[place] - coding[base])
                for place, level in enumerate(levels)
                if place != base
            }
    for name, words in _DOUBLED.items():
        if name in cells.factors:
            found[words] = (name, np.ones(1))
    return found


def _weights(
    cells: Cells, factor: str, weights: Float64[np.ndarray, " levels"]
) -> Float64[np.ndarray, " columns"]:
    """Return the weights of all columns of `_design`."""
    parts = [np.zeros(1)]
    for name, columns in cells.of_encoders.items():
        parts.append(weights if name == factor else np.zeros(columns.shape[1]))
    return np.concatenate([*parts, np.zeros(cells.factors["task"].shape[1])])


def _intervals(
    names: list[str], model: str, fit: tuple[np.ndarray, np.ndarray, int], level: float
) -> pd.DataFrame:
    """Return t intervals and p-values of estimates with standard errors."""
    values, errors, freedom = fit
    if freedom < 1:
        errors = np.full_like(values, _NOTHING)
    half = stats.t.ppf(0.5 + level / 2, max(freedom, 1)) * errors
    sizes = np.divide(np.abs(values), errors, out=np.full_like(values, _NOTHING), where=errors > 0)
    p = 2 * stats.t.sf(sizes, max(freedom, 1))
    lines = {"label": names, "value": values, "low": values - half, "high": values + half}
    return pd.DataFrame({**lines, "p": p, "df": freedom, "group": model})
