"""What analyses may know beside the table: facts of tasks, similarities, outcomes, whole rows.

Everything here is optional. A table alone (a CSV file, a test) has an empty context, and an
analysis that needs more says so in its verdict, or refuses with a `SettingError`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from vireo.catalog import resolve
from vireo.digest import digest
from vireo.errors import StoreError
from vireo.records import ResultRow, RowKey
from vireo.store.folder import StudyFolder

# the name of a table and no import: the catalogue's checks lead to torch, its facts do not
_CATALOGUE = {"tasks": "vireo.tasks:TASKS"}


@dataclass(frozen=True)
class TaskFacts:
    """What a task's record says that the table of results does not.

    Attributes:
        similar_pretraining: pre-training sets whose images are like this task's.
    """

    similar_pretraining: tuple[str, ...] = ()
    summary: str = ""


@dataclass(frozen=True)
class Context:
    """What lies beside a table of results.

    Attributes:
        tasks: task name to its facts; tasks that nobody describes are not in it.
        similarities: rows of CKA (`vireo.store.similarities`), None where none were computed.
        outcomes: digest of a result row to what happened to each of its test examples; None where
            there is no folder of results.
        row: digest of a result row to the whole row, with its hyper-parameters, further metrics
            and costs; None where there is no folder of results.
    """

    tasks: Mapping[str, TaskFacts] = field(default_factory=dict)
    similarities: pd.DataFrame | None = None
    outcomes: Callable[[str], Mapping[str, np.ndarray]] | None = None
    row: Callable[[str], ResultRow] | None = None


ALONE = Context()
"""The context of a table that came without a folder."""


def read_context(folder: StudyFolder, table: pd.DataFrame, plan: Mapping[str, Any]) -> Context:
    """Return what lies in `folder` beside `table`; nothing is read before it is asked for."""
    outcomes, row = _readers(folder)
    tasks = task_facts(sorted(set(table["task"])), plan.get("tasks", ()))
    return Context(tasks, _similarities(folder), outcomes, row)


def task_facts(names: list[str], planned: Any = ()) -> dict[str, TaskFacts]:
    """Return the facts of the tasks called `names`: as planned, or as in the catalogue.

    Args:
        names: of tasks; those that nobody describes are left out.
        planned: the plan's tasks, as plain values.

    Example:
        >>> task_facts(["caltech-101", "mine"])["caltech-101"].similar_pretraining
        ('imagenet',)
    """
    catalogue = resolve(_CATALOGUE, "tasks", "catalogue")
    facts = {name: _catalogued(catalogue, name) for name in names if name in catalogue}
    for task in planned:
        similar = tuple(task.get("similar_pretraining", ()))
        facts[task["name"]] = TaskFacts(similar, task.get("summary", ""))
    return {name: facts[name] for name in names if name in facts}


def _catalogued(catalogue: Mapping[str, str], name: str) -> TaskFacts:
    task = resolve(catalogue, name, "task")
    return TaskFacts(tuple(task.similar_pretraining), task.summary)


def _similarities(folder: StudyFolder) -> pd.DataFrame | None:
    from vireo.store.similarities import read_similarities

    return read_similarities(folder.root) if folder.similarity.is_dir() else None


def _readers(
    folder: StudyFolder,
) -> tuple[Callable[[str], Mapping[str, np.ndarray]], Callable[[str], ResultRow]]:
    from vireo.store.results import ResultStore

    store = ResultStore(folder.results)

    @cache
    def rows() -> dict[str, ResultRow]:
        return {digest(row.key): row for row in store.rows()}

    def row(name: str) -> ResultRow:
        try:
            return rows()[name]
        except KeyError as error:
            raise StoreError(f"{folder.results} has no row {name}; run the study again.") from error

    def key(name: str) -> RowKey:
        return row(name).key

    return lambda name: store.outcomes(key(name)), row
