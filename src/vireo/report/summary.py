"""The first sentences of a report: who wins where, and how sure that is."""

import pandas as pd

from vireo.analysis.normalised import with_skill
from vireo.analysis.ranking import clearly_best
from vireo.report.words import TaskWords, listed


def sentences(cells: pd.DataFrame, baseline: str, words: dict[str, TaskWords]) -> list[str]:
    """Return a few sentences about a table of cells (from `analysis.scores.cell_scores`)."""
    cells = with_skill(cells)
    encoders, seeds = cells["encoder"].nunique(), int(cells["seeds"].max())
    each = "one seed each" if seeds == 1 else f"{seeds} seeds each"
    first = f"{encoders} encoder{'s' * (encoders != 1)} on {len(words)} tasks, {each}."
    if encoders < 2:
        return [first]
    found = [first, _winners(cells)]
    if baseline in set(cells["encoder"]):
        found.append(_against(cells, baseline))
    return [*found, *_floored(cells)]


def _winners(cells: pd.DataFrame) -> str:
    """Say for each encoder on which tasks it scores highest."""
    clear = clearly_best(cells)
    best = cells[cells["score"] == cells.groupby("task")["score"].transform("max")]
    tied = best["task"].duplicated(keep=False)
    marks = pd.Series("", best.index).mask(clear, "*").mask(tied, " (tied)")
    parts = []
    for encoder, group in best.groupby("encoder", sort=False):
        tasks = list(group["task"] + marks[group.index])
        parts.append(f"{encoder} scores highest on {listed(tasks, most=20)}")
    star = " (* its interval lies above all others)" if clear.loc[best.index].any() else ""
    return f"{'; '.join(parts)}{star}."


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
    parts = []
    for encoder, group in cells[cells["encoder"] != baseline].groupby("encoder", sort=False):
        lines = group[group["task"].isin(own.index)].set_index("task")
        base = own.loc[lines.index]
        above, below = (lines["low"] > base["high"]).sum(), (lines["high"] < base["low"]).sum()
        parts.append(f"{encoder} is above it on {above} and below on {below}")
    return (
        f"Against the baseline {baseline}, counting tasks whose intervals do not overlap: "
        f"{'; '.join(parts)}."
    )
