"""A person's own task, from a TOML file: no fork and no code.

The file holds the fields of `Task` at the top and those of `DatasetSpec` under `[data]`:

    name = "leaves"
    summary = "is the leaf ill"
    target = "class"
    outputs = 2
    family = "semantic-image"
    head = "linear"
    loss = "cross-entropy"
    metric = "top-1"
    epochs = 100
    input_size = [224, 224]     # or "encoder": the size each encoder was trained at

    [data]
    name = "leaves"
    source = "image-folder"
    [data.options]
    root = "$LEAVES"            # variables are expanded when the files are opened
    [data.splits.train]
    split = "train"
    [data.carve.test]
    fraction = 0.2

In place of `[data]`, `dataset = "NAME"` takes a named dataset. TOML can express only data. A file
may name a class by its dotted path, whose module is then imported; nothing else is run.
"""

import dataclasses
import re
from collections.abc import Iterator
from typing import Any

from vireo.catalog import unknown
from vireo.data.datasets import DATASETS
from vireo.data.sources import SOURCES
from vireo.data.spec_checks import spec_mistakes
from vireo.records import DatasetSpec, Task
from vireo.records.lines import key_lines
from vireo.records.reading import Mistake, check_record, refuse
from vireo.records.toml_files import read_toml
from vireo.tasks import HEADS, LOSSES, METRICS
from vireo.tasks.checks import mistakes

_NAME = re.compile(r"\w[\w.+ -]{0,63}")
_LARGEST = {"outputs": 10**6, "frames": 1000, "batch_size": 10**6, "epochs": 10**6}
_LARGEST_SIDE = 2**14
_TABLES = {"head": HEADS, "loss": LOSSES, "metric": METRICS}


def read_task(path: str) -> Task:
    """Read a task file.

    Raises:
        SettingError: the file is missing, not TOML, or has mistakes; all of them are listed, each
            with its line where one can be named.
    """
    values, text = read_toml(path, "a task")
    spec, found = _spec(values)
    task, wrong = check_record(Task, _without_data(values))
    found += wrong
    found += _names(values) if task is None else _rules(task)
    refuse(path, _with_lines(text, found))
    assert task is not None
    return task if spec is None else dataclasses.replace(task, dataset=spec)


def _spec(values: dict[str, Any]) -> tuple[DatasetSpec | None, list[Mistake]]:
    if "data" not in values:
        return None, []
    data = values["data"]
    if not isinstance(data, dict):
        return None, [Mistake(("data",), f"data should be a table; got {str(data)[:80]}")]
    spec, found = check_record(DatasetSpec, data, ("data",))
    if spec is not None:
        found += spec_mistakes(spec, ("data",))
    if "dataset" in values:
        sentence = "dataset is given twice: by name and as [data]; keep one"
        found.append(Mistake(("dataset",), sentence))
    return spec, found


def _without_data(values: dict[str, Any]) -> dict[str, Any]:
    """Put a name where `[data]` stood, so that the task is checked apart from it."""
    if "data" not in values:
        return values
    return {name: value for name, value in values.items() if name != "data"} | {"dataset": "digits"}


def _names(values: dict[str, Any]) -> Iterator[Mistake]:
    """Check the names in a file that is no record yet, so that they are told with its mistakes."""
    data = values.get("data")
    source = data.get("source") if isinstance(data, dict) else None
    asked = [(("data", "source"), source), *(((kind,), values.get(kind)) for kind in _TABLES)]
    for path, name in asked:
        table = _TABLES.get(path[0], SOURCES)
        if isinstance(name, str) and name not in table and ":" not in name:
            sentence = unknown(name, table, path[-1]).removesuffix(".")
            yield Mistake(path, f"{'.'.join(path)}: {sentence}")


def _rules(task: Task) -> Iterator[Mistake]:
    """What holds of a stranger's file: names that tables can show, sizes that machines can hold."""
    if not _NAME.fullmatch(task.name):
        rule = "letters, digits, spaces and . _ + - only, 64 at most, a letter or digit first"
        yield Mistake(("name",), f"name is of {rule}; got {task.name[:80]!r}")
    named = [("dataset", task.dataset), *(("extra_tests", name) for name in task.extra_tests)]
    for key, name in named:
        if isinstance(name, str) and name not in DATASETS and ":" not in name:
            sentence = unknown(name, DATASETS, "dataset").removesuffix(".")
            yield Mistake((key,), f"{key}: {sentence}")
    yield from _sizes(task)
    yield from (Mistake(_key_in(sentence), sentence) for sentence in mistakes(task))


def _sizes(task: Task) -> Iterator[Mistake]:
    for key, most in _LARGEST.items():
        if getattr(task, key) > most:
            yield Mistake((key,), f"{key} must be at most {most}; got {getattr(task, key)}")
    for key in ("input_size", "crop"):
        size = getattr(task, key)
        if isinstance(size, tuple) and max(size) > _LARGEST_SIDE:
            yield Mistake((key,), f"{key} must be at most {_LARGEST_SIDE} a side; got {size}")


def _key_in(sentence: str) -> tuple[str, ...]:
    """Return the first key of a task that a sentence names."""
    keys = {field.name for field in dataclasses.fields(Task)}
    return next(((word,) for word in re.findall(r"\w+", sentence) if word in keys), ())


def _with_lines(text: str, found: list[Mistake]) -> list[str]:
    """Put in front of each mistake the line of its key, or of the innermost table around it."""
    lines = key_lines(text) if found else {}
    found = list(dict.fromkeys(found))
    numbered = [(_line(lines, mistake), mistake.sentence) for mistake in found]
    return [
        f"line {line}: {sentence}" if line else sentence
        for line, sentence in sorted(numbered, key=lambda pair: pair[0] or len(text))
    ]


def _line(lines: dict[tuple[str, ...], int], mistake: Mistake) -> int | None:
    path = tuple(part for part in mistake.path if isinstance(part, str))
    outward = (path[:length] for length in range(len(path), 0, -1))
    return next((lines[place] for place in outward if place in lines), None)
