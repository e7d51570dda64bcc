"""Which predictions the page shows: of each task the baseline's, the best and the worst.

Thirty encoders' pictures on twenty tasks would be a page of a hundred megabytes.
"""

from pathlib import Path
from typing import Any

import pandas as pd

from vireo.analysis.table import order
from vireo.digest import digest
from vireo.errors import StoreError
from vireo.files import read_json
from vireo.records import ResultRow
from vireo.report.gallery import Gallery, gallery
from vireo.store.folder import StudyFolder
from vireo.store.results import ResultStore

MOST_ENCODERS = 6


def class_names(root: Path) -> dict[str, list[str]]:
    """Return task to class names; empty where the folder has none.

    Raises:
        StoreError: a file of another kind.
    """
    path = StudyFolder(root).classes
    names = read_json(path) if path.is_file() else {}
    lists = names.values() if isinstance(names, dict) else [names]
    if not all(isinstance(some, list) and all(isinstance(n, str) for n in some) for some in lists):
        raise StoreError(f"{path} does not name classes; delete it, the next run writes it again.")
    return dict(names)


def galleries(
    table: pd.DataFrame,
    store: ResultStore,
    rows: list[ResultRow],
    names: dict[str, list[str]],
) -> list[Gallery]:
    """One gallery a task, from the rows of the first seed; `names` are those of classes."""
    first = table[table["seed"] == table["seed"].min()]
    keys = {digest(row.key): row.key for row in rows}
    drawn = []
    for task in order(list(table["task"])):
        lines = first[first["task"] == task].set_index("encoder")
        answers: dict[str, dict[str, Any]] = {}
        for encoder in shown_encoders(lines):
            arrays = store.gallery(keys[lines.loc[encoder, "digest"]])
            if arrays is not None:
                answers[encoder] = arrays
        drawn.append(gallery(task, answers, names.get(task, ())))
    return [one for one in drawn if one is not None]


def shown_encoders(lines: pd.DataFrame, most: int = MOST_ENCODERS) -> list[str]:
    """Return at most `most` encoders in the order of `lines` (one line an encoder of one task).

    Where there are more: the baseline, the worst, and the best.
    """
    ranked = list(lines["score"].sort_values(ascending=False, kind="stable").index)
    marked = list(lines.index[lines["baseline"]])
    chosen = order([*marked, ranked[-1], *ranked])[:most]
    return [name for name in lines.index if name in chosen]
