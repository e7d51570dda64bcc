"""A run's folder: whose it is, whether it is finished, and one writer at a time.

recipe.json            settings, what they resolved to, compute and versions; written first
metrics.jsonl          one line a report
checkpoint-STEP.pt     the last two
cost.json              images a second, operations, seconds, memory, energy
encoder.safetensors    the result
card.json              written last: a folder that has it is finished
"""

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from vireo import devices, files
from vireo.console import warn
from vireo.digest import digest, plain
from vireo.errors import SettingError, StoreError
from vireo.records import PretrainSettings

RECIPE = "recipe.json"
METRICS = "metrics.jsonl"
COST = "cost.json"
RESULT = ("encoder.safetensors", "card.json")


@contextlib.contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """Hold the folder against other processes.

    Raises:
        StoreError: another process is at work on it.
    """
    with files.lock(folder / ".lock", f"the run in {folder}"):
        yield


def is_finished(folder: Path) -> bool:
    """Whether the encoder is there."""
    return all((folder / name).is_file() for name in RESULT)


def read_recipe(folder: Path, settings: PretrainSettings) -> dict[str, Any] | None:
    """Return the recipe of the run that the folder holds, or None if it holds none yet.

    Raises:
        SettingError: the folder holds a run with other settings, or files of something else.
        StoreError: its recipe cannot be read.
    """
    if not (folder / RECIPE).is_file():
        foreign = [name for name in (METRICS, *RESULT) if (folder / name).exists()]
        if foreign:
            raise SettingError(
                f"{folder} has {foreign[0]} but no {RECIPE}: it is not a run's. Take another "
                f"folder."
            )
        return None
    recipe = files.read_json(folder / RECIPE)
    parts = ("settings", "resolved", "compute", "versions")
    if not isinstance(recipe, dict) or not all(isinstance(recipe.get(p), dict) for p in parts):
        raise StoreError(f"{folder / RECIPE} is not a run's recipe; take another folder.")
    _demand_same(folder, recipe["settings"], plain(settings))
    return recipe


def write_recipe(
    folder: Path,
    settings: PretrainSettings,
    resolved: Mapping[str, Any],
    compute: Mapping[str, Any],
) -> None:
    """Write what the run is, before its first step."""
    recipe = {
        "format": 1,
        "digest": digest(settings),
        "settings": settings,
        "resolved": resolved,
        "compute": compute,
        "versions": devices.versions(),
    }
    files.write_json(folder / RECIPE, plain(recipe))


def compare_recipe(
    folder: Path, recipe: Mapping[str, Any], resolved: Mapping[str, Any], compute: Mapping[str, Any]
) -> None:
    """Hold what a run resolved to now against what it resolved to when it began.

    Other images or defaults are refused. Another machine, number of processes or version is not,
    but said: sums are rounded in another order or precision, so the result is equal only nearly.
    Local batch norm, of methods published with it, sees other shares of a batch.

    Raises:
        SettingError: the images or the method's defaults are not those the run began with.
    """
    _demand_same(folder, recipe["resolved"], plain(resolved))
    then = {"processes": 1, **recipe["versions"], **recipe["compute"]}
    now = {**devices.versions(), **compute}
    named = ("device", "precision", "threads", "processes", *devices.versions())
    changed = [name for name in named if then.get(name) != now[name]]
    if changed:
        facts = ", ".join(f"{name} {then.get(name)} -> {now[name]}" for name in changed)
        warn(f"The run in {folder} goes on under other conditions ({facts}): not bit for bit.")


def _demand_same(folder: Path, then: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    changed = [name for name in now if then.get(name) != now[name]]
    if changed:
        name = changed[0]
        raise SettingError(
            f"{folder} holds a run with another {', '.join(changed)} ({name}: "
            f"{_short(then.get(name))} there, {_short(now[name])} asked for). Take another folder, "
            f"or the settings in its {RECIPE}."
        )


def _short(value: Any, length: int = 80) -> str:
    text = repr(value)
    return text if len(text) <= length else text[: length - 3] + "..."
