"""`vireo data`: make or fetch images, or look whether they are there and can be read."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vireo.cli.options import PATH, Json, written
from vireo.cli.output import Line, show

if TYPE_CHECKING:
    from vireo.records import DatasetCard

app = typer.Typer(
    help="Make or fetch images, or check that they are there and can be read.",
    no_args_is_help=True,
    epilog="Example: vireo data check digits",
)

Root = Annotated[
    Path | None,
    typer.Option(
        help="Folder of a named dataset; else $VIREO_NAME, or $VIREO_DATASETS/NAME.", **PATH
    ),
]
_SHOWN = ("name", "examples", "expected", "size", "first", "first_label", "last", "last_label")


@app.command(epilog="Example: vireo data rooms --out rooms --images 500 --size 64 --seed 1")
def rooms(
    out: Annotated[Path, typer.Option(help="The folder, made if needed.", **PATH)],
    images: Annotated[int, typer.Option(help="Training frames; val and test get a fifth.")] = 1000,
    size: Annotated[int, typer.Option(help="Side of a frame in pixels.")] = 64,
    seed: Annotated[int, typer.Option(help="Of the worlds.")] = 0,
) -> None:
    """Render rooms with exact labels, and a contact sheet to look at."""
    from vireo.console import say
    from vireo.data import open_split
    from vireo.data.rooms.sheet import contact_sheet
    from vireo.data.rooms.source import RoomsSource, make_rooms

    fifth = max(1, images // 5)
    splits = {"train": images, "val": fifth, "test": fifth}
    make_rooms(out, images=splits, size=size, seed=seed)
    source = open_split(f"rooms:{out}", "train")
    assert isinstance(source, RoomsSource)
    sheet = contact_sheet(source, out / "contact-sheet.png")
    say(f"{sum(splits.values())} frames in {out}; look at {sheet}. Use them as --data rooms:{out}")


@app.command(epilog="Example: vireo data check pets --root /disk/pets")
def check(
    data: Annotated[str, typer.Argument(help="A dataset's name, folder:PATH, parquet:GLOB, ...")],
    root: Root = None,
    as_json: Json = False,
) -> None:
    """Say what of a dataset is there and what is missing; exit with 1 unless it is whole.

    Counts the examples of each split and reads the first and the last. Of named datasets also: the
    sizes that are published, the licence, and how to get it.
    """
    from dataclasses import asdict

    from vireo.data.checking import check as look
    from vireo.data.checking import folder_of, parts_found, whole_near
    from vireo.data.roots import card_of

    found = look(data, root)
    card = card_of(data)
    facts: Line = {}
    if card is not None and card.layout:
        folder = folder_of(data, root)
        parts = parts_found(card, folder)
        near = whole_near(card, folder)
        _say_parts(card, folder, parts, near)
        facts = _facts(card, folder, parts) | {"whole_in": str(near or "")}
    lines = [{**asdict(split), **facts} for split in found]
    shown = (*_SHOWN, "problem") if any(split.problem for split in found) else _SHOWN
    show(lines if as_json else [_readable(line) for line in lines], as_json, shown)
    if any(split.problem for split in found):
        raise typer.Exit(1)


@app.command(epilog="Example: vireo data get dtd --root /disk/dtd")
def get(
    name: Annotated[str, typer.Argument(help="A dataset's name; see vireo list datasets.")],
    root: Root = None,
) -> None:
    """Fetch a named dataset, or say which steps its licence wants a person to take."""
    from vireo.console import say
    from vireo.data.checking import folder_of
    from vireo.data.getting import get as fetch

    fetch(name, folder_of(name, root))
    say(f"Look at it: vireo data check {name}{f' --root {root}' if root else ''}")


@app.command(epilog="Example: vireo data frames kinetics/train --out frames --per-second 1")
def frames(
    videos: Annotated[
        Path, typer.Argument(help="A folder of videos, in class folders or not.", parser=written)
    ],
    out: Annotated[Path, typer.Option(help="Where a folder of frames a video is made.", **PATH)],
    per_second: Annotated[float, typer.Option(help="Frames a second, of every video.")] = 1.0,
    short_side: Annotated[int, typer.Option(help="Make frames smaller; 0 keeps them.")] = 0,
) -> None:
    """Write the frames of videos at a constant rate as JPEG files; needs PyAV."""
    from vireo.console import say
    from vireo.data.subsets.video import extract_frames

    broken = extract_frames(videos, out, per_second=per_second, short_side=short_side)
    left = f"; {len(broken)} videos are broken and left out" if broken else ""
    say(f"Frames are in {out}{left}. Use them as --data folder:{out}")


def _say_parts(
    card: "DatasetCard", folder: Path | None, parts: dict[str, bool], near: Path | None
) -> None:
    from vireo.console import say
    from vireo.data.roots import ALL, variable

    unset = f"no folder: neither {variable(card.name)} nor {ALL} is set"
    say(f"{card.name}: {card.summary}; {folder or unset}")
    for part, there in parts.items():
        say(f"  {'there' if there else 'MISSING'}  {part}: {card.layout[part]}")
    say(f"Licence: {card.licence}. {card.homepage}")
    if near:
        say(f"All of it is in {near}: name that folder, by --root or {variable(card.name)}.")
    elif not all(parts.values()):
        say(f"How to get it: {card.how_to_get}")


def _facts(card: "DatasetCard", folder: Path | None, parts: dict[str, bool]) -> Line:
    return {
        "folder": str(folder or ""),
        "there": [part for part, there in parts.items() if there],
        "missing": [part for part, there in parts.items() if not there],
        "licence": card.licence,
        "homepage": card.homepage,
        "how_to_get": card.how_to_get,
    }


def _readable(line: Line) -> dict[str, Any]:
    return {name: "-" if value is None else value for name, value in line.items()}
