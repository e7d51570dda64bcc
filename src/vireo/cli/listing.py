"""`vireo list`: what can be named, without importing torch."""

import ast
import importlib.util
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vireo.cli.options import Json
from vireo.cli.output import Line, show

if TYPE_CHECKING:
    from vireo.records import DatasetCard, DatasetSpec, PublishedEncoder, Task


class Kind(StrEnum):
    """What can be listed."""

    encoders = "encoders"
    methods = "methods"
    recipes = "recipes"
    tasks = "tasks"
    datasets = "datasets"
    sources = "sources"
    subsets = "subsets"


_COLUMNS = {Kind.tasks: ("name", "family", "head", "metric", "size", "floor", "data")}
"""What tables show of lines that have more; JSON has all."""


def list_known(
    kind: Annotated[Kind, typer.Argument(help="What to list.")], as_json: Json = False
) -> None:
    """List what can be named: encoders, methods, recipes, tasks, datasets, sources or subsets."""
    lists: dict[Kind, Callable[[], list[Line]]] = {
        Kind.encoders: _encoders,
        Kind.methods: _methods,
        Kind.recipes: _recipes,
        Kind.tasks: _tasks,
        Kind.datasets: _datasets,
        Kind.sources: _sources,
        Kind.subsets: _subsets,
    }
    show(lists[kind](), as_json, _COLUMNS.get(kind))


def _encoders() -> list[Line]:
    return [*_specs(), *_architectures(), *_published()]


def _specs() -> list[Line]:
    from vireo.encoders import OPENERS

    known = {
        "run": ("run:DIR", "what vireo pretrain left in a folder"),
        "file": ("file:PATH", "a checkpoint; its architecture is recognised or given"),
        "timm": ("timm:NAME", "published weights; random:timm:NAME is without them"),
        "torchvision": (
            "torchvision:NAME",
            "published weights; random:torchvision:NAME is without",
        ),
        "zoo": ("zoo:NAME", "a published encoder of the list below, fetched and verified"),
        "random": ("random:ARCHITECTURE", "random weights: the floor of every comparison"),
    }
    specs = [known.get(kind, (f"{kind}:...", summary_of(path))) for kind, path in OPENERS.items()]
    return [{"name": name, "kind": "spec", "summary": text} for name, text in specs]


def _architectures() -> list[Line]:
    """List architectures, those of one builder together, then families that are no specs."""
    from vireo.encoders import ARCHITECTURES, FAMILIES, OPENERS

    builders = list(dict.fromkeys(ARCHITECTURES.values()))
    named = sorted(ARCHITECTURES.items(), key=lambda item: builders.index(item[1]))
    families = [
        (f"{family}:NAME", path) for family, path in FAMILIES.items() if family not in OPENERS
    ]
    return [
        {"name": name, "kind": "architecture", "summary": summary_of(path)}
        for name, path in (*named, *families)
    ]


def _published() -> list[Line]:
    from vireo.digest import plain
    from vireo.encoders.zoo import ZOO, is_cached, source_of

    lines: list[Line] = []
    for name, card in ZOO.items():
        here = is_cached(card)
        line = {"name": f"zoo:{name}", "kind": card.group, "summary": _what(card)}
        line["summary"] += f"; {'in the cache' if here else source_of(card)}"
        facts = {key: fact for key, fact in plain(card).items() if key not in line}
        lines.append({**line, **facts, "source": source_of(card), "cached": here})
    return lines


def _what(card: "PublishedEncoder") -> str:
    images = f" ({card.images:,} images)" if card.images else ""
    epochs = f", {card.epochs:g} epochs" if card.epochs else ""
    return f"{card.method}, {card.pretraining_set}{images}{epochs}; {card.architecture}"


def _methods() -> list[Line]:
    from vireo.digest import plain
    from vireo.methods.cards import CARDS

    return [{"name": name, **plain(card)} for name, card in CARDS.items()]


def _recipes() -> list[Line]:
    from vireo.pretrain.recipes import find_recipe, known_recipes

    shown = ("architecture", "epochs", "batch_size", "expected", "ran", "command")
    lines: list[Line] = []
    for kind, method in known_recipes():
        recipe = find_recipe(kind, method)
        facts = {name: getattr(recipe, name) for name in shown}
        lines.append({"name": kind, "method": method, **facts})
    return lines


def _tasks() -> list[Line]:
    from vireo.catalog import resolve
    from vireo.tasks import TASKS

    return [_task(resolve(TASKS, name, "task")) for name in TASKS]


def _task(task: "Task") -> Line:
    facts = ("name", "summary", "family", "head", "loss", "metric", "outputs", "frames", "epochs")
    floor = "measured" if task.floor is None else task.floor
    return {fact: getattr(task, fact) for fact in facts} | {"floor": floor} | _data(task.dataset)


def _data(dataset: "str | DatasetSpec") -> Line:
    """Say how large a task's dataset is, and whether its files are here."""
    from vireo.catalog import resolve
    from vireo.data.datasets import DATASETS
    from vireo.data.roots import absence, card_of, is_named, variable

    spec = resolve(DATASETS, dataset, "dataset") if isinstance(dataset, str) else dataset
    card = card_of(spec.name)
    missing = absence(spec)
    here = f"absent: {variable(spec.name)}" if is_named(spec.options.get("root")) else "absent"
    return {
        "dataset": spec.name,
        "size": _sizes(card) if card else {},
        "data": here if missing else "here",
        "missing": missing,
    }


def _datasets() -> list[Line]:
    from vireo.data import DATASETS

    lines: list[Line] = []
    for name, path in DATASETS.items():
        card = importlib.import_module(path.partition(":")[0]).CARD
        splits = _sizes(card)
        lines.append(
            {"name": name, "summary": card.summary, "splits": splits, "licence": card.licence}
        )
    return lines


def _sizes(card: "DatasetCard") -> dict[str, int | str]:
    return {split: size or "?" for split, size in card.splits.items()}


def _sources() -> list[Line]:
    from vireo.data import SOURCES

    return [{"name": name, "summary": summary_of(path)} for name, path in SOURCES.items()]


def _subsets() -> list[Line]:
    rules = {
        "fraction": "the same share of every class; also 'half' and 'quarter'",
        "linear": "class n gives n images, generalised to any number of classes",
        "log": "lambda * exp(a * n) + b, solved for the first, the last and the total",
        "uniform": "the same number of images of every class, or of every folder",
        "rate": "every k-th frame of every folder of frames",
        "combination": "a share of each of several sets",
    }
    return [{"name": name, "summary": text} for name, text in rules.items()]


def summary_of(path: str) -> str:
    """Return the first line of the docstring of `package.module:Object` or of a module, unimported.

    The object's own, or else its module's. Importing a method would take seconds for torch.
    """
    module, _, name = path.partition(":")
    found = importlib.util.find_spec(module)
    if found is None or found.origin is None:
        return ""
    tree = ast.parse(Path(found.origin).read_text(encoding="utf-8"))
    objects = [n for n in tree.body if isinstance(n, ast.ClassDef | ast.FunctionDef)]
    text = next((ast.get_docstring(n) for n in objects if n.name == name), None)
    return (text or ast.get_docstring(tree) or "").partition("\n")[0]
