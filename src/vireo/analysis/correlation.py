"""Do encoders that do well on one task do well on another? Correlation of scores over encoders.

References:
    Kotar et al. 2021, Contrasting contrastive self-supervised representation learning pipelines,
    appendix D. https://arxiv.org/abs/2103.14005
"""

import math
from itertools import combinations

import numpy as np
import pandas as pd

from vireo.analysis.bootstrap import FEWEST_FOR_INTERVAL, Draws
from vireo.analysis.context import ALONE, Context
from vireo.analysis.encoders import facts_of
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

UNTRAINED = "random"
CAPTION = (
    "Pearson's r and Spearman's rank correlation of two tasks' mean scores over the {n} trained "
    "encoders that have both. {warning}Intervals: percentile bootstrap over recipes of "
    "pre-training, so that seeds of one recipe are drawn together; none with fewer than "
    "{fewest} recipes. They are a little short (95 % cover about 90 % at 8 to 15 encoders). No "
    "p-values: encoders that share a method, data or architecture are not independent draws, so "
    "none would mean what it says."
)


def correlation(table: pd.DataFrame, context: Context = ALONE) -> Finding:
    """Return one line a pair of tasks: both correlations with intervals, n (encoders) and a note.

    Encoders with random weights are left out: one that is last everywhere makes all tasks
    correlate.

    Args:
        table: cells may be missing: each pair uses the encoders that have both.
        context: is not asked.
    """
    table, notes = present(table)
    facts = facts_of(table)
    trained = facts[facts["method"] != UNTRAINED]
    wide = wide_scores(table).reindex(trained.index)
    draws = Draws.of(tuple(trained["recipe"]), "correlation")
    scores, pairs = columns_of(wide), list(combinations(wide.columns, 2))
    both = [pair_correlation(scores, pair, draws, level_of(table)) for pair in pairs]
    lines = pd.DataFrame([line for line, _ in both], columns=list(COLUMNS))
    families = table.groupby("task")["family"].first()
    return Finding(
        title="Correlation between tasks",
        table=lines,
        caption=CAPTION.format(
            n=len(wide), warning=_warning(len(wide)), fewest=FEWEST_FOR_INTERVAL
        ),
        verdict=_verdict(lines, [draws for _, draws in both], families, level_of(table)),
        figures=_figures(lines, families),
        notes=(*notes, *_untrained(facts)),
    )


def _verdict(
    lines: pd.DataFrame, draws: list[np.ndarray], families: pd.Series, level: float
) -> str:
    """Say whether tasks of one family go together more than tasks of different families."""
    known = lines["spearman"].notna()
    same = (lines["first"].map(families) == lines["second"].map(families)) & known
    apart = known & ~same
    who = spanned(list(lines["n"]), "trained encoder")
    if lines.empty:
        return "Whether tasks order encoders alike cannot be said of one task; add a second."
    if not known.any():
        return (
            f"Whether tasks order encoders alike cannot be said from {who} with two tasks in "
            f"common: a correlation needs {FEWEST} that differ."
        )
    over = f"Over {who}"
    if not same.any() or not apart.any():
        mean = lines.loc[known, "spearman"].mean()
        return (
            f"{over} the mean rank correlation of two tasks is {mean:.2f} "
            f"({numbered(int(known.sum()), 'pair')}); whether families of tasks go together "
            "cannot be said without pairs both within and between families."
        )
    within, between = (float(lines.loc[kind, "spearman"].mean()) for kind in (same, apart))
    low, high = difference_interval(draws, same.to_numpy(), apart.to_numpy(), level)
    said = _said(low, high, "tasks of one family order encoders more alike than others")
    return (
        f"{over} two tasks of one family have a mean rank correlation of {within:.2f} "
        f"({numbered(int(same.sum()), 'pair')}), of different families {between:.2f} "
        f"({numbered(int(apart.sum()), 'pair')}), a difference of {within - between:.2f} "
        f"(bootstrap over recipes, {interval_words(low, high, level)}): {said}."
    )


def _said(low: float, high: float, claim: str) -> str:
    if math.isnan(low):
        return f"too few recipes of pre-training for an interval, so no evidence that {claim}"
    if low > 0:
        return claim
    return f"the reverse of '{claim}'" if high < 0 else f"no evidence that {claim}"


def _figures(lines: pd.DataFrame, families: pd.Series) -> tuple[Figure, ...]:
    if not lines[["pearson", "spearman"]].notna().to_numpy().any():
        return ()
    names = sorted(families.index, key=lambda task: (families[task], task))
    place = {task: number for number, task in enumerate(names)}
    figures = []
    for column, title in (("pearson", "Pearson's r"), ("spearman", "Spearman's rank correlation")):
        found = {(task, task): 1.0 for task in names}
        for line in lines.to_dict("records"):
            for pair in ((line["first"], line["second"]), (line["second"], line["first"])):
                found[pair] = float(line[column])
        ordered = sorted(found, key=lambda pair: (place[pair[0]], place[pair[1]]))
        data = pd.DataFrame(
            [{"row": a, "column": b, "value": found[a, b]} for a, b in ordered],
            columns=["row", "column", "value"],
        )
        figures.append(
            Figure(
                kind="heatmap",
                title=f"{title} of tasks over encoders",
                x="task",
                y="task",
                value=title,
                data=data,
                limits=(-1.0, 1.0),
            )
        )
    return tuple(figures)


def _untrained(facts: pd.DataFrame) -> tuple[str, ...]:
    names = list(facts.index[facts["method"] == UNTRAINED])
    return (f"Left out, random weights: {listed(names)}.",) if names else ()


def _warning(count: int) -> str:
    if count < FEWEST:
        return f"At least {FEWEST} encoders are needed, so no value is given. "
    if count < 10:
        return f"With {count} encoders one of them can turn a sign: read these as hints. "
    return ""
