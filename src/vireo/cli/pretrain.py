"""`vireo pretrain`: one run; the same command again continues it."""

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vireo.cli.options import Device, Threads
from vireo.errors import SettingError

if TYPE_CHECKING:
    from vireo.records import OptimizerSettings


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
    optimizer: Annotated[
        list[str] | None,
        typer.Option(help="What differs from the paper's optimiser, as key=value (name=sgd)."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of weights, order and views.")] = 0,
    accumulate: Annotated[
        int, typer.Option(help="Parts of a batch whose gradients are added up, to save memory.")
    ] = 1,
    knn_every: Annotated[
        int, typer.Option(min=0, help="Epochs between kNN on held-out labels; 0 for none.")
    ] = 0,
    device: Device = "auto",
    threads: Threads = None,
) -> None:
    """Pre-train an encoder; given again, the command continues what was stopped."""
    from vireo.cli.options import compute
    from vireo.console import say
    from vireo.pretrain import pretrain as run
    from vireo.pretrain.distributed import joined
    from vireo.records import PretrainSettings

    settings = PretrainSettings(
        method=method,
        architecture=architecture,
        data=data,
        epochs=epochs,
        batch_size=batch_size,
        image_size=image_size,
        options=parse_options(set_ or []),
        optimizer=_optimizer(method, batch_size, parse_options(optimizer or [])),
        seed=seed,
        accumulate=accumulate,
    )
    with joined() as processes:
        chosen = compute(processes.device(device), threads)
        folder = run(settings, out, compute=chosen, knn_every=knn_every)
        say(f"The encoder is in {folder}. Probe it: vireo probe run:{folder} --task NAME --out DIR")


def _optimizer(method: str, batch_size: int, changes: dict[str, Any]) -> "OptimizerSettings | None":
    """Return the paper's optimiser with `changes`, or None where there are none.

    Raises:
        SettingError: a change that no optimiser has, or of another type.
    """
    from vireo.digest import plain
    from vireo.methods import find_method
    from vireo.records import OptimizerSettings
    from vireo.records.reading import read_record, refuse

    if not changes:
        return None
    published = find_method(method).published_optimizer(batch_size)
    record, mistakes = read_record(OptimizerSettings, {**plain(published), **changes})
    refuse("--optimizer", mistakes)
    return record


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
            raise SettingError(f"A setting takes key=value; got '{pair}'.")
        options[key.strip()] = _value(text.strip())
    return options


def _value(text: str) -> Any:
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
    return tuple(value) if isinstance(value, list) else value
