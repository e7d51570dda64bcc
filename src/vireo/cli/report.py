"""`vireo report`: the study as one HTML file, and figures on request."""

from pathlib import Path
from typing import Annotated

import typer


def report(
    folder: Annotated[Path, typer.Argument(help="The folder of a study or of probes.")],
    out: Annotated[Path | None, typer.Option(help="The page; FOLDER/report.html if none.")] = None,
    figures: Annotated[Path | None, typer.Option(help="Also write PNG and SVG here.")] = None,
) -> None:
    """Write the report: one HTML file that works offline."""
    from vireo.console import say
    from vireo.report import write_figures, write_report

    page = write_report(folder, out or folder / "report.html")
    say(f"The report is {page} ({page.stat().st_size / 1e6:.1f} MB).")
    if figures is not None:
        for path in write_figures(folder, figures):
            say(f"Wrote {path}.")
