"""The study's fourth question: does self-supervision work better on certain end tasks?

A gain is a self-supervised encoder's score minus the supervised one's, over the standard deviation
of the self-supervised scores on the task. Tasks and encoders are both draws: the interval of a mean
is of the bootstrap that draws both, the test of a contrast has tasks as its units, because the one
supervised encoder's luck on a task is in all gains of that task.

References:
    Kotar et al. 2021, Contrasting contrastive self-supervised representation learning pipelines,
    section 5 (4) and figure 6. https://arxiv.org/abs/2103.14005
"""

import math
from typing import Any

import numpy as np
import pandas as pd

from vireo.analysis.bootstrap import (
    FEWEST_FOR_INTERVAL,
    crossed_mean,
    draw_counts,
    percentiles,
)
from vireo.analysis.context import ALONE, Context
from vireo.analysis.contrast import contrast
from vireo.analysis.encoders import Match, counted, facts_of, matched
from vireo.analysis.finding import Figure, Finding
from vireo.analysis.table import level_of, present
from vireo.analysis.wide import families, spreads, wide_scores
from vireo.analysis.words import listed, numbered
from vireo.errors import SettingError

FEWEST_ENCODERS = 3
COLUMNS = ("tasks_of", "tasks", "encoders", "mean", "low", "high", "median", "share_above")
CAPTION = (
    "Gain: (score - score of {supervised}) / standard deviation of the task's scores over "
    "{encoders}; above 0 is better than supervised. `mean`: over the tasks of a kind, each task "
    "counting once; `low`, `high`: bootstrap over recipes of pre-training and tasks together, "
    "none with fewer than {fewest} recipes or 2 tasks; `median` and `share_above` zero: over all "
    "cells. The supervised encoder is one encoder: its own luck on a task moves all gains of that "
    "task, which no interval within the task shows."
)


def gain(table: pd.DataFrame, context: Context = ALONE) -> Finding:
    """Return one line a family of tasks, and one each for structural and semantic tasks.

    Args:
        table: cells may be missing; a task without the supervised encoder is left out.
        context: is not asked.

    Raises:
        SettingError: no supervised encoder, or fewer than three self-supervised ones on any task.
    """
    table, notes = present(table)
    match, level = matched(table), level_of(table)
    gains, dropped = normalised_gains(wide_scores(table), match)
    recipes = facts_of(table).loc[gains.index, "recipe"]
    drawn = draw_counts(list(recipes), "gain") if recipes.nunique() >= FEWEST_FOR_INTERVAL else None
    kinds = _kinds(gains, families(table))
    lines = [_line(name, gains[tasks], drawn, level) for name, tasks in kinds.items()]
    return Finding(
        title="Which tasks gain from self-supervision?",
        table=pd.DataFrame(lines, columns=list(COLUMNS)),
        caption=CAPTION.format(
            supervised=match.supervised, encoders=counted(match.own), fewest=FEWEST_FOR_INTERVAL
        ),
        verdict=_verdict(gains, kinds, match, level),
        figures=(_figure(gains, families(table), match.supervised),),
        notes=(*notes, *match.notes, *dropped),
    )


def normalised_gains(wide: pd.DataFrame, match: Match) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Return the gains, encoders x tasks, and a sentence that names the tasks without any.

    Raises:
        SettingError: no task has the supervised encoder and three others that differ.
    """
    own = wide.loc[match.own]
    spread = spreads(own)
    base = wide.loc[match.supervised]
    enough = own.notna().sum() >= FEWEST_ENCODERS
    usable = (enough & (spread > 0) & base.notna()).to_numpy(dtype=bool)
    lost = list(wide.columns[~usable])
    if not usable.any():
        raise SettingError(
            f"A gain is measured in standard deviations over at least {FEWEST_ENCODERS} "
            f"self-supervised encoders on a task that {match.supervised} has too; got "
            f"{counted(match.own)}. Add encoders to the study."
        )
    kept = wide.columns[usable]
    why = f"{match.supervised} or {FEWEST_ENCODERS} self-supervised encoders that differ"
    notes = (f"Left out, without {why}: {listed(lost)}.",) if lost else ()
    return (own[kept] - base[kept]) / spread[kept], notes


def _kinds(gains: pd.DataFrame, family: dict[str, str]) -> dict[str, list[str]]:
    """Return the tasks of each family, then of each kind of question that families ask."""
    found: dict[str, list[str]] = {}
    for name in (*sorted(set(family.values())), "structural", "semantic"):
        tasks = [task for task in gains.columns if family[task].startswith(name)]
        if tasks:
            found[name] = tasks
    return found


def _line(name: str, gains: pd.DataFrame, drawn: np.ndarray | None, level: float) -> dict[str, Any]:
    values = gains.to_numpy(dtype=np.float64).ravel()
    values = values[np.isfinite(values)]
    low, high = math.nan, math.nan
    if drawn is not None and len(gains.columns) > 1:
        tasks = draw_counts(list(gains.columns), "tasks of a kind")
        low, high = percentiles(crossed_mean(gains, drawn, tasks), level)
    return {
        "tasks_of": name,
        "tasks": len(gains.columns),
        "encoders": int(gains.notna().any(axis=1).sum()),
        "mean": float(gains.mean().mean()),
        "low": low,
        "high": high,
        "median": float(np.median(values)),
        "share_above": float((values > 0).mean()),
    }


def _verdict(gains: pd.DataFrame, kinds: dict[str, list[str]], match: Match, level: float) -> str:
    """Say whether structural tasks gain more than semantic ones, with tasks as units."""
    means = gains.mean()
    if "structural" not in kinds or "semantic" not in kinds:
        only = next(name for name in ("structural", "semantic") if name in kinds)
        return (
            f"Whether some kind of task gains more cannot be said: there are only {only} tasks; "
            f"on {numbered(len(means), 'task')} the mean gain of {counted(match.own)} over "
            f"{match.supervised} is {means.mean():.2f} standard deviations."
        )
    first, second = (means[kinds[name]].to_numpy(float) for name in ("structural", "semantic"))
    found = contrast(first, second, "gain", level)
    other = "" if match.alike else ", a network of another architecture,"
    said = found.said(
        "structural tasks gain more",
        "semantic tasks gain more",
        "no evidence that one kind gains more",
    )
    return (
        f"Against {match.supervised}{other or ','} {counted(match.own)} "
        f"gain {first.mean():.2f} standard "
        f"deviations on {numbered(len(first), 'structural task')} and {second.mean():.2f} on "
        f"{numbered(len(second), 'semantic task')} ({found.numbers}): {said}."
    )


def _figure(gains: pd.DataFrame, family: dict[str, str], name: str) -> Figure:
    order = sorted(gains.columns, key=lambda task: (family[task], task))
    points = [
        (family[task], value, family[task], f"{encoder} x {task}")
        for task in order
        for encoder, value in gains[task].dropna().items()
    ]
    return Figure(
        kind="box",
        title=f"Gain over {name} by family of tasks",
        x="",
        y="gain, standard deviations of the task",
        data=pd.DataFrame(points, columns=["label", "value", "group", "point"]),
        reference=0.0,
    )
