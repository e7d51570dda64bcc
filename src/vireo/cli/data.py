"""`vireo data`: make images, or look whether images can be read."""

from pathlib import Path
from typing import Annotated

import typer

from vireo.cli.options import Json
from vireo.cli.output import Line, show

app = typer.Typer(
    help="Make images, or check that images can be read.",
    no_args_is_help=True,
    epilog="Example: vireo data check digits",
)


@app.command(epilog="Example: vireo data rooms --out rooms --images 500 --size 64 --seed 1")
def rooms(
    out: Annotated[Path, typer.Option(help="The folder, made if needed.")],
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


@app.command(epilog="Example: vireo data check folder:photos")
def check(
    data: Annotated[str, typer.Argument(help="A dataset's name, folder:PATH, parquet:GLOB, ...")],
    as_json: Json = False,
) -> None:
    """Open a dataset, count its examples and read the first of each split."""
    from vireo.data import find_dataset

    spec = find_dataset(data)
    splits = list(dict.fromkeys([*spec.splits, *spec.carve]))
    show([_split(data, split) for split in splits], as_json)


@app.command(epilog="Example: vireo data frames kinetics/train --out frames --per-second 1")
def frames(
    videos: Annotated[Path, typer.Argument(help="A folder of videos, in class folders or not.")],
    out: Annotated[Path, typer.Option(help="Where a folder of frames a video is made.")],
    per_second: Annotated[float, typer.Option(help="Frames a second, of every video.")] = 1.0,
    short_side: Annotated[int, typer.Option(help="Make frames smaller; 0 keeps them.")] = 0,
) -> None:
    """Write the frames of videos at a constant rate as JPEG files; needs PyAV."""
    from vireo.console import say
    from vireo.data.subsets.video import extract_frames

    broken = extract_frames(videos, out, per_second=per_second, short_side=short_side)
    left = f"; {len(broken)} videos are broken and left out" if broken else ""
    say(f"Frames are in {out}{left}. Use them as --data folder:{out}")


def _split(data: str, split: str) -> Line:
    import numpy as np

    from vireo.data import open_split

    source = open_split(data, split)
    height, width = source.frames(0)[0].shape[:2]
    values = {name: source.target(0, name) for name in source.targets}
    first = {n: v if np.ndim(v) == 0 else f"{np.shape(v)}" for n, v in values.items()}
    return {
        "name": split,
        "examples": len(source),
        "first": source.label(0),
        "size": f"{height} x {width}",
        "targets": {name: str(value) for name, value in first.items()},
    }
