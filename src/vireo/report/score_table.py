"""The table of all scores: a line an encoder, a column a task, tasks of a family side by side."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from vireo.analysis.normalised import with_skill
from vireo.analysis.scores import cell_scores
from vireo.analysis.table import order
from vireo.report.words import FAMILIES, TaskWords


@dataclass(frozen=True)
class Cell:
    """One score as texts, its value for sorting, and its skill between 0 and 1 for the colour."""

    score: str
    interval: str
    value: float
    skill: float
    best: bool


@dataclass(frozen=True)
class Line:
    """One encoder: a cell a task, None where it is missing; mean skill if none is."""

    encoder: str
    cells: tuple[Cell | None, ...]
    skill: float | None


def ordered_cells(table: pd.DataFrame) -> pd.DataFrame:
    """Return the cells' scores and skill in the table's order of encoders and tasks."""
    cells = with_skill(cell_scores(table))
    for column in ("encoder", "task"):
        cells[column] = pd.Categorical(cells[column], order(list(table[column])))
    cells = cells.sort_values(["encoder", "task"], ignore_index=True)
    return cells.astype({"encoder": str, "task": str})


def by_family(words: dict[str, TaskWords]) -> dict[str, TaskWords]:
    """Return the tasks with those of a family together, families in the study's order."""
    known = [*FAMILIES.values(), *order([word.family for word in words.values()])]
    return dict(sorted(words.items(), key=lambda item: known.index(item[1].family)))


def score_lines(cells: pd.DataFrame, words: dict[str, TaskWords]) -> list[Line]:
    """Return one line an encoder of a table of cells; columns are in the order of `words`."""
    best = cells.groupby("task")["score"].transform("max")
    at = {
        (str(line.encoder), str(line.task)): _shown(line, words[str(line.task)], best=bool(top))
        for line, top in zip(cells.itertuples(), cells["score"] == best, strict=True)
    }
    skill = cells.groupby("encoder")["skill"].mean()
    full = cells.groupby("encoder")["task"].nunique() == len(words)
    return [
        Line(
            encoder=encoder,
            cells=tuple(at.get((encoder, task)) for task in words),
            skill=float(skill[encoder]) if full[encoder] else None,
        )
        for encoder in order(list(cells["encoder"]))
    ]


def floors(cells: pd.DataFrame, words: dict[str, TaskWords]) -> dict[str, str]:
    """Return task to what the best constant answer scores there."""
    means = cells.groupby("task")["floor"].mean()
    return {task: word.show(float(means[task])) for task, word in words.items()}


def _shown(line: Any, word: TaskWords, *, best: bool) -> Cell:
    return Cell(
        score=word.show(line.score),
        interval=f"{word.show(line.low)} to {word.show(line.high)}",
        value=float(line.score),
        skill=round(float(np.clip(np.nan_to_num(line.skill), 0, 1)), 3),
        best=best,
    )
