"""What the analyses found, as the page shows it: a sentence, figures, a table, how it was done."""

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd
from markupsafe import Markup

from vireo.analysis import ANALYSES, QUESTIONS, Context, Figure, Finding, analyse
from vireo.errors import SettingError, StoreError
from vireo.report.drawing import draw, inline_svg

MOST_MARKS, MOST_SQUARES = 600, 2500
"""Marks of one figure that the page draws; each is an element that every reader's browser keeps."""


@dataclass(frozen=True)
class Drawing:
    """A figure as markup of our own making; its title stands above it."""

    title: str
    svg: Markup


@dataclass(frozen=True)
class Answer:
    """One analysis on the page; `table` names its table among the embedded ones.

    Attributes:
        question: the study's own words, where it is one of its questions.
        left_out: titles of figures with too many marks for the page.
    """

    name: str
    question: str
    title: str
    verdict: str
    caption: str
    notes: tuple[str, ...]
    drawings: tuple[Drawing, ...]
    left_out: tuple[str, ...]
    table: str


@dataclass(frozen=True)
class Answers:
    """All analyses: those that answer a question, tables beside them, and those that could not.

    Attributes:
        refused: name of an analysis to the sentence that says why.
    """

    questions: tuple[Answer, ...]
    tables: tuple[Answer, ...]
    refused: Mapping[str, str]


def find_all(table: pd.DataFrame, context: Context) -> dict[str, Finding | str]:
    """Return what each analysis finds, or the sentence that says why it cannot."""
    return {name: _finding(name, table, context) for name in ANALYSES}


def answers(findings: Mapping[str, Finding | str]) -> Answers:
    """Lay out the findings in their order."""
    shown = [
        _answer(name, finding) for name, finding in findings.items() if isinstance(finding, Finding)
    ]
    first = sorted(shown, key=lambda answer: not answer.question)  # the study's own come first
    return Answers(
        questions=tuple(answer for answer in first if answer.verdict),
        tables=tuple(answer for answer in shown if not answer.verdict),
        refused={name: text for name, text in findings.items() if isinstance(text, str)},
    )


def _finding(name: str, table: pd.DataFrame, context: Context) -> Finding | str:
    try:
        return analyse(name, table, context)
    except (SettingError, StoreError) as error:
        return str(error)


def _answer(name: str, finding: Finding) -> Answer:
    figures = [figure for figure in finding.figures if len(figure.data)]
    return Answer(
        name=name,
        question=QUESTIONS.get(name, ""),
        title=finding.title,
        verdict=finding.verdict,
        caption=finding.caption,
        notes=finding.notes,
        drawings=tuple(_drawing(figure) for figure in figures if _fits(figure)),
        left_out=tuple(figure.title for figure in figures if not _fits(figure)),
        table=name,
    )


def _fits(figure: Figure) -> bool:
    return len(figure.data) <= (MOST_SQUARES if figure.kind == "heatmap" else MOST_MARKS)


def _drawing(figure: Figure) -> Drawing:
    svg = inline_svg(draw(figure), f"{figure.title}; the table below has the numbers")
    return Drawing(figure.title, Markup(svg))  # written by the SVG writer, every text escaped
