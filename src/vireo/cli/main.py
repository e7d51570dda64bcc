"""The command `vireo`: verbs, and how an error reaches the person."""

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from vireo import __version__
from vireo.cli import analyse, data, demo, listing, pretrain, probe, report, study
from vireo.errors import VireoError

USER_ERROR, FAILED_CELLS, INTERRUPTED = 2, 1, 130


class Verbs(TyperGroup):
    """A group of commands that tells a person's mistake in one sentence, without a traceback."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command; turn vireo's own errors into a message and an exit code."""
        from vireo.console import say

        try:
            return super().invoke(ctx)
        except VireoError as error:
            say(f"vireo: {error}")
            raise typer.Exit(USER_ERROR) from error
        except KeyboardInterrupt as error:
            say("vireo: stopped. What is finished is kept; the same command goes on from there.")
            raise typer.Exit(INTERRUPTED) from error


app = typer.Typer(
    cls=Verbs,
    help="Which pre-training gives the best visual representation for a task? "
    "Pre-train, freeze, probe, analyse.",
    epilog="Example: vireo demo",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,
)


def _version(wanted: bool) -> bool:
    if wanted:
        typer.echo(f"vireo {__version__}")
        raise typer.Exit
    return wanted


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say the version.")
    ] = False,
) -> None:
    """Options of the command itself."""


app.command("list", epilog="Example: vireo list tasks --json")(listing.list_known)
app.add_typer(data.app, name="data")
app.command(
    "pretrain",
    epilog="Example: vireo pretrain moco-v2 --data digits --architecture resnet20 "
    "--image-size 32 --epochs 10 --batch-size 64 --set queue_size=1024 --out runs/moco",
)(pretrain.pretrain)
app.command(
    "probe", epilog="Example: vireo probe random:resnet20 --task digits --out runs/compare"
)(probe.probe)
app.add_typer(study.app, name="study")
app.command("analyse", epilog="Example: vireo analyse runs/demo")(analyse.analyse)
app.command("report", epilog="Example: vireo report runs/demo --out report.html")(report.report)
app.command("demo", epilog="Example: vireo demo --out runs/demo")(demo.demo)
