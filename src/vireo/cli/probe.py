"""`vireo probe`: encoders times tasks from the command line; a study without a file."""

import re
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vireo.cli.options import Device, Json, Threads

if TYPE_CHECKING:
    from vireo.records import EncoderSpec

_NAMED = re.compile(r"([A-Za-z0-9][A-Za-z0-9._+-]*)=([a-z]+:.+)", re.DOTALL)

PROBES = Path("runs/probe")


class Protocol(StrEnum):
    """How heads are trained."""

    tuned = "tuned"
    paper = "paper"


def probe(
    encoder: Annotated[list[str], typer.Argument(help="run:DIR, file:PATH, ..., or NAME=SPEC.")],
    task: Annotated[list[str], typer.Option(help="A task's name or file; may be repeated.")],
    out: Annotated[Path, typer.Option(help="Where rows and features are kept.")] = PROBES,
    protocol: Annotated[Protocol, typer.Option(help="How heads are trained.")] = Protocol.tuned,
    seeds: Annotated[int, typer.Option(min=1, help="Heads a cell, one row each.")] = 1,
    device: Device = "auto",
    threads: Threads = None,
    as_json: Json = False,
) -> None:
    """Freeze encoders, train heads on tasks, print the scores with their intervals.

    The folder's tables show what the last command asked for; earlier rows are kept.
    """
    from vireo.cli.options import compute
    from vireo.cli.study import finish
    from vireo.records import ProbeSettings, StudyPlan
    from vireo.study import run_study
    from vireo.study.plan import check_names
    from vireo.tasks import find_task

    plan = StudyPlan(
        name=out.resolve().name,
        summary="",
        tasks=tuple(map(find_task, task)),
        encoders=tuple(map(encoder_spec, encoder)),
        probe=ProbeSettings(protocol=protocol.value, seeds=tuple(range(seeds))),
    )
    check_names(plan)
    run_study(plan, out, compute=compute(device, threads))
    finish(out, as_json)


def encoder_spec(text: str) -> "EncoderSpec":
    """Return the spec that `SPEC` or `NAME=SPEC` stands for.

    Example:
        >>> encoder_spec("mine=run:runs/a").name, encoder_spec("random:resnet20").name
        ('mine', 'random:resnet20')
    """
    from vireo.records import EncoderSpec

    named = _NAMED.fullmatch(text)
    name, spec = named.groups() if named else (text, text)
    return EncoderSpec(spec=spec, name=name)
