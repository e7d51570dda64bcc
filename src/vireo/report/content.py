"""What the page shows, gathered from a study's folder as plain values for the template."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from markupsafe import Markup

from vireo.analysis import Finding
from vireo.analysis.table import Study, consistent, order
from vireo.digest import digest
from vireo.records import ResultRow
from vireo.report.alike import embedded_similarities
from vireo.report.costs import cost_tables
from vireo.report.curves import MEASURES, embedded_curves, read_runs
from vireo.report.galleries import MOST_ENCODERS, class_names, galleries
from vireo.report.heat import correlation_heat
from vireo.report.leaderboard import leaderboard
from vireo.report.provenance import embedded_origins, facts
from vireo.report.questions import answers, find_all
from vireo.report.score_table import by_family, floors, ordered_cells, score_lines
from vireo.report.summary import sentences
from vireo.report.tables import embedded_table
from vireo.report.words import PROTOCOLS, TURNERS, TaskWords, task_words
from vireo.store.folder import StudyFolder
from vireo.store.results import ResultStore


@dataclass(frozen=True)
class _Gathered:
    """What several parts of the page are made from.

    Attributes:
        known: encoder to the facts that the page filters and labels by.
        baseline: name of the encoder that others are compared with; empty if there is none.
        costs: title to table.
    """

    study: Study
    root: Path
    store: ResultStore
    rows: list[ResultRow]
    cells: pd.DataFrame
    words: dict[str, TaskWords]
    known: dict[str, dict[str, Any]]
    baseline: str
    findings: dict[str, Finding | str]
    costs: dict[str, pd.DataFrame]
    curves: list[dict[str, Any]]
    similar: dict[str, Any] | None


def collect(study: Study, root: Path) -> dict[str, Any]:
    """Return the template's variables for `study`, read from the folder `root`.

    Raises:
        SettingError: the table is empty, or mixes protocols.
    """
    consistent(study.table)
    parts = _gathered(study, root)
    return {
        **_heading(parts),
        **_scores(parts),
        **_answered(parts),
        **_plotted(parts),
        **_examples(parts),
        **_told(parts),
        "data": embedded(_scripted(parts)),
    }


def _gathered(study: Study, root: Path) -> _Gathered:
    table, store = study.table, ResultStore(StudyFolder(root).results)
    cells, known = ordered_cells(table), _encoders(table)
    runs = read_runs(root, study.plan)
    return _Gathered(
        study=study,
        root=root,
        store=store,
        rows=_rows(study, store),
        cells=cells,
        words=by_family(task_words(cells)),
        known=known,
        baseline=next((name for name, fact in known.items() if fact["baseline"]), ""),
        findings=find_all(table, study.context),
        costs=cost_tables(table, runs),
        curves=embedded_curves(runs),
        similar=embedded_similarities(study.context.similarities),
    )


def _heading(parts: _Gathered) -> dict[str, Any]:
    study = parts.study
    return {
        "title": study.plan.get("name") or parts.root.resolve().name,
        "summary": study.plan.get("summary", ""),
        "counts": _counts(study.table, study),
        "sentences": sentences(parts.cells, parts.baseline, parts.words),
        "missing": study.missing,
        "errors": study.errors,
    }


def _scores(parts: _Gathered) -> dict[str, Any]:
    """Return the leaderboard, the table of scores, and what filters offer."""
    facts = parts.known.values()
    return {
        "known": parts.known,
        "methods": order([fact["method"] for fact in facts]),
        "sets": order([fact["set"] for fact in facts]),
        "board": leaderboard(parts.cells, parts.baseline),
        "tasks": _tasks(parts.cells, parts.words),
        "families": _families(parts.words),
        "lines": score_lines(parts.cells, parts.words),
    }


def _answered(parts: _Gathered) -> dict[str, Any]:
    return {
        "answers": answers(parts.findings),
        "heat": correlation_heat(parts.findings["correlation"], list(parts.words)),
    }


def _plotted(parts: _Gathered) -> dict[str, Any]:
    measured = {name for curve in parts.curves for name in curve["measures"]}
    return {
        "similar": parts.similar,
        "curves": parts.curves,
        "measures": {name: words for name, words in MEASURES.items() if name in measured},
    }


def _examples(parts: _Gathered) -> dict[str, Any]:
    names = class_names(parts.root)
    return {
        "most_shown": MOST_ENCODERS,
        "galleries": galleries(parts.study.table, parts.store, parts.rows, names),
        "summaries": {name: task.summary for name, task in parts.study.context.tasks.items()},
    }


def _told(parts: _Gathered) -> dict[str, Any]:
    """Return what the last sections tell: costs, methods, where the numbers come from."""
    table, plan = parts.study.table, parts.study.plan
    return {
        "facts": _facts(table),
        "provenance": facts(table, parts.rows),
        "costs": {f"costs-{number}": title for number, title in enumerate(parts.costs)},
        "plan": json.dumps(plan, indent=2, ensure_ascii=False) if plan else "",
    }


def _scripted(parts: _Gathered) -> dict[str, Any]:
    """Return what the page's script reads: points, curves, maps, folded tables, origins."""
    words = parts.words
    return {
        "encoders": [
            {"name": name, **{key: fact[key] for key in ("method", "set", "baseline")}}
            for name, fact in parts.known.items()
        ],
        "tasks": [
            {"name": word.name, "axis": word.axis, "unit": word.unit} for word in words.values()
        ],
        "points": _points(parts.cells, words, list(parts.known)),
        "curves": parts.curves,
        "similarity": parts.similar,
        "tables": _tables(parts.findings, parts.costs),
        "origins": embedded_origins(parts.rows, _names(parts.study.table)),
    }


def embedded(value: Any) -> Markup:
    r"""Return JSON that no HTML parser can leave: `<`, `>` and `&` become `\u003c` and so on.

    Example:
        >>> str(embedded("</script>"))
        '"\\u003c/script\\u003e"'
    """
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    for code, mark in TURNERS.items():
        text = text.replace(f"\\u{code:04x}", f"\\u{ord(mark):04x}")
    return Markup(text)


def _rows(study: Study, store: ResultStore) -> list[ResultRow]:
    """Return the rows of the table, in its order; the study may have read them already."""
    if study.context.row is not None:
        return [study.context.row(name) for name in study.table["digest"]]
    found = {digest(row.key): row for row in store.rows()}
    return [found[name] for name in study.table["digest"]]


def _names(table: pd.DataFrame) -> dict[str, str]:
    return dict(zip(table["digest"], table["encoder"], strict=True))


def _encoders(table: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """Return encoder to the facts that the page filters and labels by."""
    first = table.drop_duplicates("encoder")
    return {
        line["encoder"]: {
            "index": number,
            "method": line["method"],
            "set": line["pretraining_set"],
            "about": f"{line['method']}, {line['pretraining_set']}, {line['architecture']}",
            "baseline": bool(line["baseline"]),
        }
        for number, line in enumerate(first.to_dict("records"))
    }


def _counts(table: pd.DataFrame, study: Study) -> list[tuple[str, str]]:
    """Return the size of the study: numbers and what they count."""
    done = len(table[["encoder", "task"]].drop_duplicates())
    planned = (str(done), f"of {done + len(study.missing)} cells")
    return [
        _counted(table["encoder"].nunique(), "encoder"),
        _counted(table["task"].nunique(), "task"),
        planned if study.missing else _counted(done, "cell", ", all there"),
        _counted(table["seed"].nunique(), "seed", " a cell"),
        (str(table["protocol"].iloc[0]), "protocol"),
    ]


def _counted(count: int, noun: str, more: str = "") -> tuple[str, str]:
    return str(count), f"{noun}{'s' * (count != 1)}{more}"


def _tasks(cells: pd.DataFrame, words: dict[str, TaskWords]) -> list[dict[str, Any]]:
    names = order([word.family for word in words.values()])
    at = floors(cells, words)
    return [
        {"word": word, "family": names.index(word.family), "floor": at[task]}
        for task, word in words.items()
    ]


def _families(words: dict[str, TaskWords]) -> list[dict[str, Any]]:
    names = [word.family for word in words.values()]
    return [{"name": name, "count": names.count(name)} for name in order(names)]


def _points(
    cells: pd.DataFrame, words: dict[str, TaskWords], encoders: Sequence[str]
) -> list[list[list[float] | None]]:
    """Return, task by task and encoder by encoder, score and interval in the shown unit."""
    at = {
        (line["encoder"], line["task"]): [
            float(f"{line[name] * words[line['task']].factor:.6g}")
            for name in ("score", "low", "high")
        ]
        for line in cells.to_dict("records")
    }
    return [[at.get((name, task)) for name in encoders] for task in words]


def _tables(
    findings: Mapping[str, Finding | str], costs: Mapping[str, pd.DataFrame]
) -> dict[str, dict[str, Any]]:
    found = {name: f.table for name, f in findings.items() if isinstance(f, Finding)}
    bills = {f"costs-{number}": frame for number, frame in enumerate(costs.values())}
    return {name: embedded_table(frame) for name, frame in (found | bills).items()}


def _facts(table: pd.DataFrame) -> dict[str, Any]:
    """Facts that the page's paragraph on methods states."""
    return {
        "protocol": str(table["protocol"].iloc[0]),
        "how": PROTOCOLS.get(str(table["protocol"].iloc[0]), ""),
        "level": f"{100 * float(table['level'].iloc[0]):g} %",
        "seeds": int(table["seed"].nunique()),
        "examples": {
            str(task): int(n) for task, n in table.groupby("task", sort=False)["n"].max().items()
        },
    }
