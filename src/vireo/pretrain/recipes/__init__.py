"""Settings that belong together: as published ("paper"), for small images ("small"), or a file.

A recipe is a TOML file, one a method, in the folder of its kind. It says what is trained, on which
hardware, for how long and to which score, and what of that has been run. A person's own is a copy
of one with other numbers.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from vireo.digest import plain
from vireo.errors import SettingError
from vireo.files import expand
from vireo.methods import find_method
from vireo.records import OptimizerSettings, PretrainSettings
from vireo.records.reading import read_record, refuse
from vireo.records.settings import MethodOption
from vireo.records.toml_files import read_toml

KINDS = ("paper", "small")
_FOLDER = Path(__file__).parent
_RATES = ("learning_rate", "final_learning_rate", "bias_learning_rate", "warmup_learning_rate")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A run without its images, as a recipe's file has it.

    Attributes:
        command: that runs it.
        hardware, hours: of whoever published it, or of the runs in `ran`; "unknown" if nobody says.
        expected: score to expect, with its protocol and source.
        ran: what of it was run here, and what came out; "nothing" is an answer.
        optimizer: what differs from the method's published optimiser. Rates are for `batch_size`
            and change in proportion to the batch (Goyal et al. 2017).
    """

    method: str
    command: str
    hardware: str
    hours: str
    expected: str
    ran: str
    architecture: str
    epochs: int
    batch_size: int
    image_size: int
    engine: Literal["auto", "torch", "opencv"] = "auto"
    options: Mapping[str, MethodOption] = field(default_factory=dict)
    optimizer: Mapping[str, MethodOption] = field(default_factory=dict)

    def settings(self, changes: Mapping[str, Any]) -> PretrainSettings:
        """Return the run's settings.

        Args:
            changes: settings by name, at least "data"; "options" and "optimizer" are merged into
                the recipe's.

        Raises:
            SettingError: a change that no optimiser has, or of another type.
        """
        return PretrainSettings(**self.facts(changes))

    def facts(self, changes: Mapping[str, Any]) -> dict[str, Any]:
        """Return the run's settings by name, as `settings` does, unchecked but for the optimiser's.

        Raises:
            SettingError: a change that no optimiser has, or of another type.
        """
        facts = {name: getattr(self, name) for name in _SHARED} | dict(changes)
        facts["options"] = {**self.options, **changes.get("options", {})}
        facts["optimizer"] = self._optimizer(facts["batch_size"], changes.get("optimizer", {}))
        return facts

    def _optimizer(
        self, batch_size: int, changes: Mapping[str, MethodOption]
    ) -> OptimizerSettings | None:
        factor = batch_size / self.batch_size
        scaled = {
            name: value * factor if name in _RATES and isinstance(value, float) else value
            for name, value in self.optimizer.items()
        }
        return optimizer_with(self.method, batch_size, {**scaled, **changes})


_SHARED = tuple(
    {item.name for item in dataclasses.fields(Recipe)}
    & {item.name for item in dataclasses.fields(PretrainSettings)}
)


def find_recipe(name: str, method: str) -> Recipe:
    """Return the recipe of that kind for a method, or the one in the file of that name.

    Raises:
        SettingError: there is none, or its file has mistakes; all of them are listed.
    """
    if name in KINDS and (name, method) not in known_recipes():
        known = ", ".join(method for kind, method in known_recipes() if kind == name)
        raise SettingError(f"There is no recipe '{name}' for '{method}'; there are: {known}.")
    path = _FOLDER / name / f"{method}.toml" if name in KINDS else expand(name)
    recipe = _read(path)
    if recipe.method != method:
        raise SettingError(f"{path} is a recipe for {recipe.method}; got the method '{method}'.")
    return recipe


def known_recipes() -> list[tuple[str, str]]:
    """Return the kind and the method of every recipe that ships with vireo."""
    return [(kind, path.stem) for kind in KINDS for path in sorted((_FOLDER / kind).glob("*.toml"))]


def optimizer_with(
    method: str, batch_size: int, changes: Mapping[str, Any]
) -> OptimizerSettings | None:
    """Return the method's published optimiser with `changes`, or None where there are none.

    Raises:
        SettingError: a change that no optimiser has, or of another type.
    """
    if not changes:
        return None
    published = find_method(method).published_optimizer(batch_size)
    stated = {
        name: list(value) if isinstance(value, tuple) else value for name, value in changes.items()
    }
    record, mistakes = read_record(OptimizerSettings, {**plain(published), **stated})
    refuse("The optimiser", mistakes)
    return record


def _read(path: Path) -> Recipe:
    values, _ = read_toml(path, f"a recipe ({' or '.join(KINDS)}, or your own)")
    recipe, mistakes = read_record(Recipe, values)
    if recipe is not None and recipe.batch_size < 1:  # rates are divided by it
        mistakes.append(f"batch_size must be at least 1; got {recipe.batch_size}")
    refuse(str(path), mistakes)
    assert recipe is not None
    return recipe
