"""`vireo results`: rows for other programs, and the rows of several machines in one folder."""

from pathlib import Path
from typing import Annotated

import typer

from vireo.cli.options import PATH

app = typer.Typer(
    help="Export result rows, or bring those of several machines together.",
    no_args_is_help=True,
    epilog="Example: vireo results export runs/demo --to csv",
)


@app.command(epilog="Example: vireo results export runs/demo --to sqlite --out demo.sqlite")
def export(
    folder: Annotated[Path, typer.Argument(help="The folder of a study or of probes.", **PATH)],
    to: Annotated[str, typer.Option(help="csv, parquet, sqlite, or a database: dialect://...")],
    out: Annotated[
        Path | None,
        typer.Option(help="The file; FOLDER/results.csv and so on if not given.", **PATH),
    ] = None,
    table: Annotated[str, typer.Option(help="The table's name in a database.")] = "vireo_results",
) -> None:
    """Write all rows of a folder as one table; in a database, rows that are there are updated."""
    from vireo.console import say
    from vireo.store.export import export as copy

    say(copy(folder, to, out, table=table))


@app.command(epilog="Example: vireo results merge machine-1 machine-2 --out all")
def merge(
    folders: Annotated[list[Path], typer.Argument(help="Folders of studies or of probes.", **PATH)],
    out: Annotated[Path, typer.Option(help="The folder that gets what it has not.", **PATH)],
    keep_first: Annotated[
        bool, typer.Option("--keep-first", help="Where rows contradict, keep the first folder's.")
    ] = False,
) -> None:
    """Copy the rows of several folders into one; name those that contradict each other."""
    from vireo.console import say
    from vireo.store.merge import merge as bring_together

    for line in bring_together(folders, out, keep_first=keep_first):
        say(line)
