"""`vireo list`: what can be named, without importing torch."""

import ast
import importlib.util
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from vireo.cli.options import Json
from vireo.cli.output import Line, show


class Kind(StrEnum):
    """What can be listed."""

    encoders = "encoders"
    methods = "methods"
    tasks = "tasks"
    datasets = "datasets"
    sources = "sources"
    subsets = "subsets"


def list_known(
    kind: Annotated[Kind, typer.Argument(help="What to list.")], as_json: Json = False
) -> None:
    """List what can be named: encoders, methods, tasks, datasets, sources or subsets."""
    lists: dict[Kind, Callable[[], list[Line]]] = {
        Kind.encoders: _encoders,
        Kind.methods: _methods,
        Kind.tasks: _tasks,
        Kind.datasets: _datasets,
        Kind.sources: _sources,
        Kind.subsets: _subsets,
    }
    show(lists[kind](), as_json)


def _encoders() -> list[Line]:
    from vireo.encoders import ARCHITECTURES, FAMILIES

    specs = {
        "run:DIR": "what vireo pretrain left in a folder",
        "file:PATH": "a checkpoint; its architecture is recognised or given",
        "random:ARCHITECTURE": "random weights: the floor of every comparison",
        **{f"{family}:NAME": f"published weights through {family}" for family in FAMILIES},
    }
    lines = [{"name": name, "kind": "spec", "summary": text} for name, text in specs.items()]
    for name, path in ARCHITECTURES.items():
        summary = f"random:{name}, file:PATH; {summary_of(path)}"
        lines.append({"name": name, "kind": "architecture", "summary": summary})
    return lines


def _methods() -> list[Line]:
    from vireo.digest import plain
    from vireo.methods.cards import CARDS

    return [{"name": name, **plain(card)} for name, card in CARDS.items()]


def _tasks() -> list[Line]:
    from vireo.catalog import resolve
    from vireo.tasks import TASKS

    tasks = [resolve(TASKS, name, "task") for name in TASKS]
    facts = ("name", "summary", "family", "dataset", "head", "metric")
    return [{fact: getattr(task, fact) for fact in facts} for task in tasks]


def _datasets() -> list[Line]:
    from vireo.data import DATASETS

    lines: list[Line] = []
    for name, path in DATASETS.items():
        card = importlib.import_module(path.partition(":")[0]).CARD
        splits = dict(card.splits)
        lines.append(
            {"name": name, "summary": card.summary, "splits": splits, "licence": card.licence}
        )
    return lines


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
