"""The encoders in order: mean rank, and mean skill over all tasks and over each family.

Skill is (score - floor) / (perfect - floor), so that it can be averaged over tasks. The interval of
a mean of k tasks joins those of its cells, whose test images differ: half its width is
sqrt(sum h_t^2) / k. It says how sure the mean over these tasks is, not what other tasks would give.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from vireo.analysis.table import order
from vireo.report.words import FAMILIES

ALL = "all tasks"


@dataclass(frozen=True)
class Scope:
    """Some tasks that are averaged: all, or those of a family.

    Attributes:
        low, high: ends of the scale on which the means are drawn: it holds all intervals but the
            baseline's, which may be so far off that nothing else could be told apart.
    """

    name: str
    tasks: tuple[str, ...]
    low: float
    high: float


@dataclass(frozen=True)
class Mean:
    """A mean skill with its interval, and where it lies on its scope's scale.

    Attributes:
        at: low, value and high in percent of the scale, at its ends if `beyond` them.
    """

    value: float
    low: float
    high: float
    at: tuple[float, float, float]
    beyond: bool


@dataclass(frozen=True)
class Place:
    """One encoder's line; a mean is None where the encoder lacks one of the tasks.

    Attributes:
        rank: mean over tasks among the encoders that have all; None for the others.
    """

    encoder: str
    rank: float | None
    means: tuple[Mean | None, ...]


@dataclass(frozen=True)
class Leaderboard:
    """The lines, best first; `means[i]` of each is over `scopes[i]`."""

    scopes: tuple[Scope, ...]
    places: tuple[Place, ...]


def leaderboard(cells: pd.DataFrame, baseline: str = "") -> Leaderboard:
    """Order the encoders of a table of cells (`analysis.scores.cell_scores`, with skill)."""
    tasks = order(list(cells["task"]))
    families = {
        name: tuple(order(list(group["task"])))
        for name, group in cells.groupby("family", sort=False)
    }
    wanted = {ALL: tuple(tasks)}
    if len(families) > 1:
        wanted |= {FAMILIES.get(str(name), str(name)): of for name, of in families.items()}
    means = {name: _means(cells, of) for name, of in wanted.items()}
    scopes = tuple(Scope(name, of, *_scale(means[name], baseline)) for name, of in wanted.items())
    ranks = mean_ranks(cells)
    first = means[ALL]["value"]
    encoders = sorted(
        order(list(cells["encoder"])),
        key=lambda name: (ranks.get(name, np.inf), -np.nan_to_num(first.get(name, np.nan), nan=-9)),
    )
    places = tuple(
        Place(name, ranks.get(name), tuple(_mean(means[s.name], s, name) for s in scopes))
        for name in encoders
    )
    return Leaderboard(scopes, places)


def mean_ranks(cells: pd.DataFrame) -> dict[str, float]:
    """Return the mean place of each encoder that has all tasks, among those; ties share it."""
    wide = cells.pivot(index="encoder", columns="task", values="score").dropna()
    ranks = wide.rank(ascending=False).mean(axis=1)
    return {str(name): float(rank) for name, rank in ranks.items()}


def _means(cells: pd.DataFrame, tasks: tuple[str, ...]) -> pd.DataFrame:
    """Return value, low and high of the encoders that have all `tasks`, by name."""
    part = cells[cells["task"].isin(tasks)]
    room = (part["unit"] == "share").astype(float) - part["floor"]
    part = part.assign(
        below=((part["score"] - part["low"]) / room) ** 2,
        above=((part["high"] - part["score"]) / room) ** 2,
    )
    found = part.groupby("encoder", sort=False).agg(
        value=("skill", "mean"),
        below=("below", "sum"),
        above=("above", "sum"),
        n=("task", "nunique"),
    )
    found = found[found["n"] == len(tasks)]
    return pd.DataFrame(
        {
            "value": found["value"],
            "low": found["value"] - np.sqrt(found["below"]) / found["n"],
            "high": found["value"] + np.sqrt(found["above"]) / found["n"],
        }
    )


def _scale(means: pd.DataFrame, baseline: str) -> tuple[float, float]:
    """Return ends on tenths; from 0 to 1 where there is no mean."""
    means = means if len(means) < 3 else means.drop(index=baseline, errors="ignore")
    if means.empty or means["value"].isna().all():
        return 0.0, 1.0
    low, high = float(np.nanmin(means["low"])), float(np.nanmax(means["high"]))
    return float(np.floor(low * 10) / 10), float(np.ceil(high * 10) / 10)


def _mean(means: pd.DataFrame, scope: Scope, encoder: str) -> Mean | None:
    if encoder not in means.index:
        return None
    line: Any = means.loc[encoder]
    value, low, high = (float(line[name]) for name in ("value", "low", "high"))
    if np.isnan(value):
        return None
    span = scope.high - scope.low or 1.0
    low_at, at, high_at = (
        round(100 * float(np.clip((x - scope.low) / span, 0, 1)), 2) for x in (low, value, high)
    )
    beyond = not scope.low <= value <= scope.high
    return Mean(value, low, high, (low_at, at, high_at), beyond)
