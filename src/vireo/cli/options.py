"""Options that several verbs share."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from vireo.devices import Compute

Device = Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")]
Threads = Annotated[
    int | None,
    typer.Option(min=1, help="Threads of torch on the CPU; they are part of the numbers."),
]
Protocol = Annotated[
    str,
    typer.Option("--protocol", metavar="NAME", help="Of which rows, where a folder has several."),
]
Architecture = Annotated[
    str, typer.Option(help="Of file: encoders: resnet50, timm:NAME, ...; else recognised.")
]
Take = Annotated[
    str, typer.Option(help="Of file: encoders that hold several networks: teacher, ...")
]
Mean = Annotated[str, typer.Option(help="Of file: encoders: 0.485,0.456,0.406.")]
Std = Annotated[str, typer.Option(help="Of file: encoders: 0.229,0.224,0.225.")]
Json = Annotated[bool, typer.Option("--json", help="Print an array of objects.")]


def written(text: str | Path) -> Path:
    """Return a path that a person wrote; an empty one would be the folder that they are in.

    Raises:
        BadParameter: it is empty, as "$UNSET" is in a shell.
    """
    if not str(text).strip():
        raise typer.BadParameter("the path is empty; write one out (. is the folder you are in).")
    return Path(text)


PATH: dict[str, Any] = {"parser": written, "metavar": "PATH"}
"""What `typer.Option` and `typer.Argument` of a path are told, beside their help."""


def compute(device: str, threads: int | None) -> "Compute":
    """Decide where to compute, and say so."""
    from vireo.console import say
    from vireo.devices import choose

    chosen = choose(device, threads=threads)
    say(f"{chosen.device}, {chosen.precision}, {chosen.threads} threads ({chosen.reason})")
    return chosen
