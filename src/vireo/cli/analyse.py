"""`vireo analyse`: every analysis of a study's table, as text or JSON."""

from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vireo.cli.options import Json
from vireo.cli.output import Line, score_lines, show

if TYPE_CHECKING:
    from pandas import DataFrame

    from vireo.analysis import Finding


def analyse(
    folder: Annotated[Path, typer.Argument(help="The folder of a study or of probes.")],
    only: Annotated[str, typer.Option(help="One analysis by name; all if not given.")] = "",
    as_json: Json = False,
) -> None:
    """Print scores, normalised scores, ranking and correlations of a study."""
    from vireo.analysis import analyse as find
    from vireo.analysis import read_study
    from vireo.console import warn
    from vireo.report.content import ordered_cells

    study = read_study(folder)
    if study.missing:
        warn(f"missing cells: {', '.join(study.missing)}")
    findings = {only: find(only, study.table)} if only else _possible(study.table)
    if as_json:
        show([_line(name, finding) for name, finding in findings.items()], as_json)
        return
    if study.missing and len(study.table):
        typer.echo("\nScores so far")
        show(score_lines(ordered_cells(study.table)), as_json)
    for finding in findings.values():
        typer.echo(f"\n{finding.title}")
        show(finding.table.to_dict("records"), as_json)  # type: ignore[arg-type]
        typer.echo(finding.caption)


def _possible(table: "DataFrame") -> "dict[str, Finding]":
    """Return what the analyses find; say once why some of them cannot."""
    from vireo.analysis import ANALYSES
    from vireo.analysis import analyse as find
    from vireo.console import warn
    from vireo.errors import SettingError

    findings, refused = {}, defaultdict(list)
    for name in ANALYSES:
        try:
            findings[name] = find(name, table)
        except SettingError as error:
            refused[str(error)].append(name)
    for sentence, names in refused.items():
        warn(f"no {', '.join(names)}: {sentence}")
    return findings


def _line(name: str, finding: "Finding") -> Line:
    rows = finding.table.astype(object).where(finding.table.notna(), None).to_dict("records")
    return {"name": name, "title": finding.title, "caption": finding.caption, "rows": rows}
