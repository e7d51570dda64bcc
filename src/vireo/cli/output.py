"""What verbs print on stdout: a table for people, or JSON for programs."""

import json
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from pandas import DataFrame

Line = dict[str, Any]


def show(lines: Sequence[Line], as_json: bool, columns: Sequence[str] | None = None) -> None:
    """Print `lines`; JSON has all their keys, a table the given `columns`."""
    if as_json:
        typer.echo(json.dumps([_finite(line) for line in lines], indent=2, ensure_ascii=False))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    names = list(columns or (lines[0] if lines else ()))
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in names:
        table.add_column(Text(name), overflow="fold")
    for line in lines:
        table.add_row(*(Text(_text(line[name])) for name in names))
    Console(highlight=False, width=None if _is_terminal() else 200).print(table)


def cell_lines(cells: "DataFrame") -> list[Line]:
    """Return one line a cell, with all its numbers."""
    return [
        {"name": f"{line['encoder']} x {line['task']}", **{str(k): v for k, v in line.items()}}
        for line in cells.to_dict("records")
    ]


def score_lines(cells: "DataFrame") -> list[Line]:
    """Return one line an encoder: its score with interval on every task."""
    encoders = list(dict.fromkeys(cells["encoder"]))
    tasks = list(dict.fromkeys(cells["task"]))
    at = {(line["encoder"], line["task"]): line for line in cells.to_dict("records")}
    return [
        {"name": encoder} | {task: _score(at.get((encoder, task))) for task in tasks}
        for encoder in encoders
    ]


def _score(line: Any) -> str:
    if line is None:
        return "missing"
    return f"{line['score']:.3f} [{line['low']:.3f}, {line['high']:.3f}]"


def _finite(line: Line) -> Line:
    """JSON has no NaN: an unknown number is null."""
    return {
        key: None if isinstance(value, float) and not math.isfinite(value) else value
        for key, value in line.items()
    }


def _text(value: Any) -> str:
    if isinstance(value, float):
        return "-" if math.isnan(value) else f"{value:.4g}"
    if isinstance(value, dict):
        return ", ".join(f"{key} {item}" for key, item in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return str(value)


def _is_terminal() -> bool:
    from rich.console import Console

    return Console().is_terminal
