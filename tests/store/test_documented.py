"""docs/results.md says what is stored: every field, every column, every format."""

import re
import typing
from pathlib import Path

from vireo.records import Cost, ResultRow, RowKey
from vireo.store.columns import FURTHER, TABLE
from vireo.store.results import COLUMNS
from vireo.store.row_files import FORMAT

PAGE = (Path(__file__).parents[2] / "docs" / "results.md").read_text()
WORDS = {
    "str": "text",
    "int": "integer",
    "float": "number",
    "int | None": "integer or null",
    "float | None": "number or null",
    "Mapping[str, float]": "object of numbers",
    "Mapping[str, float | int | str]": "object of numbers and texts",
    "Mapping[str, str]": "object of texts",
}


def table_below(title):
    """Lines of the first table below a heading, as cells, without the head."""
    text = PAGE.split(f"## {title}\n", 1)[1].split("\n## ")[0]
    lines = [line for line in text.splitlines() if line.startswith("| ")][1:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def fields(kind, prefix=""):
    for name, hint in typing.get_type_hints(kind).items():
        if hint in (RowKey, Cost):
            yield from fields(hint, f"{name}.")
        else:
            said = hint.__name__ if isinstance(hint, type) else str(hint)
            yield f"`{prefix}{name}`", WORDS[re.sub(r"\w+\.", "", said)]


def test_every_field_of_a_row_is_documented_with_its_type():
    shown = [tuple(cells[:2]) for cells in table_below("The file")]
    assert shown == [("`format`", "integer"), *fields(ResultRow)]
    assert all(cells[2] for cells in table_below("The file"))


def test_every_column_is_documented_with_its_type_in_order():
    shown = [tuple(cells) for cells in table_below("The table")]
    assert shown == [
        (f"`{c.name}`", c.kind + ", may be missing" * c.optional, c.meaning)
        for c in (*TABLE, *FURTHER)
    ]
    assert tuple(column.name for column in TABLE) == COLUMNS


def test_columns_and_fields_agree_on_types():
    documented = {name.strip("`"): kind for name, kind in fields(ResultRow)}
    kinds = {"text": ("text", "object"), "integer": ("integer",), "real": ("number", "integer")}
    for column in (*TABLE, *FURTHER):
        kind = documented.get(column.path or column.name, "text")  # a key's digest is text
        assert kind.startswith(kinds[column.kind]), column.name
        assert kind.endswith("null") == column.optional, column.name


def test_every_format_is_documented():
    assert [int(cells[0]) for cells in table_below("Formats")] == list(range(1, FORMAT + 1))
    assert f"Format {FORMAT}." in PAGE


def test_names_of_columns_are_distinct():
    names = [column.name for column in (*TABLE, *FURTHER)]
    assert len(set(names)) == len(names)
