"""Which encoder to take when the task is not known: ranks, wins and skill over all tasks."""

import pandas as pd

from vireo.analysis.finding import Finding
from vireo.analysis.normalised import with_skill
from vireo.analysis.scores import cell_scores
from vireo.analysis.table import complete

CAPTION = (
    "`mean_rank`: average over tasks of the place by score (1 is best, ties share the mean "
    "place). `best_on`: tasks where the score is the highest. `clearly_best_on`: of those, tasks "
    "where its interval lies above every other encoder's: stricter than a test of the difference, "
    "so a task that is not counted here may still differ. `mean_skill`: average of (score - floor) "
    "/ (perfect - floor)."
)


def ranking(table: pd.DataFrame) -> Finding:
    """Return one line an encoder, best mean rank first.

    Raises:
        SettingError: the table is incomplete; the message names the missing cells.
    """
    cells = with_skill(cell_scores(complete(table)))
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
    table = lines.reset_index().sort_values(["mean_rank", "encoder"], ignore_index=True)
    return Finding("Ranking", table, CAPTION)


def clearly_best(cells: pd.DataFrame) -> pd.Series:
    """Return for each cell whether its interval lies above those of all others on its task.

    An encoder that is alone on a task beats nobody.
    """
    clear = []
    for line in cells.itertuples():
        others = cells[(cells["task"] == line.task) & (cells["encoder"] != line.encoder)]
        clear.append(len(others) > 0 and bool((others["high"] < line.low).all()))
    return pd.Series(clear, index=cells.index)
