r"""Scores made comparable across tasks: relative to a baseline encoder, and as skill.

With $s$ the score, $b$ the baseline encoder's, $f$ the floor (best constant answer) and $p$ the
score of a perfect answer (1 for a share, 0 for a negated error):

- relative $= s / b$ where scores are positive, $b / s$ where they are negated errors, so that 2
  means twice the share right, or half the error. Above 1 is better than the baseline in both.
- skill $= (s - f) / (p - f)$: 0 knows nothing, 1 is perfect, negative is worse than a constant
  (the skill score of forecast verification, Murphy 1988). It can be averaged over tasks; a ratio
  of errors with a ratio of shares cannot.
"""

import numpy as np
import pandas as pd

from vireo.analysis.context import ALONE, Context
from vireo.analysis.finding import Figure, Finding
from vireo.analysis.scores import cell_scores
from vireo.analysis.table import present
from vireo.errors import SettingError

CAPTION = (
    "`relative`: score over the baseline's ({baseline}); for negated errors the baseline's error "
    "over this one's, so above 1 is better everywhere. Empty where a score is zero or the signs "
    "differ. `gain`: score minus the floor, in the task's unit. `skill`: gain over the gain of a "
    "perfect answer; 0 knows nothing, 1 is perfect. A ratio flatters tasks with a low baseline; "
    "compare tasks by skill."
)


def normalised(table: pd.DataFrame, context: Context = ALONE) -> Finding:
    """Return one line a cell: relative to the baseline, gain over the floor, and skill.

    Args:
        table: with the column `baseline`; `read_study` and `with_facts` add it. Cells may be
            missing; `relative` is empty on a task that the baseline lacks.
        context: is not asked.

    Raises:
        SettingError: no baseline in the table.
    """
    table, notes = present(table)
    marked = table["baseline"] if "baseline" in table.columns else pd.Series(False, table.index)
    names = table.loc[marked.to_numpy(dtype=bool), "encoder"].unique()
    if len(names) != 1:
        raise SettingError(
            "Normalised scores need one baseline encoder; "
            f'got {", ".join(names) or "none"}. Name it in the plan: baseline = "...".'
        )
    cells = with_skill(cell_scores(table))
    base = cells[cells["encoder"] == names[0]].set_index("task")["score"]
    cells["relative"] = ratio(cells["score"], cells["task"].map(base))
    columns = ["encoder", "task", "score", "relative", "gain", "skill"]
    caption = CAPTION.format(baseline=names[0])
    return Finding(
        "Normalised scores", cells[columns], caption, figures=_figures(cells), notes=notes
    )


def _figures(cells: pd.DataFrame) -> tuple[Figure, ...]:
    shown = cells.rename(columns={"encoder": "row", "task": "column", "skill": "value"})
    ordered = shown.sort_values(["family", "column", "row"], kind="stable", ignore_index=True)
    figure = Figure(
        kind="heatmap",
        title="Skill: 0 knows nothing, 1 is perfect",
        x="task",
        y="encoder",
        value="skill",
        data=ordered[["row", "column", "value"]],
        limits=(0.0, 1.0),
    )
    return (figure,)


def with_skill(cells: pd.DataFrame) -> pd.DataFrame:
    """Return `cells` with the columns `gain` and `skill`."""
    perfect = (cells["unit"] == "share").astype(float)
    room = (perfect - cells["floor"]).where(lambda room: room > 0)
    gain = cells["score"] - cells["floor"]
    return cells.assign(gain=gain, skill=gain / room)


def ratio(score: pd.Series, base: pd.Series) -> pd.Series:
    """Return how many times better `score` is than `base`; NaN where a ratio means nothing."""
    positive, negative = (score > 0) & (base > 0), (score < 0) & (base < 0)
    upper = score.where(positive, base.where(negative))
    lower = base.where(positive, score.where(negative))
    return (upper / lower).astype(np.float64)
