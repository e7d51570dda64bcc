"""The study's second question: is accuracy on ImageNet a good measure of progress?

Self-supervised encoders only, as published: the question is what progress within them is worth.

References:
    Kotar et al. 2021, Contrasting contrastive self-supervised representation learning pipelines,
    section 5 (2) and figure 4. https://arxiv.org/abs/2103.14005
"""

import math

import numpy as np
import pandas as pd

from vireo.analysis.bootstrap import FEWEST_FOR_INTERVAL, Draws
from vireo.analysis.context import ALONE, Context
from vireo.analysis.encoders import counted, facts_of, left_out, self_supervised
from vireo.analysis.finding import Figure, Finding
from vireo.analysis.pairs import (
    COLUMNS,
    FEWEST,
    columns_of,
    difference_interval,
    pair_correlation,
)
from vireo.analysis.table import level_of, present
from vireo.analysis.wide import wide_scores
from vireo.analysis.words import interval_words, listed, numbered, spanned
from vireo.errors import SettingError

PROXY = "imagenet"
CAPTION = (
    "Correlation over {encoders} of each task's score with that on {proxy}{stand_in}. Intervals: "
    "percentile bootstrap over recipes of pre-training (none with fewer than {fewest}; a little "
    "short: 95 % cover about 90 % at 8 to 15). They do not make encoders that share a method or "
    "data independent. `own_family`: of the proxy's own kind; a second test set of the proxy's own "
    "head is in the table and in no mean."
)


def proxy(table: pd.DataFrame, context: Context = ALONE) -> Finding:
    """Return one line a task: both correlations with the proxy, with intervals, n and a note.

    Args:
        table: cells may be missing: each task uses the encoders that have it and the proxy.
        context: is not asked.

    Raises:
        SettingError: no self-supervised encoder, no task that can stand for ImageNet, or no other.
    """
    table, notes = present(table)
    facts, level = facts_of(table), level_of(table)
    own = self_supervised(facts)
    name = proxy_task(table)
    wide, families = wide_scores(table).loc[own], table.groupby("task")["family"].first()
    draws = Draws.of(tuple(facts.loc[own, "recipe"]), "proxy")
    scores = columns_of(wide)
    others = [task for task in wide.columns if task != name]
    found = [pair_correlation(scores, (name, task), draws, level) for task in others]
    lines = _lines([line for line, _ in found], families, name)
    stand_in = "" if name == PROXY else " (there is no ImageNet here; it stands for it)"
    return Finding(
        title="Is ImageNet accuracy a good measure?",
        table=lines,
        caption=CAPTION.format(
            encoders=counted(own), proxy=name, stand_in=stand_in, fewest=FEWEST_FOR_INTERVAL
        ),
        verdict=_verdict(lines, [ranks for _, ranks in found], name, level),
        figures=(_scatter(wide, families, name), _intervals(lines, name)),
        notes=(*notes, *left_out(facts, "not self-supervised")),
    )


def proxy_task(table: pd.DataFrame) -> str:
    """Return "imagenet"; else the semantic task of whole images with the most test examples.

    Raises:
        SettingError: no such task, or no task beside it.
    """
    tasks = table.groupby("task").agg(family=("family", "first"), n=("n", "max"))
    if len(tasks) < 2:
        raise SettingError("Correlation with a proxy needs another task beside it; add one.")
    if PROXY in tasks.index:
        return PROXY
    fit = tasks[tasks["family"] == "semantic-image"].sort_values(
        "n", ascending=False, kind="stable"
    )
    if fit.empty:
        raise SettingError(
            "This question needs ImageNet or another semantic task of whole images to stand for "
            f"it; got {listed(list(tasks.index))}. Add one."
        )
    return str(fit.index[0])


def _lines(found: list[dict[str, object]], families: pd.Series, name: str) -> pd.DataFrame:
    lines = pd.DataFrame(found, columns=list(COLUMNS)).drop(columns="first")
    lines = lines.rename(columns={"second": "task"})
    lines.insert(1, "family", lines["task"].map(families))
    lines.insert(2, "own_family", lines["family"] == families[name])
    return lines


def _verdict(lines: pd.DataFrame, ranks: list[np.ndarray], name: str, level: float) -> str:
    """Say whether the proxy orders encoders as tasks of other families do."""
    known = lines["spearman"].notna()
    who = spanned(list(lines["n"]), "self-supervised encoder")
    called = name if name == PROXY else f"{name} (for want of ImageNet)"
    if not known.any():
        return (
            f"Whether {called} is a good proxy cannot be said from {who}: a correlation needs "
            f"{FEWEST} that differ."
        )
    counting = known & (lines["task"] != f"{name}-v2")
    if not counting.any():
        return (
            f"Whether {called} is a good proxy cannot be said: beside it there is only {name}-v2, "
            "another test set of its own head."
        )
    own, other = counting & lines["own_family"], counting & ~lines["own_family"]
    kinds = ((own, "its own family"), (other, "other families"))
    parts = [
        f"{lines.loc[kind, 'spearman'].mean():.2f} with {numbered(int(kind.sum()), 'task')} "
        f"of {words}"
        for kind, words in kinds
        if kind.any()
    ]
    low, high = math.nan, math.nan
    if own.any() and other.any():
        low, high = difference_interval(ranks, own.to_numpy(), other.to_numpy(), level)
    return (
        f"Over {who} the scores on {called} have a mean rank correlation of "
        f"{' and '.join(parts)}; {_said(low, high, level, len(parts))}{_opposed(lines)}."
    )


def _said(low: float, high: float, level: float, kinds: int) -> str:
    if math.isnan(low):
        why = "from so few recipes of pre-training" if kinds > 1 else "without tasks of both kinds"
        return f"whether it is a weaker proxy outside its family cannot be said {why}"
    span = f"difference by bootstrap over recipes: {interval_words(low, high, level)}"
    if low > 0:
        return f"it is a weaker proxy outside its own family ({span})"
    if high < 0:
        return f"it is a weaker proxy inside its own family ({span})"
    return f"no evidence that the two differ ({span})"


def _opposed(lines: pd.DataFrame) -> str:
    """Name the tasks that run against the proxy, by interval."""
    against = list(lines.loc[lines["spearman_high"] < 0, "task"])
    return f"; interval below zero on {listed(against)}" if against else ""


def _scatter(wide: pd.DataFrame, families: pd.Series, name: str) -> Figure:
    order = sorted(
        wide.columns, key=lambda task: (families[task] != families[name], families[task])
    )
    points = [
        {
            "x": wide.loc[encoder, name],
            "y": wide.loc[encoder, task],
            "label": encoder,
            "group": families[task],
            "panel": task,
        }
        for task in order
        if task != name
        for encoder in wide.index
    ]
    columns = ["x", "y", "label", "group", "panel"]
    return Figure(
        kind="scatter",
        title=f"Every task against {name}",
        x=f"score on {name}",
        y="score on the task, in its unit",
        data=pd.DataFrame(points, columns=columns).dropna(ignore_index=True),
    )


def _intervals(lines: pd.DataFrame, name: str) -> Figure:
    shown = lines[lines["spearman"].notna()].sort_values(
        ["own_family", "family", "spearman"], ascending=[False, True, False], kind="stable"
    )
    names = {"spearman": "value", "spearman_low": "low", "spearman_high": "high", "task": "label"}
    columns = ["label", "value", "low", "high", "group"]
    data = shown.rename(columns={**names, "family": "group"})[columns].reset_index(drop=True)
    return Figure(
        kind="intervals",
        title=f"Rank correlation with {name}",
        x="Spearman's rank correlation",
        y="",
        data=data,
        reference=0.0,
        limits=(-1.0, 1.0),
    )
