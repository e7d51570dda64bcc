"""A study file (TOML) to a `StudyPlan`: types, keys and names are checked, no disk is touched.

What needs the disk or a network (files, images, checkpoints) is checked by `vireo.study.check`, so
that a study file can be read on a machine that has none of its data.
"""

import dataclasses
import re
from pathlib import Path
from typing import Any

from vireo.catalog import unknown
from vireo.digest import plain
from vireo.errors import VireoError
from vireo.records import EncoderSpec, PretrainSettings, StudyPlan, Task
from vireo.records.reading import read_record, refuse
from vireo.records.toml_files import read_toml
from vireo.study.grid import write_out
from vireo.study.reference import is_chosen_by_one

_FOLDER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}")
_MERGED: dict[str, tuple[type, str]] = {
    "recipe": (str, "text"),
    "method": (str, "a method's name"),
    "batch_size": (int, "a whole number"),
    "options": (dict, "a table"),
    "optimizer": (dict, "a table"),
}
"""What following a recipe reads of a table, before the table's types are checked."""
_FOLDER_RULE = "names a folder: letters, digits, . _ + - only, 64 at most"


def read_plan(path: Path) -> StudyPlan:
    """Read a study file.

    Tasks are names of the catalogue or paths of task files relative to the study file. A table of
    `pretrain` may name a `recipe`, which its other keys change, and a set of `data`; `grid` stands
    for many of them (`vireo.study.grid`).

    Raises:
        SettingError: the file is missing or not TOML, or has mistakes; all of them are listed.
    """
    values, _ = read_toml(path, "a study")
    refuse(str(path), write_out(values))
    refuse(str(path), _follow_recipes(values.get("pretrain"), path.parent))
    tasks, mistakes = _tasks(values.pop("tasks", None), path.parent)
    plan, found = read_record(StudyPlan, {**values, "tasks": []})
    mistakes += found
    if plan is not None:
        plan = dataclasses.replace(
            plan, tasks=tuple(tasks), encoders=tuple(map(_named, plan.encoders))
        )
        mistakes += _own_name(plan) + _names(plan) + _methods(plan)
    refuse(str(path), mistakes)
    assert plan is not None
    return plan


def encoder_names(plan: StudyPlan) -> list[str]:
    """Return the names of the plan's encoders in the order tables show them."""
    return [*(spec.name for spec in plan.encoders), *plan.pretrain]


def check_names(plan: StudyPlan) -> None:
    """Check a plan that was not read from a file.

    Raises:
        SettingError: names that clash, or settings that cannot work; all are listed.
    """
    refuse(f"The study '{plan.name}'", _names(plan) + _methods(plan))


def _tasks(names: object, folder: Path) -> tuple[list[Task], list[str]]:
    from vireo.tasks import find_task

    if not isinstance(names, list) or not names or not all(isinstance(n, str) for n in names):
        return [], [f"tasks should be a list of task names and files; got {names!r}"]
    tasks, mistakes = [], []
    for name in names:
        try:
            tasks.append(find_task(str(folder / name) if name.endswith(".toml") else name))
        except VireoError as error:
            mistakes.append(f"task {name}: {error}")
    return tasks, mistakes


def _follow_recipes(tables: Any, folder: Path) -> list[str]:
    """Fill in, in place, the tables that name a recipe; return what is wrong with those."""
    mistakes = []
    for name, table in tables.items() if isinstance(tables, dict) else ():
        if not isinstance(table, dict) or "recipe" not in table:
            continue
        wrong = [
            f"pretrain.{name}.{key} should be {words}; got {table[key]!r}"
            for key, (kind, words) in _MERGED.items()
            if key in table and not isinstance(table[key], kind)
        ]
        if "method" not in table:
            wrong.append(f"pretrain.{name}.method is missing")
        try:
            tables[name] = table if wrong else _recipe_facts(table, folder)
        except VireoError as error:
            wrong = [f"pretrain.{name}: {error}"]
        mistakes += wrong
    return mistakes


def _recipe_facts(table: dict[str, Any], folder: Path) -> dict[str, Any]:
    from vireo.pretrain.recipes import KINDS, find_recipe

    changes = {key: value for key, value in table.items() if key != "recipe"}
    recipe = table["recipe"] if table["recipe"] in KINDS else str(folder / table["recipe"])
    facts = find_recipe(recipe, changes["method"]).facts(changes)
    return facts | {name: facts[name] and plain(facts[name]) for name in ("options", "optimizer")}


def _named(spec: EncoderSpec) -> EncoderSpec:
    return dataclasses.replace(spec, name=spec.name or spec.spec)


def _own_name(plan: StudyPlan) -> list[str]:
    """Check the name of a file's study: it names a folder, and must not lead out of `runs`."""
    if _FOLDER_NAME.fullmatch(plan.name):
        return []
    return [f"name {_FOLDER_RULE}; got '{plan.name}'"]


def _names(plan: StudyPlan) -> list[str]:
    """Check that encoders and tasks can be told apart, and that the baseline is one of them."""
    names = encoder_names(plan)
    found = [f"two {kind} are called '{name}'; rename one" for kind, name in _twice(plan)]
    if not names:
        found.append("no encoder is named; add an [[encoders]] or a [pretrain.NAME] table")
    if plan.baseline and plan.baseline not in names:
        found.append(unknown(plan.baseline, names, "baseline"))
    found += [
        f"pretrain.{name} {_FOLDER_RULE}"
        for name in plan.pretrain
        if not _FOLDER_NAME.fullmatch(name)
    ]
    if not plan.probe.seeds:
        found.append("probe.seeds is empty; give at least one")
    return found + _reference(plan, names)


def _reference(plan: StudyPlan, names: list[str]) -> list[str]:
    """Check that the encoder that chooses for all is named where it is needed, and only there."""
    reference = plan.probe.reference
    if reference and plan.probe.protocol != "reference":
        return [f"probe.reference is for protocol 'reference'; got '{plan.probe.protocol}'"]
    if reference and reference not in names:
        return [unknown(reference, names, "reference encoder")]
    if is_chosen_by_one(plan) and not reference:
        known = ", ".join(names)
        return [f"probe.reference is empty: name the encoder that chooses for all ({known})"]
    return []


def _twice(plan: StudyPlan) -> list[tuple[str, str]]:
    both = {"encoders": encoder_names(plan), "tasks": [task.name for task in plan.tasks]}
    return [
        (kind, name)
        for kind, names in both.items()
        for name in dict.fromkeys(names)
        if names.count(name) > 1
    ]


def _methods(plan: StudyPlan) -> list[str]:
    found = []
    for name, settings in plan.pretrain.items():
        found += [f"pretrain.{name}: {mistake}" for mistake in method_mistakes(settings)]
    return found


def method_mistakes(settings: PretrainSettings) -> list[str]:
    """Return what is wrong with a run's method and options, without reading any image."""
    from vireo.methods import find_method
    from vireo.methods.building import method_settings

    try:
        method_settings(find_method(settings.method), settings.image_size, settings.options)
    except VireoError as error:
        return [str(error)]
    return []
