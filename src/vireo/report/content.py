"""What the page shows, gathered from a study's folder as plain values for the template."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup

from vireo.analysis import ANALYSES, Finding, analyse
from vireo.analysis.normalised import with_skill
from vireo.analysis.scores import cell_scores
from vireo.analysis.table import Study, consistent, order
from vireo.digest import digest
from vireo.errors import SettingError, StoreError
from vireo.files import read_json
from vireo.records import ResultRow
from vireo.report.gallery import Gallery, gallery
from vireo.report.summary import sentences
from vireo.report.words import TaskWords, number, task_words
from vireo.store.folder import StudyFolder
from vireo.store.results import ResultStore


def collect(study: Study, root: Path) -> dict[str, Any]:
    """Return the template's variables for `study`, read from the folder `root`.

    Raises:
        SettingError: the table is empty, or mixes protocols.
    """
    table = study.table
    consistent(table)
    cells = ordered_cells(table)
    words = task_words(cells)
    marked = table.loc[table["baseline"], "encoder"].unique()
    baseline = str(marked[0]) if len(marked) else ""
    store = ResultStore(StudyFolder(root).results)
    wanted = set(table["digest"])
    rows = [row for row in store.rows() if digest(row.key) in wanted]
    findings = {name: _finding(name, table) for name in ANALYSES}
    return {
        "title": study.plan.get("name") or root.name,
        "summary": study.plan.get("summary", ""),
        "sentences": sentences(cells, baseline, words),
        "missing": study.missing,
        "errors": study.errors,
        "tasks": list(words.values()),
        "lines": _lines(cells, table, baseline, words),
        "floors": _floors(cells, words),
        "findings": findings,
        "galleries": _galleries(table, store, rows, _class_names(root)),
        "summaries": {task["name"]: task["summary"] for task in study.plan.get("tasks", ())},
        "facts": _facts(table),
        "provenance": _provenance(table, rows),
        "costs": _costs(table),
        "plan": json.dumps(study.plan, indent=2, ensure_ascii=False) if study.plan else "",
        "data": embedded(_plotted(cells, words, baseline, findings["correlation"])),
    }


def ordered_cells(table: pd.DataFrame) -> pd.DataFrame:
    """Return the cells' scores and skill in the table's order of encoders and tasks."""
    cells = with_skill(cell_scores(table))
    for column in ("encoder", "task"):
        cells[column] = pd.Categorical(cells[column], order(list(table[column])))
    cells = cells.sort_values(["encoder", "task"], ignore_index=True)
    return cells.astype({"encoder": str, "task": str})


def embedded(value: Any) -> Markup:
    r"""Return JSON that no HTML parser can leave: `<`, `>` and `&` become `\u003c` and so on.

    Example:
        >>> str(embedded("</script>"))
        '"\\u003c/script\\u003e"'
    """
    text = json.dumps(value, ensure_ascii=True, allow_nan=False)
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)


def _finding(name: str, table: pd.DataFrame) -> Finding | str:
    """Return what an analysis finds, or the sentence that says why it cannot."""
    try:
        return analyse(name, table)
    except SettingError as error:
        return str(error)


def _lines(
    cells: pd.DataFrame, table: pd.DataFrame, baseline: str, words: dict[str, TaskWords]
) -> list[dict[str, Any]]:
    """One line an encoder of the score table."""
    best = cells.groupby("task")["score"].transform("max")
    at = {
        (str(line.encoder), str(line.task)): _shown(line, words, top)
        for line, top in zip(cells.itertuples(), cells["score"] == best, strict=True)
    }
    facts = table.drop_duplicates("encoder").set_index("encoder")
    skill = cells.groupby("encoder")["skill"].mean()
    full = cells.groupby("encoder")["task"].nunique() == len(words)
    return [
        {
            "encoder": encoder,
            "method": facts.loc[encoder, "method"],
            "architecture": facts.loc[encoder, "architecture"],
            "baseline": encoder == baseline,
            "cells": [at.get((encoder, task)) for task in words],
            "skill": float(skill[encoder]) if full[encoder] else None,
        }
        for encoder in order(list(cells["encoder"]))
    ]


def _shown(line: Any, words: dict[str, TaskWords], best: bool) -> dict[str, Any]:
    show = words[str(line.task)].show
    return {
        "score": show(line.score),
        "interval": f"{show(line.low)} to {show(line.high)}",
        "value": float(line.score),
        "skill": round(float(np.clip(np.nan_to_num(line.skill), 0, 1)), 3),
        "best": bool(best),
    }


def _floors(cells: pd.DataFrame, words: dict[str, TaskWords]) -> list[str]:
    floors = cells.groupby("task")["floor"].mean()
    return [words[task].show(float(floors[task])) for task in words]


def _plotted(
    cells: pd.DataFrame, words: dict[str, TaskWords], baseline: str, finding: Finding | str
) -> dict[str, Any]:
    """The numbers that the page's script draws."""
    encoders = order(list(cells["encoder"]))
    points = {
        (line["encoder"], line["task"]): [
            line[name] * words[line["task"]].factor for name in ("score", "low", "high")
        ]
        for line in cells.to_dict("records")
    }
    return {
        "encoders": [{"name": name, "baseline": name == baseline} for name in encoders],
        "tasks": [{"name": word.name, "axis": word.axis} for word in words.values()],
        "points": [[points.get((name, task)) for name in encoders] for task in words],
        "correlation": _matrices(finding, list(words)),
    }


def _matrices(finding: Finding | str, tasks: list[str]) -> dict[str, Any] | None:
    if isinstance(finding, str) or finding.table.empty:
        return None
    both = {}
    for name in ("pearson", "spearman"):
        matrix: list[list[float | None]] = [[1.0 if a == b else None for b in tasks] for a in tasks]
        for line in finding.table.to_dict("records"):
            value = None if np.isnan(line[name]) else round(float(line[name]), 4)
            first, second = tasks.index(line["first"]), tasks.index(line["second"])
            matrix[first][second] = matrix[second][first] = value
        both[name] = matrix
    known = any(value is not None for row in both["pearson"] for value in row if value != 1.0)
    return {**both, "n": int(finding.table["n"].iloc[0])} if known else None


def _class_names(root: Path) -> dict[str, list[str]]:
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


def _galleries(
    table: pd.DataFrame,
    store: ResultStore,
    rows: list[ResultRow],
    names: dict[str, list[str]],
) -> list[Gallery]:
    """One gallery a task, from the rows of the first seed; `names` are those of classes."""
    first = table[table["seed"] == table["seed"].min()]
    cells = dict(
        zip(first["digest"], zip(first["task"], first["encoder"], strict=True), strict=True)
    )
    found: dict[str, dict[str, Any]] = {task: {} for task in order(list(table["task"]))}
    encoders = order(list(table["encoder"]))
    for row in rows:
        cell, arrays = cells.get(digest(row.key)), store.gallery(row.key)
        if cell is not None and arrays is not None:
            found[cell[0]][cell[1]] = arrays
    ranked = {
        task: dict(sorted(answers.items(), key=lambda item: encoders.index(item[0])))
        for task, answers in found.items()
    }
    drawn = [gallery(task, answers, names.get(task, ())) for task, answers in ranked.items()]
    return [one for one in drawn if one is not None]


def _facts(table: pd.DataFrame) -> dict[str, Any]:
    """Facts that the page's paragraph on methods states."""
    return {
        "protocol": str(table["protocol"].iloc[0]),
        "level": f"{100 * float(table['level'].iloc[0]):g} %",
        "seeds": int(table["seed"].nunique()),
        "examples": {
            str(task): int(n) for task, n in table.groupby("task", sort=False)["n"].max().items()
        },
    }


def _provenance(table: pd.DataFrame, rows: list[ResultRow]) -> list[tuple[str, str]]:
    libraries = order([f"{k} {v}" for row in rows for k, v in sorted(row.versions.items())])
    devices = order([f"{row.cost.device}, {row.cost.threads} threads" for row in rows])
    times = sorted(row.time for row in rows)
    peak = max(row.cost.peak_memory_bytes for row in rows) / 2**30
    return [
        ("versions", ", ".join(libraries)),
        ("computed on", "; ".join(devices)),
        ("computed from", f"{times[0]} to {times[-1]} (UTC)"),
        ("rows", str(len(rows))),
        ("time of all probes", f"{table['seconds'].sum():.0f} s"),
        ("peak memory", f"{peak:.1f} GiB"),
    ]


def _costs(table: pd.DataFrame) -> dict[str, list[str]]:
    """Seconds of each encoder on each task, all seeds."""
    seconds = table.pivot_table(
        index="encoder", columns="task", values="seconds", aggfunc="sum", sort=False
    )
    return {
        str(encoder): [number(float(value), 1) for value in line]
        for encoder, line in zip(seconds.index, seconds.to_numpy(), strict=True)
    }
