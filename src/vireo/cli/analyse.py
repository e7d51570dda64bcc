"""`vireo analyse`: a study's questions with their answers, and the tables behind them."""

import math
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Annotated

import typer

from vireo.cli.options import PATH, Json, Protocol
from vireo.cli.output import Line, score_lines, show

if TYPE_CHECKING:
    from vireo.analysis import Finding
    from vireo.analysis.table import Study

_MOST_LINES = 40
_WIDTH = 100


def analyse(
    folder: Annotated[Path, typer.Argument(help="The folder of a study or of probes.", **PATH)],
    question: Annotated[
        str,
        typer.Option("--question", "--only", help="One analysis by name; all if not given."),
    ] = "",
    protocol: Protocol = "",
    as_json: Json = False,
) -> None:
    """Answer the study's questions from a folder of results, in a sentence each, then the tables.

    It needs the rows and no network, image or torch: a copy of the folder will do.
    """
    from vireo.analysis import analyse as find
    from vireo.analysis import read_study
    from vireo.console import warn

    study = read_study(folder, protocol=protocol)
    if study.missing:
        warn(f"missing cells: {', '.join(study.missing)}")
    answers: dict[str, Finding | str]
    if question:
        answers = {question: find(question, study.table, study.context)}
    else:
        answers = _answers(study)
    if as_json:
        show([_line(name, answer) for name, answer in answers.items()], as_json)
        return
    _print_answers(answers)
    if study.missing and len(study.table):
        _print_scores(study)
    for name, answer in answers.items():
        if not isinstance(answer, str):
            _print_finding(name, answer, whole=bool(question))


def _answers(study: "Study") -> "dict[str, Finding | str]":
    """Return what every analysis finds, or the sentence that says why it cannot.

    Raises:
        SettingError: none of them can.
    """
    from vireo.analysis import ANALYSES
    from vireo.analysis import analyse as find
    from vireo.errors import SettingError, StoreError

    answers: dict[str, Finding | str] = {}
    for name in ANALYSES:
        try:
            answers[name] = find(name, study.table, study.context)
        except (SettingError, StoreError) as error:
            answers[name] = str(error)
    if all(isinstance(answer, str) for answer in answers.values()):
        raise SettingError(next(str(answer) for answer in answers.values()))
    return answers


def _print_answers(answers: "dict[str, Finding | str]") -> None:
    """Print a sentence for each question; one sentence may keep several from being answered."""
    from vireo.analysis import QUESTIONS

    refused: dict[str, list[str]] = {}
    for name, answer in answers.items():
        if isinstance(answer, str):
            refused.setdefault(answer, []).append(name)
        elif answer.verdict:
            typer.echo(f"\n{QUESTIONS.get(name, answer.title)} [{name}]")
            typer.echo(_paragraph(answer.verdict))
    for sentence, names in refused.items():
        typer.echo(f"\nNot answered: {', '.join(names)}")
        typer.echo(_paragraph(sentence))


def _print_scores(study: "Study") -> None:
    from vireo.report.score_table import ordered_cells

    typer.echo("\nScores so far")
    show(score_lines(ordered_cells(study.table)), as_json=False)


def _print_finding(name: str, finding: "Finding", whole: bool) -> None:
    """Print a table with its caption and notes; of a long one the first lines."""
    lines = finding.table.to_dict("records")
    typer.echo(f"\n{finding.title} [{name}]")
    shown = lines if whole else lines[:_MOST_LINES]
    show([{str(key): value for key, value in line.items()} for line in shown], as_json=False)
    if len(shown) < len(lines):
        typer.echo(f"... {len(lines)} lines in all: vireo analyse FOLDER --question {name}")
    typer.echo(_paragraph(finding.caption))
    for note in finding.notes:
        typer.echo(_paragraph(f"Note: {note}"))


def _paragraph(text: str) -> str:
    return fill(text, _WIDTH, break_long_words=False, break_on_hyphens=False)


def _line(name: str, answer: "Finding | str") -> Line:
    """Return one object; an analysis that refuses has the reason and no rows."""
    from vireo.analysis import QUESTIONS

    line: Line = {"name": name, "question": QUESTIONS.get(name, "")}
    if isinstance(answer, str):
        empty = {"title": "", "verdict": "", "caption": "", "notes": [], "rows": []}
        return line | empty | {"refused": answer}
    known = answer.table.notna() & ~answer.table.isin([math.inf, -math.inf])
    rows = answer.table.astype(object).where(known, None).to_dict("records")
    return line | {
        "title": answer.title,
        "verdict": answer.verdict,
        "caption": answer.caption,
        "notes": list(answer.notes),
        "rows": rows,
        "refused": "",
    }
