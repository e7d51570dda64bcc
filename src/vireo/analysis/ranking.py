"""Which encoder to take when the task is not known: ranks, wins and skill over all tasks."""

import numpy as np
import pandas as pd

from vireo.analysis.context import ALONE, Context
from vireo.analysis.finding import Figure, Finding
from vireo.analysis.normalised import with_skill
from vireo.analysis.rank_tests import Friedman, cliques, critical_difference, friedman
from vireo.analysis.scores import cell_scores
from vireo.analysis.table import level_of
from vireo.analysis.wide import full_part, wide_scores
from vireo.analysis.words import numbered, p_words

CAPTION = (
    "`mean_rank`: average over tasks of the place by score (1 is best, ties share the mean "
    "place). `best_on`: tasks where the score is the highest. `clearly_best_on`: of those, tasks "
    "where its interval lies above every other encoder's: stricter than a test of the difference, "
    "so a task that is not counted here may still differ. `mean_skill`: average of (score - floor) "
    "/ (perfect - floor). `like_best`: its mean rank is within the critical difference of the "
    "best one's (Nemenyi's, for all pairs; Demsar 2006). The unit of these tests is the task: they "
    "speak of other tasks like these, not of another pre-training run, and a critical difference "
    "depends on who else is compared."
)


def ranking(table: pd.DataFrame, context: Context = ALONE) -> Finding:
    """Return one line an encoder, best mean rank first.

    Args:
        table: where cells are missing, the largest part without holes is ranked.
        context: is not asked.

    Raises:
        SettingError: fewer than two encoders have scores on the same tasks.
    """
    wide, notes = full_part(wide_scores(table))
    kept = table["encoder"].isin(wide.index) & table["task"].isin(wide.columns)
    cells = with_skill(cell_scores(table[kept].sort_values(["encoder", "task", "seed"])))
    ranked = cells.assign(
        rank=cells.groupby("task")["score"].rank(ascending=False),
        best=cells["score"] == cells.groupby("task")["score"].transform("max"),
        clear=clearly_best(cells),
    )
    lines = ranked.groupby("encoder").agg(
        mean_rank=("rank", "mean"),
        best_on=("best", "sum"),
        clearly_best_on=("clear", "sum"),
        mean_skill=("skill", "mean"),
        tasks=("task", "nunique"),
    )
    lines = lines.reset_index().sort_values(["mean_rank", "encoder"], ignore_index=True)
    level, (encoders, tasks) = level_of(table), wide.shape
    difference = critical_difference(encoders, tasks, level)
    lines["like_best"] = lines["mean_rank"] < lines["mean_rank"].min() + difference
    verdict = _verdict(lines, wide, difference, level)
    return Finding("Ranking", lines, CAPTION, verdict, (_figure(lines, difference),), notes)


def clearly_best(cells: pd.DataFrame) -> pd.Series:
    """Return for each cell whether its interval lies above those of all others on its task.

    An encoder that is alone on a task beats nobody.
    """
    clear = np.zeros(len(cells), dtype=bool)
    for places in cells.groupby("task").indices.values():
        if len(places) > 1:
            low, high = (cells[side].to_numpy()[places] for side in ("low", "high"))
            winner = int(np.argmax(low))
            clear[places[winner]] = (np.delete(high, winner) < low[winner]).all()
    return pd.Series(clear, index=cells.index)


def _verdict(lines: pd.DataFrame, wide: pd.DataFrame, difference: float, level: float) -> str:
    encoders, tasks = wide.shape
    best = lines.iloc[0]
    over = f"Over {numbered(tasks, 'task')} {best.encoder} has the best mean rank, "
    over += f"{best.mean_rank:.2f} of {encoders} encoders"
    if tasks < 2:
        return f"{over}; one task is no sample of tasks, so no test can be made."
    test = friedman(wide.rank(axis=0, ascending=False).to_numpy().T)
    apart = int((~lines["like_best"]).sum())
    return (
        f"{over}; {_said(test, level)}; {apart} of the other {encoders - 1} "
        f"{'is' if apart == 1 else 'are'} worse by more than the critical difference of "
        f"{difference:.2f} (Nemenyi, level {level:g})."
    )


def _said(test: Friedman, level: float) -> str:
    """Say whether ranks differ at all."""
    if test.smallest >= 1 - level:
        return (
            "so few tasks cannot tell whether ranks differ beyond chance (the smallest possible p "
            f"is {test.smallest:.2g})"
        )
    statistic = f"Friedman's test as F({test.freedom[0]}, {test.freedom[1]}) = {test.F:.3g}"
    if test.few:
        statistic = f"Friedman's chi2 = {test.chi2:.3g}, ranks exchanged within tasks"
    said = "ranks differ more than by chance"
    said = said if test.p < 1 - level else "no evidence that ranks differ beyond chance"
    return f"{said} ({statistic}, {p_words(test.p)})"


def _figure(lines: pd.DataFrame, difference: float) -> Figure:
    """Return the critical-difference diagram; bars have the numbers of their cliques."""
    groups = cliques(lines["mean_rank"].to_numpy(), difference)
    member = [
        " ".join(str(number) for number, group in enumerate(groups) if place in group)
        for place in range(len(lines))
    ]
    data = pd.DataFrame(
        {
            "label": lines["encoder"],
            "rank": lines["mean_rank"],
            "cliques": member,
            "difference": difference,
        }
    )
    title = "Average ranks; encoders that a bar joins are not told apart"
    return Figure(kind="critical-difference", title=title, x="mean rank", y="", data=data)
