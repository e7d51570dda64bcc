"""`vireo probe`: encoders times tasks from the command line; a study without a file."""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from vireo.cli.options import PATH, Architecture, Device, Json, Mean, Std, Take, Threads

if TYPE_CHECKING:
    from vireo.records import EncoderSpec, ProbeSettings

_NAMED = re.compile(r"([A-Za-z0-9][A-Za-z0-9._+-]*)=([a-z]+:.+)", re.DOTALL)

PROBES = Path("runs/probe")


class Protocol(StrEnum):
    """How an encoder is asked."""

    tuned = "tuned"
    paper = "paper"
    reference = "reference"
    knn = "knn"
    few_shot = "few-shot"
    fine_tune = "fine-tune"


class Scoring(StrEnum):
    """How answers are counted."""

    standard = "standard"
    released = "released"


def probe(
    encoder: Annotated[list[str], typer.Argument(help="run:DIR, file:PATH, ..., or NAME=SPEC.")],
    task: Annotated[list[str], typer.Option(help="A task's name or file; may be repeated.")],
    out: Annotated[Path, typer.Option(help="Where rows and features are kept.", **PATH)] = PROBES,
    protocol: Annotated[Protocol, typer.Option(help="How encoders are asked.")] = Protocol.tuned,
    scoring: Annotated[
        Scoring, typer.Option(help="How answers are counted: as usual, or by the released code.")
    ] = Scoring.standard,
    seeds: Annotated[int, typer.Option(min=1, help="Heads a cell, one row each.")] = 1,
    reference: Annotated[
        str, typer.Option(help="reference: the encoder that chooses optimiser and rate for all.")
    ] = "",
    neighbours: Annotated[int | None, typer.Option(min=1, help="knn: k of the votes.")] = None,
    temperature: Annotated[float | None, typer.Option(help="knn: T of the votes.")] = None,
    shots: Annotated[int | None, typer.Option(min=1, help="few-shot: images a class.")] = None,
    draws: Annotated[int | None, typer.Option(min=2, help="few-shot: how often drawn.")] = None,
    encoder_rate: Annotated[
        float | None, typer.Option(help="fine-tune: the encoder's rate, as a factor of the head's.")
    ] = None,
    architecture: Architecture = "",
    take: Take = "",
    input_size: Annotated[str, typer.Option(help="Of file: encoders: 224 or 224x320.")] = "",
    mean: Mean = "",
    std: Std = "",
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
    from vireo.records import StudyPlan
    from vireo.study import run_study
    from vireo.study.plan import check_names
    from vireo.tasks import find_task

    asked = {
        "neighbours": neighbours,
        "temperature": temperature,
        "shots": shots,
        "draws": draws,
        "encoder_rate": encoder_rate,
        "reference": reference or None,
    }
    specs = list(map(encoder_spec, encoder))
    if protocol is Protocol.reference and len(specs) == 1:
        asked["reference"] = specs[0].name  # it chooses for itself
    plan = StudyPlan(
        name=out.resolve().name,
        summary="",
        tasks=tuple(map(find_task, task)),
        encoders=with_facts(
            specs,
            architecture=architecture,
            take=take,
            input_size=size(input_size),
            mean=triple(mean, "--mean"),
            std=triple(std, "--std"),
        ),
        probe=settings(protocol.value, scoring.value, tuple(range(seeds)), asked),
    )
    check_names(plan)
    run_study(plan, out, compute=compute(device, threads))
    finish(out, as_json)


def settings(
    protocol: "Literal['paper', 'tuned', 'reference', 'knn', 'few-shot', 'fine-tune']",
    scoring: "Literal['standard', 'released']",
    seeds: tuple[int, ...],
    asked: Mapping[str, Any],
) -> "ProbeSettings":
    """Return the settings of a protocol with those of its fields that are stated.

    Raises:
        SettingError: a stated field is none of the protocol's.

    Example:
        >>> settings("knn", "standard", (0,), {"neighbours": 5, "shots": None}).neighbours
        5
    """
    from vireo.errors import SettingError
    from vireo.probe.protocols import PROTOCOLS
    from vireo.records import ProbeSettings

    stated = {name: value for name, value in asked.items() if value is not None}
    used = {*PROTOCOLS[protocol].uses, *(["reference"] if protocol == "reference" else [])}
    if foreign := [f"--{name.replace('_', '-')}" for name in stated if name not in used]:
        options = ", ".join(foreign)
        raise SettingError(f"{options}: --protocol {protocol} does not use it; leave it out.")
    return ProbeSettings(protocol=protocol, scoring=scoring, seeds=seeds, **stated)


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
