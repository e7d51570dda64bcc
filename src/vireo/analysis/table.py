"""The tidy table that analyses read: one line a result row, of one plan, complete.

Columns are those of `vireo.store.read_table`; `read_study` adds two facts of the plan that analyses
need: `baseline` (whether this encoder is the one others are compared with) and `level` (coverage of
the intervals).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import pandas as pd

from vireo.errors import SettingError, StoreError
from vireo.files import read_json
from vireo.store.folder import StudyFolder

NEEDED = (
    *("encoder", "method", "architecture", "task", "family", "metric", "unit"),
    *("protocol", "scoring", "seed", "score", "raw", "low", "high", "n", "floor"),
)
DEFAULT_LEVEL = 0.95
_SHOWN = 12


@dataclass(frozen=True)
class Study:
    """A study as read back from its folder.

    Attributes:
        table: the rows of the plan, with `baseline` and `level`.
        missing: "encoder x task" of cells that the plan has and the table has not.
        plan: the plan as plain values; empty where the folder holds rows without a plan.
        errors: cell name to the last line of why it failed.
    """

    table: pd.DataFrame
    missing: tuple[str, ...] = ()
    plan: dict[str, Any] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)


def read_study(root: Path) -> Study:
    """Read a study's folder, or any folder with `results` in it.

    Only rows of the current plan are kept, in the plan's order of encoders and tasks: a folder
    keeps rows of earlier plans, for they may be wanted again.

    Raises:
        StoreError: no results there, or a file that is not ours.
    """
    from vireo.store.results import read_table

    folder = StudyFolder(root)
    if not folder.results.is_dir():
        raise StoreError(f"{root} holds no results; run a study or a probe with --out {root}.")
    table = read_table(folder.results)
    if not folder.cells.is_file():
        return Study(table=with_facts(table))
    cells, plan = read_json(folder.cells), read_json(folder.plan)
    try:
        return _planned(table, cells, plan, _errors(folder))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise StoreError(
            f"{folder.cells} and {folder.plan} are not as a study leaves them; run it again."
        ) from error


def _planned(
    table: pd.DataFrame,
    cells: Sequence[dict[str, Any]],
    plan: dict[str, Any],
    errors: dict[str, str],
) -> Study:
    """Return the study whose plan and index are given."""
    table = _of_plan(table, cells)
    present = set(table["digest"])
    missing = tuple(
        f"{cell['encoder']} x {cell['task']}"
        for cell in cells
        if not cell["rows"] or not present.issuperset(cell["rows"])
    )
    return Study(
        table=with_facts(table, plan.get("baseline", ""), float(plan["probe"]["level"])),
        missing=missing,
        plan=plan,
        errors=errors,
    )


def with_facts(
    table: pd.DataFrame, baseline: str = "", level: float = DEFAULT_LEVEL
) -> pd.DataFrame:
    """Return a copy of `table` with the columns `baseline` and `level`.

    Without a named baseline, the encoder with random weights is taken if there is exactly one.
    """
    if not baseline:
        random = table.loc[table["method"] == "random", "encoder"].unique()
        baseline = random[0] if len(random) == 1 else ""
    return table.assign(baseline=table["encoder"] == baseline, level=level)


def complete(table: pd.DataFrame) -> pd.DataFrame:
    """Return `table` sorted by encoder, task and seed, if every encoder has every task and seed.

    Raises:
        SettingError: a column, cell or seed is missing (named), a cell is there twice, or rows of
            different protocols or scorings are mixed.
    """
    consistent(table)
    _check_filled(table)
    return table.sort_values(["encoder", "task", "seed"], ignore_index=True)


def consistent(table: pd.DataFrame) -> None:
    """Check that the rows of `table` can be compared; cells may be missing.

    Raises:
        SettingError: a missing column, no row, mixed protocols, or a cell that is there twice.
    """
    lacking = [column for column in NEEDED if column not in table.columns]
    if lacking:
        raise SettingError(
            f"A table of results needs the columns {', '.join(lacking)}; "
            "read it with vireo.store.read_table."
        )
    if table.empty:
        raise SettingError("The table has no rows yet; run the study first.")
    for column in ("protocol", "scoring"):
        found = sorted(table[column].unique())
        if len(found) > 1:
            raise SettingError(
                f"Rows of one {column} can be compared; got {', '.join(found)}. "
                f"Keep one, for example table[table.{column} == '{found[0]}']."
            )
    twice = table[table.duplicated(["encoder", "task", "seed"])]
    if len(twice):
        raise SettingError(
            f"One row a cell and seed is needed; twice there: {_listed(_names(twice))}. "
            "Name the two encoders apart, or keep the rows of one plan."
        )


def order(values: Sequence[str]) -> list[str]:
    """Return the distinct `values` in order of first appearance."""
    return list(dict.fromkeys(values))


def _check_filled(table: pd.DataFrame) -> None:
    have = set(zip(table["encoder"], table["task"], table["seed"], strict=True))
    encoders, tasks = sorted(set(table["encoder"])), sorted(set(table["task"]))
    cells = {(encoder, task) for encoder, task, _ in have}
    lost = [f"{e} x {t}" for e, t in product(encoders, tasks) if (e, t) not in cells]
    for (encoder, task), seed in product(sorted(cells), sorted(set(table["seed"]))):
        if (encoder, task, seed) not in have:
            lost.append(f"{encoder} x {task} (seed {seed})")
    if lost:
        raise SettingError(
            f"Every encoder needs every task and seed; missing: {_listed(lost)}. "
            "Run the study again to fill them, or leave that encoder or task out."
        )


def _of_plan(table: pd.DataFrame, cells: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """Keep the plan's rows in its order; cells name encoders as the plan does now."""
    lines = [
        {"digest": digest, "place": place, "encoder": cell["encoder"]}
        for place, cell in enumerate(cells)
        for digest in cell["rows"]
    ]
    wanted = pd.DataFrame(lines, columns=["digest", "place", "encoder"])
    kept = wanted.merge(table.drop(columns="encoder"), on="digest")
    ordered = kept.sort_values(["place", "seed"], ignore_index=True)
    return ordered[table.columns]


def _errors(folder: StudyFolder) -> dict[str, str]:
    if not folder.errors.is_dir():
        return {}
    files = sorted(folder.errors.glob("*.txt"))
    return {file.stem: file.read_text(encoding="utf-8").strip().splitlines()[0] for file in files}


def _names(table: pd.DataFrame) -> list[str]:
    return sorted({f"{e} x {t}" for e, t in zip(table["encoder"], table["task"], strict=True)})


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
