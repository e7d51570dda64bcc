"""The tidy table that analyses read: one line a result row, of one plan.

Columns are those of `vireo.store.read_table`; `read_study` adds two facts of the plan that analyses
need: `baseline` (whether this encoder is the one others are compared with) and `level` (coverage of
the intervals).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path
from typing import Any

import pandas as pd

from vireo.analysis.context import ALONE, Context, read_context
from vireo.analysis.words import listed
from vireo.errors import SettingError, StoreError
from vireo.files import read_json
from vireo.store.folder import StudyFolder

RECIPE = ("method", "pretraining_set", "images", "epochs", "balance", "architecture", "recipe")
"""What tells two encoders apart but for the seed of their pre-training."""
NEEDED = (
    *("encoder", *RECIPE, "task", "family", "metric", "unit"),
    *("protocol", "scoring", "seed", "score", "raw", "low", "high", "n", "floor"),
)
DEFAULT_LEVEL = 0.95


@dataclass(frozen=True)
class Study:
    """A study as read back from its folder.

    Attributes:
        table: the rows of the plan, with `baseline` and `level`.
        missing: "encoder x task" of cells that the plan has and the table has not.
        plan: the plan as plain values; empty where the folder holds rows without a plan.
        errors: cell name to the last line of why it failed.
        context: what lies beside the table.
    """

    table: pd.DataFrame
    missing: tuple[str, ...] = ()
    plan: dict[str, Any] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    context: Context = ALONE


def read_study(root: Path, *, protocol: str = "") -> Study:
    """Read a study's folder, or any folder with `results` in it.

    Only rows of the current plan are kept, in the plan's order of encoders and tasks: a folder
    keeps rows of earlier plans, for they may be wanted again.

    Args:
        root: the folder.
        protocol: whose rows are kept; all if empty.

    Raises:
        StoreError: no results there, or a file that is not ours.
        SettingError: no row of the protocol.
    """
    study = _read(root)
    return _of_protocol(study, protocol) if protocol else study


def _read(root: Path) -> Study:
    """Return the study of a folder with all its protocols."""
    from vireo.store.results import read_table

    folder = StudyFolder(root)
    if not folder.results.is_dir():
        raise StoreError(f"{root} holds no results; run a study or a probe with --out {root}.")
    table = read_table(folder.results)
    if not folder.cells.is_file():
        return Study(table=with_facts(table), context=read_context(folder, table, {}))
    cells, plan = read_json(folder.cells), read_json(folder.plan)
    try:
        study = _planned(table, cells, plan, _errors(folder))
        return replace(study, context=read_context(folder, study.table, plan))
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


def present(table: pd.DataFrame) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Return `table` sorted by encoder, task and seed, and a note that names what it lacks.

    Raises:
        SettingError: a column is missing, a cell is there twice, or rows of different protocols or
            scorings are mixed. A missing cell is no error.
    """
    consistent(table)
    lost = _lost(table)
    notes = (f"Not there, and so left out: {listed(lost)}.",) if lost else ()
    return table.sort_values(["encoder", "task", "seed"], ignore_index=True), notes


def level_of(table: pd.DataFrame) -> float:
    """Return the coverage of the table's intervals."""
    return float(table["level"].iloc[0]) if "level" in table.columns else DEFAULT_LEVEL


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
    for column, option in (("protocol", "--protocol {0}, or "), ("scoring", "")):
        found = sorted(table[column].unique())
        if len(found) > 1:
            raise SettingError(
                f"Rows of one {column} can be compared; got {', '.join(found)}. "
                f"Keep one, for example {option.format(found[0])}"
                f"table[table.{column} == '{found[0]}'], or give each a folder of its own."
            )
    twice = table[table.duplicated(["encoder", "task", "seed"])]
    if len(twice):
        raise SettingError(
            f"One row a cell and seed is needed; twice there: {listed(_names(twice))}. "
            "Name the two encoders apart, or keep the rows of one plan."
        )


def order(values: Sequence[str]) -> list[str]:
    """Return the distinct `values` in order of first appearance."""
    return list(dict.fromkeys(values))


def _lost(table: pd.DataFrame) -> list[str]:
    """Return the names of the cells and seeds that an encoder lacks and others have."""
    have = set(zip(table["encoder"], table["task"], table["seed"], strict=True))
    encoders, tasks = sorted(set(table["encoder"])), sorted(set(table["task"]))
    cells = {(encoder, task) for encoder, task, _ in have}
    lost = [f"{e} x {t}" for e, t in product(encoders, tasks) if (e, t) not in cells]
    for (encoder, task), seed in product(sorted(cells), sorted(set(table["seed"]))):
        if (encoder, task, seed) not in have:
            lost.append(f"{encoder} x {task} (seed {seed})")
    return lost


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


def _of_protocol(study: Study, protocol: str) -> Study:
    """Keep the rows of one protocol; a study without rows stays one."""
    kept = study.table[study.table["protocol"] == protocol]
    if kept.empty and len(study.table):
        whose = "of the folder's plan" if study.plan else "there"
        raise SettingError(
            f"No row {whose} is of the protocol '{protocol}'; "
            f"choose from: {', '.join(sorted(study.table['protocol'].unique()))}."
        )
    return replace(study, table=kept.reset_index(drop=True))


def _errors(folder: StudyFolder) -> dict[str, str]:
    if not folder.errors.is_dir():
        return {}
    files = sorted(folder.errors.glob("*.txt"))
    return {file.stem: file.read_text(encoding="utf-8").strip().splitlines()[0] for file in files}


def _names(table: pd.DataFrame) -> list[str]:
    return sorted({f"{e} x {t}" for e, t in zip(table["encoder"], table["task"], strict=True)})
