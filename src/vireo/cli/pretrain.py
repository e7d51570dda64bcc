"""`vireo pretrain`: one run; the same command again continues it."""

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vireo.cli.options import PATH, Device, Threads
from vireo.errors import SettingError

if TYPE_CHECKING:
    from vireo.records import PretrainSettings

_DEFAULTS = {"architecture": "resnet18", "epochs": 100, "batch_size": 256, "image_size": 224}


def pretrain(
    method: Annotated[str, typer.Argument(help="A method; see vireo list methods.")],
    data: Annotated[str, typer.Option(help="A dataset's name, folder:PATH, parquet:GLOB, ...")],
    out: Annotated[Path, typer.Option(help="The run's folder.", **PATH)],
    recipe: Annotated[
        str | None,
        typer.Option(help="paper, small (images of 32 pixels) or a file; the options change it."),
    ] = None,
    architecture: Annotated[
        str | None, typer.Option(help="See vireo list encoders; resnet18 if left out.")
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(help="Passes over the images; 100 if left out.")
    ] = None,
    batch_size: Annotated[int | None, typer.Option(help="Images a step; 256 if left out.")] = None,
    image_size: Annotated[
        int | None, typer.Option(help="Side of the full-size views; 224 if left out.")
    ] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="A method's setting, as key=value.")
    ] = None,
    optimizer: Annotated[
        list[str] | None,
        typer.Option(help="What differs from the recipe's optimiser, as key=value (name=sgd)."),
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

    named = {
        "architecture": architecture,
        "epochs": epochs,
        "batch_size": batch_size,
        "image_size": image_size,
    }
    changes = {
        "data": data,
        "seed": seed,
        "accumulate": accumulate,
        "options": parse_options(set_ or []),
        "optimizer": parse_options(optimizer or []),
        **{name: value for name, value in named.items() if value is not None},
    }
    settings = _settings(method, recipe, changes)
    with joined() as processes:
        chosen = compute(processes.device(device), threads)
        folder = run(settings, out, compute=chosen, knn_every=knn_every)
        say(f"The encoder is in {folder}. Probe it: vireo probe run:{folder} --task NAME --out DIR")


def _settings(method: str, recipe: str | None, changes: dict[str, Any]) -> "PretrainSettings":
    from vireo.pretrain.recipes import find_recipe, optimizer_with
    from vireo.records import PretrainSettings

    if recipe is not None:
        return find_recipe(recipe, method).settings(changes)
    facts = {"method": method, **_DEFAULTS, **changes}
    facts["optimizer"] = optimizer_with(method, facts["batch_size"], changes["optimizer"])
    return PretrainSettings(**facts)


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
