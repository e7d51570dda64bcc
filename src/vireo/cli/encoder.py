"""`vireo encoder`: what a file is, what is known of an encoder, and fetching published ones."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vireo.cli.options import Json
from vireo.cli.output import Line, show

if TYPE_CHECKING:
    from vireo.encoders.inspecting import Inspection
    from vireo.records import PublishedEncoder

REFUSED = 1
# Names of tensors shown of each list; --json has all.
SHOWN = 4
# Facts of a card that say nothing where they are empty; of all others, "unknown" is news.
_SILENT = ("note", "converted", "maps", "steps")

app = typer.Typer(
    help="Look at checkpoints and published encoders, and fetch them.",
    no_args_is_help=True,
    epilog="Example: vireo encoder inspect resnet50.pth",
)


@app.command(epilog="Example: vireo encoder inspect swav_800ep_pretrain.pth.tar --json")
def inspect(
    file: Annotated[Path, typer.Argument(help="A checkpoint of any trainer.")],
    architecture: Annotated[
        str, typer.Option(help="Its architecture (resnet50, timm:NAME, ...); else recognised.")
    ] = "",
    take: Annotated[str, typer.Option(help="student, teacher, ... where it has several.")] = "",
    as_json: Json = False,
) -> None:
    """Say whether a file can be loaded, what it holds, and if not, what did not fit.

    Nothing in the file is run. The exit code is 0 for a file that loads, 1 for one that is refused,
    2 for one that cannot be read.
    """
    from vireo.digest import plain
    from vireo.encoders.inspecting import inspect as look

    found = look(file, architecture, take)
    if as_json:
        show([{"name": str(file), **plain(found)}], as_json)
    else:
        _print_inspection(found)
    if not found.accepted:
        raise typer.Exit(REFUSED)


@app.command("show", epilog="Example: vireo encoder show swav-half-200")
def show_card(
    encoder: Annotated[str, typer.Argument(help="A published encoder's name, or any spec.")],
    as_json: Json = False,
) -> None:
    """Print an encoder's card; a published encoder's without fetching its file."""
    from vireo.digest import plain
    from vireo.encoders import open_encoder

    if ":" not in encoder or encoder.startswith("zoo:"):
        card = published_line(encoder.removeprefix("zoo:"))
    else:
        card = plain(open_encoder(encoder).card)
    if as_json:
        show([card], as_json)
    else:
        _print_facts(card)


@app.command(epilog="Example: vireo encoder fetch swav-800 moco-v2-half-200")
def fetch(
    names: Annotated[list[str], typer.Argument(help="Published encoders' names.")],
    as_json: Json = False,
) -> None:
    """Fetch published encoders into the cache, verify them, and check that they load.

    A transfer that breaks is resumed by the same command. Where a file cannot be had, the others
    are fetched all the same, and the exit code is 1.
    """
    from vireo.encoders.zoo import find

    known = [find(name.removeprefix("zoo:")) for name in names]
    lines = [_fetched(card) for card in known]
    columns = ("name", "loads", "format", "architecture", "tensors", "weights", "file")
    show(lines, as_json, columns)
    if not all(line["loads"] == "yes" for line in lines):
        raise typer.Exit(REFUSED)


def published_line(name: str) -> Line:
    """Return all that is known of a published encoder, and whether its file is here.

    Raises:
        SettingError: no such name.
    """
    from vireo.digest import plain
    from vireo.encoders.zoo import find, is_cached, source_of

    card = find(name)
    return {**plain(card), "source": source_of(card), "cached": is_cached(card)}


def _fetched(card: "PublishedEncoder") -> Line:
    from vireo.console import say
    from vireo.encoders.published import fetch_published
    from vireo.errors import VireoError

    line: Line = {"name": card.name, "loads": "no", "format": "", "architecture": ""}
    line |= {"tensors": 0, "weights": "", "file": ""}
    try:
        path = fetch_published(card)
        line |= {"file": str(path), **_loaded(card, path)}
    except VireoError as error:
        say(f"{card.name}: {error}")
    return line


def _loaded(card: "PublishedEncoder", path: Path) -> Line:
    """Load a fetched file as a study would, and say what it is."""
    from vireo.encoders import open_encoder
    from vireo.encoders.inspecting import inspect as look

    encoder = open_encoder(f"zoo:{card.name}")
    hosted = card.address.startswith("timm:")  # renamed by timm as it loads them
    found = None if hosted else look(path, card.architecture)
    return {
        "loads": "yes",
        "format": found.format if found else card.format,
        "architecture": encoder.card.architecture,
        "tensors": found.matched if found else len(encoder.backbone.state_dict()),
        "weights": encoder.card.weights,
    }


def _print_inspection(found: "Inspection") -> None:
    if found.accepted:
        typer.echo(f"accepted: {found.path} loads as {found.architecture}")
    else:
        typer.echo(f"refused: {found.refusal}")
    facts = {
        "format": f"{found.format}: {found.summary}" if found.format else "",
        "taken": found.taken,
        "read by": found.reader,
        "not rebuilt": _some(found.foreign),
        "epoch": found.epoch,
        "closest": found.closest,
        "matched": f"{found.matched} tensors",
        "missing": _some(found.missing),
        "misshapen": _some(found.misshapen),
        "too many": _some(found.too_many),
        "left over": "; ".join(f"{kind}: {_some(of)}" for kind, of in found.left_over.items()),
        "mean": found.mean,
        "std": found.std,
        "weights": found.weights,
    }
    _print_facts({name: fact for name, fact in facts.items() if fact not in ("", None)})


def _some(names: tuple[str, ...]) -> str:
    """Return the first of many names, after their number."""
    if not names:
        return ""
    more = ", ..." if len(names) > SHOWN else ""
    return f"{len(names)} ({', '.join(names[:SHOWN])}{more})"


def _print_facts(facts: Line) -> None:
    """Print one fact a line; what nobody knows is said to be unknown."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2))
    for name, fact in facts.items():
        if name not in _SILENT or fact:
            table.add_row(Text(name.replace("_", " "), style="bold"), Text(_said(fact)))
    console = Console(highlight=False)
    console = console if console.is_terminal else Console(highlight=False, width=200)
    console.print(table)


def _said(fact: Any) -> str:
    if fact is None or fact == "":
        return "unknown"
    if isinstance(fact, bool):
        return "yes" if fact else "no"
    if isinstance(fact, list | tuple):
        return ", ".join(map(str, fact))
    if isinstance(fact, float):
        return f"{fact:g}"
    return f"{fact:,}" if isinstance(fact, int) else str(fact)
