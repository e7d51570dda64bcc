"""`vireo study`: check a study file, run what is missing of it, say how far it is."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vireo.cli.options import Device, Json, Threads
from vireo.cli.output import cell_lines, score_lines, show

if TYPE_CHECKING:
    from vireo.records import StudyPlan

FAILED_CELLS = 1
File = Annotated[Path, typer.Argument(help="A study file (TOML).")]
Out = Annotated[Path | None, typer.Option(help="The study's folder; runs/NAME if not given.")]

app = typer.Typer(
    help="A grid of encoders and tasks from one file.",
    no_args_is_help=True,
    epilog="Example: vireo study run studies/demo.toml",
)


@app.command(epilog="Example: vireo study plan studies/demo.toml")
def plan(file: File, out: Out = None, as_json: Json = False) -> None:
    """Check everything that can be checked, and print the cells: done and to do."""
    from vireo.study import check_plan, read_plan

    read = read_plan(file)
    check_plan(read)
    _print_status(read, _folder(out, read), as_json)


@app.command(epilog="Example: vireo study run studies/demo.toml --out runs/demo")
def run(
    file: File,
    out: Out = None,
    device: Device = "auto",
    threads: Threads = None,
    workers: Annotated[int, typer.Option(min=0, help="Processes that load images for probes.")] = 0,
    engine: Annotated[str, typer.Option(help="What runs the cells.")] = "serial",
) -> None:
    """Run what is missing; stopped and given again, the command goes on."""
    from vireo.cli.options import compute
    from vireo.study import read_plan, run_study

    read = read_plan(file)
    folder = _folder(out, read)
    chosen = compute(device, threads)
    run_study(read, folder, compute=chosen, workers=workers, engine=engine)
    finish(folder, as_json=False)


@app.command(epilog="Example: vireo study status studies/demo.toml --out runs/demo")
def status(file: File, out: Out = None, as_json: Json = False) -> None:
    """Print every cell with its state, computing nothing."""
    from vireo.study import read_plan

    read = read_plan(file)
    _print_status(read, _folder(out, read), as_json)


def finish(folder: Path, as_json: bool) -> None:
    """Print the table of scores of a folder; exit with 1 if cells of its last run failed."""
    from vireo.analysis import read_study
    from vireo.report.content import ordered_cells

    found = read_study(folder)
    if len(found.table):
        cells = ordered_cells(found.table)
        show(cell_lines(cells) if as_json else score_lines(cells), as_json)
    if found.errors:
        raise typer.Exit(FAILED_CELLS)


def _print_status(read: "StudyPlan", folder: Path, as_json: bool) -> None:
    from collections import Counter

    from vireo.console import say
    from vireo.study import study_status

    cells = study_status(read, folder)
    lines = [{"name": s.cell.name, "state": s.state, "error": s.error} for s in cells]
    show(lines, as_json, columns=("name", "state"))
    counts = Counter(status.state for status in cells)
    parts = [f"{count} {state}" for state, count in counts.items()]
    say(f"{len(cells)} cells in {folder}: {', '.join(parts)}.")


def _folder(out: Path | None, read: "StudyPlan") -> Path:
    return out or Path("runs") / read.name
