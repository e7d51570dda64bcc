"""`vireo report`: the study as one HTML file; figures and tables for a paper on request."""

from pathlib import Path
from typing import Annotated

import typer

from vireo.cli.options import Protocol


def report(
    folder: Annotated[Path, typer.Argument(help="The folder of a study or of probes.")],
    out: Annotated[Path | None, typer.Option(help="The page; FOLDER/report.html if none.")] = None,
    figures: Annotated[
        Path | None, typer.Option(help="Also write every figure as SVG and PDF here.")
    ] = None,
    tables: Annotated[
        Path | None, typer.Option(help="Also write every table as CSV and LaTeX here.")
    ] = None,
    protocol: Protocol = "",
) -> None:
    """Write the report: one HTML file that works offline."""
    from vireo.console import say
    from vireo.report import write_figures, write_report, write_tables

    page = write_report(folder, out or folder / "report.html", protocol=protocol)
    say(f"The report is {page} ({page.stat().st_size / 1e6:.1f} MB).")
    for write, where in ((write_figures, figures), (write_tables, tables)):
        if where is not None:
            say(f"Wrote {len(write(folder, where, protocol=protocol))} files into {where}.")
