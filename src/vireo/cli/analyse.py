"""`vireo analyse`: every analysis of a study's table, as text or JSON."""

from pathlib import Path
from typing import Annotated

import typer

from vireo.cli.options import Json
from vireo.cli.output import Line, show


def analyse(
    folder: Annotated[Path, typer.Argument(help="The folder of a study or of probes.")],
    only: Annotated[str, typer.Option(help="One analysis by name; all if not given.")] = "",
    as_json: Json = False,
) -> None:
    """Print scores, normalised scores, ranking and correlations of a study."""
    from vireo.analysis import ANALYSES, Finding, read_study
    from vireo.analysis import analyse as find
    from vireo.console import warn
    from vireo.errors import SettingError

    study = read_study(folder)
    if study.missing:
        warn(f"missing cells: {', '.join(study.missing)}")
    if only:
        findings: dict[str, Finding] = {only: find(only, study.table)}
    else:
        findings = {}
        for name in ANALYSES:
            try:
                findings[name] = find(name, study.table)
            except SettingError as error:
                warn(f"{name}: {error}")
    if as_json:
        show([_line(name, finding) for name, finding in findings.items()], as_json)
        return
    for finding in findings.values():
        typer.echo(f"\n{finding.title}")
        show(finding.table.to_dict("records"), as_json)  # type: ignore[arg-type]
        typer.echo(finding.caption)


def _line(name: str, finding: object) -> Line:
    from vireo.analysis import Finding

    assert isinstance(finding, Finding)
    rows = finding.table.astype(object).where(finding.table.notna(), None).to_dict("records")
    return {"name": name, "title": finding.title, "caption": finding.caption, "rows": rows}
