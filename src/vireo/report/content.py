"""What the page shows, gathered from a study's folder as plain values for the template."""

import json
from collections.abc import Mapping, Sequence
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


def collect(study: Study, root: Path) -> dict[str, Any]:
    """Return the template's variables for `study`, read from the folder `root`.

    Raises:
        SettingError: the table is empty, or mixes protocols.
    """
    table = study.table
    consistent(table)
    cells = ordered_cells(table)
    words = by_family(task_words(cells))
    known = _encoders(table)
    store = ResultStore(StudyFolder(root).results)
    rows = _rows(study, store)
    findings = find_all(table, study.context)
    runs = read_runs(root, study.plan)
    costs = cost_tables(table, runs)
    similar = embedded_similarities(study.context.similarities)
    curves = embedded_curves(runs)
    baseline = next((name for name, fact in known.items() if fact["baseline"]), "")
    return {
        "title": study.plan.get("name") or root.name,
        "summary": study.plan.get("summary", ""),
        "counts": _counts(table, study),
        "sentences": sentences(cells, baseline, words),
        "missing": study.missing,
        "errors": study.errors,
        "known": known,
        "methods": order([fact["method"] for fact in known.values()]),
        "sets": order([fact["set"] for fact in known.values()]),
        "board": leaderboard(cells, baseline),
        "tasks": _tasks(cells, words),
        "families": _families(words),
        "lines": score_lines(cells, words),
        "answers": answers(findings),
        "heat": correlation_heat(findings["correlation"], list(words)),
        "similar": similar,
        "curves": curves,
        "measures": {
            name: words
            for name, words in MEASURES.items()
            if any(name in c["measures"] for c in curves)
        },
        "most_shown": MOST_ENCODERS,
        "galleries": galleries(table, store, rows, class_names(root)),
        "summaries": {name: fact.summary for name, fact in study.context.tasks.items()},
        "facts": _facts(table),
        "provenance": facts(table, rows),
        "costs": {f"costs-{number}": title for number, title in enumerate(costs)},
        "plan": json.dumps(study.plan, indent=2, ensure_ascii=False) if study.plan else "",
        "data": embedded(
            {
                "encoders": [{"name": name, **_plotted(fact)} for name, fact in known.items()],
                "tasks": [
                    {"name": word.name, "axis": word.axis, "unit": word.unit}
                    for word in words.values()
                ],
                "points": _points(cells, words, list(known)),
                "curves": curves,
                "similarity": similar,
                "tables": _tables(findings, costs),
                "origins": embedded_origins(rows, _names(table)),
            }
        ),
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


def _plotted(fact: Mapping[str, Any]) -> dict[str, Any]:
    return {name: fact[name] for name in ("method", "set", "baseline")}


def _counts(table: pd.DataFrame, study: Study) -> list[tuple[str, str]]:
    """Return the size of the study: numbers and what they count."""
    done = len(table[["encoder", "task"]].drop_duplicates())
    seeds = table["seed"].nunique()
    return [
        (str(table["encoder"].nunique()), "encoders"),
        (str(table["task"].nunique()), "tasks"),
        (
            str(done),
            f"of {done + len(study.missing)} cells" if study.missing else "cells, all there",
        ),
        (str(seeds), "seed a cell" if seeds == 1 else "seeds a cell"),
        (str(table["protocol"].iloc[0]), "protocol"),
    ]


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
