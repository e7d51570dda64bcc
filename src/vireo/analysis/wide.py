"""Encoders by tasks: mean scores as a matrix, and the largest part of it that has no hole."""

import numpy as np
import pandas as pd

from vireo.analysis.table import present
from vireo.analysis.words import numbered
from vireo.errors import SettingError

_EQUAL = 1e-12
"""Scores that differ by no more than this share are equal but for rounding."""


def wide_scores(table: pd.DataFrame) -> pd.DataFrame:
    """Return encoders x tasks, both in alphabetical order: the mean over seeds, NaN for no row.

    Raises:
        SettingError: the rows cannot be compared.
    """
    rows, _ = present(table)
    return rows.pivot_table(index="encoder", columns="task", values="score", aggfunc="mean")


def families(table: pd.DataFrame) -> dict[str, str]:
    """Return task to family."""
    return dict(zip(table["task"], table["family"], strict=True))


def full_part(
    wide: pd.DataFrame, encoders: int = 2, tasks: int = 1
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Return a part of the matrix without holes, and a sentence for each line that it cost.

    The encoder or task with the largest share of holes goes first, until none is left.

    Args:
        wide: encoders x tasks.
        encoders: how many must remain.
        tasks: how many must remain.

    Raises:
        SettingError: fewer remain.

    Example:
        >>> wide = pd.DataFrame({"a": [1.0, 2.0, 3.0], "b": [1.0, None, 3.0]}, index=list("xyz"))
        >>> part, notes = full_part(wide)
        >>> list(part.index), notes
        (['x', 'z'], ('Left out y: no score on b.',))
    """
    part, notes = wide, []
    while (holes := part.isna().to_numpy()).any():
        of_encoders, of_tasks = holes.mean(1), holes.mean(0)
        if of_encoders.max() >= of_tasks.max():
            place = int(of_encoders.argmax())
            lacking = f"{part.index[place]}: no score on {', '.join(part.columns[holes[place]])}"
            part = part.drop(index=part.index[place])
        else:
            place = int(of_tasks.argmax())
            lacking = f"{part.columns[place]}: no score of {', '.join(part.index[holes[:, place]])}"
            part = part.drop(columns=part.columns[place])
        notes.append(f"Left out {lacking}.")
    if len(part) < encoders or len(part.columns) < tasks:
        raise SettingError(
            f"At least {numbered(encoders, 'encoder')} with scores on the same "
            f"{numbered(tasks, 'task')} are needed; {numbered(len(part), 'encoder')} and "
            f"{numbered(len(part.columns), 'task')} have no missing cell. "
            + ("Run the study again to fill it." if notes else "Add some to the study.")
        )
    return part, tuple(notes)


def spreads(wide: pd.DataFrame) -> pd.Series:
    """Return each task's standard deviation over encoders; 0 where all are equal, or one.

    Of equal scores the mean may be off in its last digit, and their deviation then 1e-17: scores
    over that would be 1e16 deviations apart.

    Example:
        >>> spreads(pd.DataFrame({"a": [1.0, 3.0], "b": [17 / 72, 17 / 72]})).round(3).tolist()
        [1.414, 0.0]
    """
    differ = wide.max() - wide.min() > _EQUAL * wide.abs().max()
    return wide.std(ddof=1).where(differ, 0.0)


def standardised(wide: pd.DataFrame) -> pd.DataFrame:
    """Return scores minus their task's mean, over its standard deviation; 0 where all are equal.

    Example:
        >>> standardised(pd.DataFrame({"a": [1.0, 2.0, 3.0], "b": [5.0, 5.0, 5.0]})).to_numpy()
        array([[-1.,  0.],
               [ 0.,  0.],
               [ 1.,  0.]])
    """
    spread = spreads(wide)
    return (wide - wide.mean()) / spread.where(spread > 0, np.inf)
