"""Options that several verbs share."""

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from vireo.devices import Compute

Device = Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")]
Threads = Annotated[
    int | None,
    typer.Option(min=1, help="Threads of torch on the CPU; they are part of the numbers."),
]
Json = Annotated[bool, typer.Option("--json", help="Print an array of objects.")]


def compute(device: str, threads: int | None) -> "Compute":
    """Decide where to compute, and say so."""
    from vireo.console import say
    from vireo.devices import choose

    chosen = choose(device, threads=threads)
    say(f"{chosen.device}, {chosen.precision}, {chosen.threads} threads ({chosen.reason})")
    return chosen
