"""The first sentences of a report: who wins where, and how sure that is."""

import pandas as pd

from vireo.analysis.normalised import with_skill
from vireo.analysis.ranking import clearly_best
from vireo.analysis.words import numbered
from vireo.report.words import TaskWords, listed

MOST_NAMED = 6
"""Encoders beyond which a sentence counts them instead of naming each."""


def sentences(cells: pd.DataFrame, baseline: str, words: dict[str, TaskWords]) -> list[str]:
    """Return a few sentences about a table of cells (from `analysis.scores.cell_scores`)."""
    cells = with_skill(cells)
    encoders, seeds = cells["encoder"].nunique(), int(cells["seeds"].max())
    each = "one seed each" if seeds == 1 else f"{seeds} seeds each"
    first = f"{numbered(encoders, 'encoder')} on {numbered(len(words), 'task')}, {each}."
    if encoders < 2:
        return [first]
    found = [first, _winners(cells)]
    if baseline in set(cells["encoder"]):
        found.append(_against(cells, baseline))
    return [*found, *_floored(cells)]


def _winners(cells: pd.DataFrame) -> str:
    """Say for each encoder on which tasks it scores highest; of many, on how many."""
    clear = clearly_best(cells)
    best = cells[cells["score"] == cells.groupby("task")["score"].transform("max")]
    if best["encoder"].nunique() > MOST_NAMED:
        return _counted(best, int(clear.sum()))
    tied = best["task"].duplicated(keep=False)
    marks = pd.Series("", best.index).mask(clear, "*").mask(tied, " (tied)")
    parts = []
    for encoder, group in best.groupby("encoder", sort=False):
        tasks = list(group["task"] + marks[group.index])
        parts.append(f"{encoder} scores highest on {listed(tasks, most=20)}")
    star = " (* its interval lies above all others)" if clear.loc[best.index].any() else ""
    return f"{'; '.join(parts)}{star}."


def _counted(best: pd.DataFrame, clear: int) -> str:
    counts = best["encoder"].value_counts()
    leaders = [f"{name} ({n})" for name, n in counts[counts == counts.max()].items()]
    return (
        f"{len(counts)} encoders share the highest scores; {listed(leaders, most=MOST_NAMED)} "
        f"{'has' if len(leaders) == 1 else 'have'} most of them. On {clear} of "
        f"{best['task'].nunique()} tasks the best one's interval lies above all others."
    )


def _floored(cells: pd.DataFrame) -> list[str]:
    """Name the tasks that no encoder answers clearly better than a constant does."""
    above = (cells["low"] > cells["floor"]).groupby(cells["task"], sort=False).any()
    tasks = list(above.index[~above])
    if not tasks:
        return []
    return [
        f"No encoder's interval lies above the floor (the best constant answer) on "
        f"{listed(tasks, most=20)}: differences there may be chance."
    ]


def _against(cells: pd.DataFrame, baseline: str) -> str:
    """Say on how many tasks each encoder is above the baseline's interval, or below it."""
    own = cells[cells["encoder"] == baseline].set_index("task")
    counts = {}
    for encoder, group in cells[cells["encoder"] != baseline].groupby("encoder", sort=False):
        lines = group[group["task"].isin(own.index)].set_index("task")
        base = own.loc[lines.index]
        above, below = (lines["low"] > base["high"]).sum(), (lines["high"] < base["low"]).sum()
        counts[str(encoder)] = int(above), int(below)
    if len(counts) > MOST_NAMED:
        said = _in_short(counts)
    else:
        said = "; ".join(f"{e} is above it on {a} and below on {b}" for e, (a, b) in counts.items())
    return (
        f"Against the baseline {baseline}, counting tasks whose intervals do not overlap: {said}."
    )


def _in_short(counts: dict[str, tuple[int, int]]) -> str:
    """Say of many encoders how they fare against the baseline."""
    won = sum(above > below for above, below in counts.values())
    lost = sum(above < below for above, below in counts.values())
    return (
        f"{won} of {len(counts)} encoders are above it on more tasks than below it, {lost} the "
        "other way round"
    )
