"""`vireo study`: check a study file, run what is missing of it, say how far it is."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vireo.cli.options import PATH, Device, Json, Threads
from vireo.cli.output import cell_lines, score_lines, show

if TYPE_CHECKING:
    from vireo.records import StudyPlan
    from vireo.study.status import Progress, State

FAILED_CELLS = 1
LISTED = 40
"""Cells up to which a table has one line each."""
File = Annotated[Path, typer.Argument(help="A study file (TOML).")]
FileOrFolder = Annotated[
    Path, typer.Argument(help="A study file (TOML), or the folder of a study.")
]
Out = Annotated[
    Path | None, typer.Option(help="The study's folder; runs/NAME if not given.", **PATH)
]
Only = Annotated[
    list[str] | None,
    typer.Option(help="Some cells alone, by name: 'moco* x cifar10', or an encoder, or a task."),
]
Cells = Annotated[bool, typer.Option("--cells", help="One line a cell, however many there are.")]

app = typer.Typer(
    help="A grid of encoders and tasks from one file.",
    no_args_is_help=True,
    epilog="Example: vireo study run studies/demo.toml",
)


@app.command(epilog="Example: vireo study plan studies/demo.toml")
def plan(
    file: File,
    out: Out = None,
    only: Only = None,
    device: Device = "auto",
    threads: Threads = None,
    cells: Cells = False,
    as_json: Json = False,
) -> None:
    """Check everything, and print the cells, what they share, and what they will take.

    Times follow from rates that are measured on this machine, in some seconds. What is not here
    (weights, images) is named and does not keep the plan from being printed; a mistake does.
    """
    from vireo.cli.options import compute
    from vireo.console import say
    from vireo.records.reading import refuse
    from vireo.study import forecast as told
    from vireo.study import read_plan
    from vireo.study.check import look
    from vireo.study.selection import part, select

    read = read_plan(file)
    chosen = select(read, only or ())
    checked = look(part(read, chosen))
    refuse(f"The study '{read.name}'", checked.of("mistake"))
    there, where = _folder(out, read), compute(device, threads)
    found = told.forecast(read, checked, there, where, chosen=chosen)
    lines = told.cell_lines(found)
    if as_json or cells or len(lines) <= LISTED:
        show(lines, as_json, columns=("name", "state", "time", "storage"))
    if not as_json:
        show(told.group_lines(found, "encoder"), as_json)
        show(told.group_lines(found, "task"), as_json)
    for sentence in told.sentences(found):
        say(sentence)


@app.command(epilog="Example: vireo study run studies/demo.toml --out runs/demo")
def run(
    file: File,
    out: Out = None,
    only: Only = None,
    device: Device = "auto",
    threads: Threads = None,
    workers: Annotated[int, typer.Option(min=0, help="Processes that load images for probes.")] = 0,
    engine: Annotated[str, typer.Option(help="What runs the cells: serial or ray.")] = "serial",
    address: Annotated[str, typer.Option(help="Of a Ray cluster; auto, or host:port.")] = "",
    gpus_per_cell: Annotated[
        float | None,
        typer.Option(min=0.0, max=1.0, help="Share of a GPU that a probe takes (ray)."),
    ] = None,
    cells_at_once: Annotated[
        int | None, typer.Option(min=1, help="At most so many cells at a time (ray).")
    ] = None,
    features: Annotated[
        Path | None, typer.Option(help="Folder for features on every machine's own disk.", **PATH)
    ] = None,
) -> None:
    """Run what is missing; stopped and given again, the command goes on."""
    from vireo.cli.options import compute
    from vireo.study import read_plan, run_study
    from vireo.study.resources import Resources

    read = read_plan(file)
    folder = _folder(out, read)
    resources = Resources(
        address=address,
        gpus_per_cell=gpus_per_cell,
        cells_at_once=cells_at_once,
        features=features,
    )
    # side by side with others, a cell has one core unless more are asked for
    chosen = compute(device, threads or (None if engine == "serial" else 1))
    run_study(
        read,
        folder,
        compute=chosen,
        workers=workers,
        engine=engine,
        resources=resources,
        only=only or (),
    )
    finish(folder, as_json=False)


@app.command(epilog="Example: vireo study status runs/demo --watch")
def status(
    file: FileOrFolder,
    out: Out = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Look again until nothing is left.")
    ] = False,
    every: Annotated[float, typer.Option(min=0.1, help="Seconds between two looks.")] = 5.0,
    cells: Cells = False,
    as_json: Json = False,
) -> None:
    """Print how far a study is, how fast it goes, when it ends, and why cells failed.

    Nothing is computed and no encoder is opened. The folder of a study that was run tells about
    itself without torch.
    """
    from vireo.console import clear
    from vireo.study.status import progress

    read, folder = _last_plan(file, out)
    while True:
        found = progress(read, folder)
        if watch and not as_json:
            clear()
        _show_progress(found, folder, as_json, cells)
        if not watch or not (found.count("to do") + found.count("running")):
            return
        time.sleep(every)


def finish(folder: Path, as_json: bool) -> None:
    """Print the table of scores of a folder; exit with 1 if cells of its last run failed."""
    from vireo.analysis import read_study
    from vireo.report.score_table import ordered_cells

    found = read_study(folder)
    if len(found.table):
        cells = ordered_cells(found.table)
        show(cell_lines(cells) if as_json else score_lines(cells), as_json)
    if found.errors:
        raise typer.Exit(FAILED_CELLS)


def _last_plan(file: Path, out: Path | None) -> tuple["StudyPlan", Path]:
    """Return a plan and its folder: of a study file, or what the folder was run with last."""
    if file.is_dir():
        from vireo.study.status import read_last_plan

        if out is not None:
            raise typer.BadParameter(f"{file} is a study's folder itself; leave --out away.")
        return read_last_plan(file), file
    from vireo.study import read_plan

    read = read_plan(file)
    return read, _folder(out, read)


def _show_progress(found: "Progress", folder: Path, as_json: bool, cells: bool) -> None:
    from vireo.console import say, warn

    lines: list[dict[str, Any]] = [
        {"name": status.cell.name, "state": status.state, "error": status.error}
        for status in found.cells
    ]
    if as_json or cells or len(lines) <= LISTED:
        show(lines, as_json, columns=("name", "state"))
    say(_counts(found, folder))
    for status in found.cells:
        if status.state == "running" and len(lines) > LISTED:
            say(f"running: {status.cell.name}")
        if status.error:
            warn(status.error)


def _counts(found: "Progress", folder: Path) -> str:
    """Say how many cells are in which state, the speed, and the time left."""
    from vireo.study.words import duration

    states: tuple[State, ...] = ("done", "running", "to do", "failed")
    parts = [f"{count} {state}" for state in states if (count := found.count(state))]
    told = f"{len(found.cells)} cells in {folder}: {', '.join(parts)}."
    if found.finished:
        told += f" {found.per_hour:.3g} cells an hour in this run ({found.finished} computed)."
    if not found.count("to do") + found.count("running"):
        return told
    if found.seconds_left is None:
        return f"{told} Time left: unknown until cells of every kind are done and one is at work."
    return f"{told} About {duration(found.seconds_left)} left."


def _folder(out: Path | None, read: "StudyPlan") -> Path:
    return out or Path("runs") / read.name
