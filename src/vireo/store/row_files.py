"""A result row as JSON: written with its format, read strictly, brought up from older formats.

`FORMAT` counts the shapes a row's file has had; docs/results.md lists them. A format is never
changed once a row of it was stored: a new one gets a number and a function in `_UPGRADES`.
"""

import sys
import types
import typing
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from vireo.digest import digest, plain
from vireo.errors import StoreError
from vireo.files import read_json, write_json
from vireo.records import Cost, ResultRow, RowKey

FORMAT = 3


def write_row(path: Path, row: ResultRow) -> None:
    """Write `row` to `path` atomically, in the newest format."""
    write_json(path, {"format": FORMAT, **plain(row)})


def read_row(path: Path) -> ResultRow:
    """Read a row of any format.

    Raises:
        StoreError: broken JSON, not a row, of a newer format, or another row than its name says.
    """
    value = read_json(path)
    try:
        row: ResultRow = _record(ResultRow, _upgraded(value, path), "row")
    except TypeError as error:
        raise StoreError(f"{path} is not a result row ({error}); move it elsewhere.") from error
    if path.stem != digest(row.key):
        raise StoreError(
            f"{path} holds the row {digest(row.key)}: it was renamed or edited. "
            "Delete it to compute the row again."
        )
    return row


def _upgraded(value: Any, path: Path) -> Any:
    """Return the fields of a row's file as the newest format has them."""
    if not isinstance(value, dict):
        return value
    fields = dict(value)
    found = fields.pop("format", 1)
    if type(found) is not int or found < 1:  # JSON's true is an int to Python
        raise TypeError(f"format is {found!r}")
    if found > FORMAT:
        raise StoreError(
            f"{path} is of format {found}; this vireo reads formats up to {FORMAT}. Update vireo."
        )
    for older in range(found, FORMAT):
        fields = _UPGRADES[older](fields)
    return fields


def _from_1(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Format 1 knew neither the steps of pre-training nor the cost of the encoder alone."""
    return {"steps": None, "encoder_flops": None, **fields}


def _from_2(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Format 2 did not know the recipe of pre-training."""
    return {"recipe": "", **fields}


_HINTS = {kind: typing.get_type_hints(kind) for kind in (ResultRow, RowKey, Cost)}
_UPGRADES: dict[int, Callable[[Mapping[str, Any]], dict[str, Any]]] = {1: _from_1, 2: _from_2}


def _record(kind: type[Any], value: Any, where: str) -> Any:
    """Build a record from JSON, refusing missing, unknown and mistyped fields."""
    if not isinstance(value, dict):
        raise TypeError(f"{where} is no object")
    hints = _HINTS[kind]
    if hints.keys() != value.keys():
        raise TypeError(f"{where} lacks or adds {sorted(hints.keys() ^ value.keys())}")
    return kind(**{name: _field(hints[name], value[name], name) for name in value})


def _field(hint: Any, value: Any, name: str) -> Any:
    if hint in (RowKey, Cost):
        return _record(hint, value, name)
    if not _fits(hint, value):
        raise TypeError(f"{name} is {value!r}")
    return float(value) if hint is float else value


def _fits(hint: Any, value: Any) -> bool:
    if isinstance(hint, types.UnionType):
        return any(_fits(option, value) for option in typing.get_args(hint))
    if typing.get_origin(hint) is not None:
        item = typing.get_args(hint)[1]
        return isinstance(value, dict) and all(_fits(item, entry) for entry in value.values())
    if isinstance(value, bool):
        return False
    return isinstance(value, (float, int) if hint is float else hint) and _is_storable(value)


def _is_storable(value: Any) -> bool:
    """Refuse what JSON can spell and is neither a number nor text: 1e999, half a letter."""
    if isinstance(value, str):
        return value.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in value)
    return value is None or abs(value) <= sys.float_info.max
