"""A study's figures and tables as files for a paper: SVG and PDF, CSV and LaTeX."""

import re
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from vireo.analysis import Figure, Finding, read_study
from vireo.analysis.table import Study, consistent
from vireo.digest import digest
from vireo.report.alike import similarity_figures
from vireo.report.costs import cost_tables
from vireo.report.curves import curve_figures, read_runs
from vireo.report.drawing import draw, save
from vireo.report.figures import overview
from vireo.report.questions import find_all
from vireo.report.score_table import ordered_cells
from vireo.report.tables import write_csv, write_latex


def write_figures(study_dir: Path, out: Path, *, protocol: str = "") -> list[Path]:
    """Write every figure of a study into the folder `out`, each as SVG and as PDF.

    They are those of the page: `overview` (also as PNG), each question's, learning curves and maps
    of similarity. `protocol` is that of `write_report`.

    Raises:
        StoreError: no results there.
        SettingError: the results are empty or cannot be compared.
    """
    study = read_study(study_dir, protocol=protocol)
    consistent(study.table)
    whole = overview(ordered_cells(study.table))
    written = [save(whole, out / f"overview.{kind}") for kind in ("png", "svg", "pdf")]
    for name, figure in _figures(study, study_dir):
        drawing = draw(figure)
        written += [save(drawing, out / f"{name}.{kind}") for kind in ("svg", "pdf")]
    return written


def write_tables(study_dir: Path, out: Path, *, protocol: str = "") -> list[Path]:
    """Write every table of a study into the folder `out`, each as CSV and as LaTeX.

    CSV has all digits; LaTeX is rounded as the page is, with the caption that says how it was made.
    `protocol` is that of `write_report`.

    Raises:
        StoreError: no results there.
        SettingError: the results are empty or cannot be compared.
    """
    study = read_study(study_dir, protocol=protocol)
    consistent(study.table)
    written = []
    for name, caption, frame in _tables(study, study_dir):
        written.append(write_csv(frame, out / f"{name}.csv"))
        written.append(write_latex(frame, out / f"{name}.tex", caption))
    return written


def file_name(words: str) -> str:
    """Return a file name: readable, and distinct for distinct words.

    Example:
        >>> file_name("scores")
        'scores'
        >>> file_name("../a b")
        'a-b-5a8cd9'
    """
    readable = re.sub(r"[^A-Za-z0-9+_-]+", "-", words).strip("-")[:60]
    return readable if readable and readable == words else f"{readable}-{digest(words)[:6]}"


def _figures(study: Study, root: Path) -> Iterator[tuple[str, Figure]]:
    for name, finding in find_all(study.table, study.context).items():
        figures = finding.figures if isinstance(finding, Finding) else ()
        for number, figure in enumerate(figures, start=1):
            if len(figure.data):
                yield (f"{name}-{number}" if len(figures) > 1 else name), figure
    for measure, figure in curve_figures(read_runs(root, study.plan)).items():
        yield f"curves-{measure}", figure
    for pair, figure in similarity_figures(study.context.similarities).items():
        yield file_name(f"similarity-{pair}"), figure


def _tables(study: Study, root: Path) -> Iterator[tuple[str, str, pd.DataFrame]]:
    for name, finding in find_all(study.table, study.context).items():
        if isinstance(finding, Finding):
            yield name, f"{finding.title}. {finding.caption}", finding.table
    for title, frame in cost_tables(study.table, read_runs(root, study.plan)).items():
        yield file_name(title), title, frame
