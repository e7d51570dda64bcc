"""The command `vireo`: verbs, and how an error reaches the person."""

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from vireo import __version__
from vireo.cli import (
    analyse,
    data,
    demo,
    encoder,
    listing,
    pretrain,
    probe,
    report,
    results,
    similarity,
    study,
    subset,
)
from vireo.errors import VireoError

USER_ERROR, FAILED_CELLS, INTERRUPTED = 2, 1, 130
STOPPED = "stopped. What is finished is kept; the same command goes on from there."


class Verbs(TyperGroup):
    """A group of commands that tells a person's mistake in one sentence, without a traceback."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command; turn vireo's own errors into a message and an exit code."""
        from vireo.console import say

        try:
            return super().invoke(ctx)
        except VireoError as error:
            code, message = USER_ERROR, str(error)
        except OSError as error:
            if error.filename is None:  # not about a path: a closed pipe is typer's, the rest ours
                raise
            path = error.filename2 or error.filename  # a rename's target is what was asked for
            code, message = USER_ERROR, f"{path}: {error.strerror}. {_remedy(error)}"
        except KeyboardInterrupt:
            code, message = INTERRUPTED, STOPPED
        say(f"vireo: {message}")
        raise typer.Exit(code)


def _remedy(error: OSError) -> str:
    """Return the next step for a path that the system refuses."""
    if isinstance(error, FileExistsError | NotADirectoryError):
        return "A folder is needed where a file is; give another path."
    if isinstance(error, IsADirectoryError):
        return "A file is needed where a folder is; give the name of a file."
    return "Check the path and who may read or write it, or give another."


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
app.add_typer(encoder.app, name="encoder")
app.command("subset", epilog="Example: vireo subset log --data folder:imagenet --out subsets/log")(
    subset.subset
)
app.command(
    "pretrain",
    epilog="Example: vireo pretrain moco-v2 --recipe small --data digits --architecture resnet20 "
    "--epochs 10 --batch-size 64 --set queue_size=1024 --out runs/moco",
)(pretrain.pretrain)
app.command(
    "probe", epilog="Example: vireo probe random:resnet20 --task digits --out runs/compare"
)(probe.probe)
app.command(
    "similarity",
    epilog="Example: vireo similarity run:runs/a run:runs/b --images folder:photos",
)(similarity.similarity)
app.add_typer(study.app, name="study")
app.add_typer(results.app, name="results")
app.command("analyse", epilog="Example: vireo analyse runs/demo")(analyse.analyse)
app.command("report", epilog="Example: vireo report runs/demo --out report.html")(report.report)
app.command("demo", epilog="Example: vireo demo --out runs/demo")(demo.demo)
