"""`vireo probe`: encoders times tasks from the command line; a study without a file."""

import dataclasses
import re
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

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
    architecture: Annotated[
        str, typer.Option(help="Of file: encoders: resnet50, timm:NAME, ...; else recognised.")
    ] = "",
    take: Annotated[
        str, typer.Option(help="Of file: encoders that hold several networks: teacher, ...")
    ] = "",
    input_size: Annotated[str, typer.Option(help="Of file: encoders: 224 or 224x320.")] = "",
    mean: Annotated[str, typer.Option(help="Of file: encoders: 0.485,0.456,0.406.")] = "",
    std: Annotated[str, typer.Option(help="Of file: encoders: 0.229,0.224,0.225.")] = "",
    device: Device = "auto",
    threads: Threads = None,
    as_json: Json = False,
) -> None:
    """Freeze encoders, train heads on tasks, print the scores with their intervals.

    The folder's tables show what the last command asked for; earlier rows are kept. A file's
    architecture is recognised and its normalisation is ImageNet's unless options say otherwise;
    files that differ in them go into one folder by one command each, or into a study file.
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
        encoders=with_facts(
            list(map(encoder_spec, encoder)),
            architecture=architecture,
            take=take,
            input_size=size(input_size),
            mean=triple(mean, "--mean"),
            std=triple(std, "--std"),
        ),
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


def with_facts(specs: Sequence["EncoderSpec"], **facts: Any) -> tuple["EncoderSpec", ...]:
    """Return the specs, those of files with the `facts` that are stated.

    Raises:
        SettingError: facts are stated and no file is named.

    Example:
        >>> specs = [encoder_spec("file:a.pth"), encoder_spec("random:resnet20")]
        >>> [spec.architecture for spec in with_facts(specs, architecture="resnet18", take="")]
        ['resnet18', '']
    """
    from vireo.errors import SettingError

    stated = {name: fact for name, fact in facts.items() if fact}
    if stated and not any(spec.spec.startswith("file:") for spec in specs):
        options = ", ".join(f"--{name.replace('_', '-')}" for name in stated)
        raise SettingError(f"{options}: only for file: encoders, and none is named; leave it out.")
    return tuple(
        dataclasses.replace(spec, **stated) if spec.spec.startswith("file:") else spec
        for spec in specs
    )


def size(text: str) -> tuple[int, int] | None:
    """Return the height and width that `224` or `224x320` stands for, or None if it is empty.

    Raises:
        SettingError: it is neither.

    Example:
        >>> size("224"), size("224x320"), size("")
        ((224, 224), (224, 320), None)
    """
    from vireo.errors import SettingError

    found = re.fullmatch(r"([1-9]\d*)(?:x([1-9]\d*))?", text)
    if text and found is None:
        raise SettingError(f"--input-size is written as 224 or 224x320; got '{text}'.")
    return (int(found[1]), int(found[2] or found[1])) if found else None


def triple(text: str, option: str) -> tuple[float, float, float] | None:
    """Return the three numbers of `text`, of RGB in [0, 1], or None if it is empty.

    Raises:
        SettingError: they are not three, or out of range.

    Example:
        >>> triple("0.5,0.5,0.5", "--mean"), triple("", "--std")
        ((0.5, 0.5, 0.5), None)
    """
    from vireo.errors import SettingError

    if not text:
        return None
    try:
        red, green, blue = (float(part) for part in text.split(","))
    except ValueError:
        red = green = blue = -1.0
    if not all(0 <= number <= 1 for number in (red, green, blue)):
        raise SettingError(
            f"{option} is three numbers of RGB from 0 to 1, as in 0.485,0.456,0.406; got '{text}'."
        )
    return red, green, blue
