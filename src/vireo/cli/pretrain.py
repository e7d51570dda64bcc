"""`vireo pretrain`: one run; the same command again continues it."""

import tomllib
from pathlib import Path
from typing import Annotated, Any

import typer

from vireo.cli.options import Device, Threads
from vireo.errors import SettingError


def pretrain(
    method: Annotated[str, typer.Argument(help="A method; see vireo list methods.")],
    data: Annotated[str, typer.Option(help="A dataset's name, folder:PATH, parquet:GLOB, ...")],
    out: Annotated[Path, typer.Option(help="The run's folder.")],
    architecture: Annotated[str, typer.Option(help="See vireo list encoders.")] = "resnet18",
    epochs: Annotated[int, typer.Option(help="Passes over the images.")] = 100,
    batch_size: Annotated[int, typer.Option(help="Images a step.")] = 256,
    image_size: Annotated[int, typer.Option(help="Side of the full-size views.")] = 224,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="A method's setting, as key=value.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of weights, order and views.")] = 0,
    device: Device = "auto",
    threads: Threads = None,
) -> None:
    """Pre-train an encoder; given again, the command continues what was stopped."""
    from vireo.cli.options import compute
    from vireo.console import say
    from vireo.pretrain import pretrain as run
    from vireo.records import PretrainSettings

    settings = PretrainSettings(
        method=method,
        architecture=architecture,
        data=data,
        epochs=epochs,
        batch_size=batch_size,
        image_size=image_size,
        options=parse_options(set_ or []),
        seed=seed,
    )
    folder = run(settings, out, compute=compute(device, threads))
    say(f"The encoder is in {folder}. Probe it: vireo probe run:{folder} --task NAME --out DIR")


def parse_options(pairs: list[str]) -> dict[str, Any]:
    """Return `key=value` pairs as a mapping; a value is read as TOML, or else is text.

    Raises:
        SettingError: a pair without "=".

    Example:
        >>> parse_options(["queue_size=64", "name=adam", "crop_scale=[0.2, 1.0]"])
        {'queue_size': 64, 'name': 'adam', 'crop_scale': (0.2, 1.0)}
    """
    options = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals or not key:
            raise SettingError(f"--set takes key=value; got '{pair}'.")
        options[key.strip()] = _value(text.strip())
    return options


def _value(text: str) -> Any:
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
    return tuple(value) if isinstance(value, list) else value
