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

In place of `[data]`, `dataset = "NAME"` takes a named dataset. TOML can express only data: reading
a file executes nothing.
"""

import dataclasses
import re
import tomllib
from typing import Any

from vireo.errors import SettingError
from vireo.files import expand
from vireo.records import DatasetSpec, Task
from vireo.records.reading import read_record, refuse
from vireo.tasks.checks import mistakes


def read_task(path: str) -> Task:
    """Read a task file.

    Raises:
        SettingError: the file is missing, not TOML, or has mistakes; all of them are listed, each
            with its line where one can be named.
    """
    text = _text(path)
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingError(f"{path} is not valid TOML: {error}.") from error
    task, found = _task(values)
    if task is not None:
        found += mistakes(task)
    refuse(path, [_with_line(text, sentence) for sentence in found])
    assert task is not None
    return task


def _task(values: dict[str, Any]) -> tuple[Task | None, list[str]]:
    """Validate the task and its `[data]` table apart, so that each mistake is said once."""
    if "data" not in values:
        return read_record(Task, values)
    found = []
    data = values["data"]
    values = {name: value for name, value in values.items() if name != "data"}
    if "dataset" in values:
        found.append("dataset is given twice: by name and as [data]; keep one")
    if not isinstance(data, dict):
        return None, [*found, f"data should be a table; got {data!r}"]
    spec, wrong = read_record(DatasetSpec, data)
    task, more = read_record(Task, values | {"dataset": "data"})
    found += [f"data: {sentence}" for sentence in wrong] + more
    if task is None or spec is None or found:
        return None, found
    return dataclasses.replace(task, dataset=spec), []


def _text(path: str) -> str:
    try:
        return expand(path).read_text(encoding="utf-8")
    except OSError as error:
        raise SettingError(f"The task file {path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise SettingError(f"The task file {path} is not UTF-8 text ({error.reason}).") from error


def _with_line(text: str, sentence: str) -> str:
    """Put in front of a mistake the line on which its key or table stands, where it has one."""
    quoted = re.search(r"Unknown key[^']*'([^']+)'", sentence)
    words = sentence.removeprefix("data: ").split()
    key = quoted.group(1) if quoted else words[0].rstrip(":").split(".")[-1].split("[")[0]
    place = re.compile(rf"\s*(\[[^\]]*\b)?{re.escape(key)}[\"']?\s*(=|\])")
    for number, line in enumerate(text.splitlines(), start=1):
        if place.match(line):
            return f"line {number}: {sentence}"
    return sentence
