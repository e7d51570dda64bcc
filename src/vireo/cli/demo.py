"""`vireo demo`: the whole job on data that comes with vireo; given again, it takes seconds."""

from pathlib import Path
from typing import Annotated

import typer

from vireo.cli.options import PATH, Device, Threads


def demo(
    out: Annotated[Path, typer.Option(help="Where runs, rows and the report go.", **PATH)] = Path(
        "runs/demo"
    ),
    device: Device = "auto",
    threads: Threads = None,
) -> None:
    """Pre-train small networks, freeze, probe, analyse, write the report; minutes on a CPU."""
    from importlib import resources

    from vireo.cli.options import compute
    from vireo.cli.study import finish
    from vireo.console import say
    from vireo.report import write_report
    from vireo.study import read_plan, run_study

    with resources.as_file(resources.files("vireo.study") / "demo.toml") as file:
        plan = read_plan(file)
    run_study(plan, out, compute=compute(device, threads))
    page = write_report(out, out / "report.html")
    say(f"The report is {page}; open it in a browser.")
    finish(out, as_json=False)
