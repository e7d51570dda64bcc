"""Plain values of a settings file to a frozen record: every mistake at once, in words.

pydantic checks types against the record's annotations; it is imported when a file is read, so the
compute path never needs it. Unknown keys are refused here, because for standard dataclasses
pydantic would drop them silently and a misspelt setting would fall back to its default.
"""

import dataclasses
import json
import math
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from vireo.catalog import unknown
from vireo.errors import SettingError

if TYPE_CHECKING:
    from pydantic import TypeAdapter

Record = TypeVar("Record")
Path = tuple[str | int, ...]

_LARGEST = 2**53
_UNITED = ("DatasetSpec", "SubsetRecipe")
"""Records that one setting may hold either of; pydantic puts their names into its paths."""


_ADAPTERS: "dict[type[Any], TypeAdapter[Any]]" = {}


class Mistake(NamedTuple):
    """What is wrong, and at which key (a path of keys and places in lists) it is."""

    path: Path
    sentence: str


def read_record(kind: type[Record], values: Mapping[str, Any]) -> tuple[Record | None, list[str]]:
    """Return the record and no mistakes, or None and all of them, one sentence each."""
    record, found = check_record(kind, values)
    return record, [mistake.sentence for mistake in found]


def check_record(
    kind: type[Record], values: Mapping[str, Any], where: Path = ()
) -> tuple[Record | None, list[Mistake]]:
    """Return the record and no mistakes, or None and all of them, each with its place.

    Args:
        kind: the record's class.
        values: what a file holds.
        where: the place of `values` in the file; sentences and paths begin with it.
    """
    from pydantic import ValidationError

    mistakes = list(_unknown_keys(kind, values, where))
    unheard = list(_no_data(values, where))
    if unheard:
        return None, [*mistakes, *unheard]
    try:
        record = _adapter(kind).validate_json(json.dumps(values), strict=True)
    except ValidationError as error:
        return None, [*mistakes, *_sentences(error.errors(include_url=False), values, where)]
    return (None, mistakes) if mistakes else (record, [])


def _adapter(kind: type[Any]) -> "TypeAdapter[Any]":
    """Return what reads records of a kind; making it takes longer than reading many."""
    from pydantic import TypeAdapter

    if kind not in _ADAPTERS:
        _ADAPTERS[kind] = TypeAdapter(kind)
    return _ADAPTERS[kind]


def refuse(where: str, mistakes: Sequence[str]) -> None:
    """Raise one `SettingError` that lists all mistakes of `where`; nothing if there are none."""
    if not mistakes:
        return
    count = "one mistake" if len(mistakes) == 1 else f"{len(mistakes)} mistakes"
    lines = "".join(f"\n  - {mistake}" for mistake in mistakes)
    raise SettingError(f"{where} has {count}; mend and run again:{lines}")


def dotted(path: Path) -> str:
    """Return a path as messages show it.

    Example:
        >>> dotted(("data", "carve", "test", "gap")), dotted(("limits", 2))
        ('data.carve.test.gap', 'limits[2]')
    """
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return "".join(parts).lstrip(".")


def _no_data(value: Any, path: Path) -> Iterator[Mistake]:
    """Find dates, NaN, infinities and integers beyond a float's: no record holds any."""
    if isinstance(value, Mapping | list):
        items = value.items() if isinstance(value, Mapping) else enumerate(value)
        for key, item in items:
            yield from _no_data(item, (*path, key))
    elif not (value is None or isinstance(value, str | int | float)):
        yield Mistake(path, f"{dotted(path)} should be text, number, list or table; got {value}")
    elif isinstance(value, float) and not math.isfinite(value):
        yield Mistake(path, f"{dotted(path)} should be a finite number; got {value}")
    elif isinstance(value, int) and abs(value) > _LARGEST:
        yield Mistake(path, f"{dotted(path)} should be within 2^53; got {len(str(value))} digits")


def _sentences(
    items: Sequence[Mapping[str, Any]], values: Mapping[str, Any], where: Path
) -> Iterator[Mistake]:
    """One sentence a place. A value that fits no branch of a union is one mistake, not many.

    Where a branch got further than others (a list whose third item is wrong), it speaks alone.
    """
    found: dict[Path, list[Mapping[str, Any]]] = {}
    for item in _of_meant_records(items):
        found.setdefault(_place(item, values), []).append(item)
    for path, said in found.items():
        if not any(len(other) > len(path) and other[: len(path)] == path for other in found):
            place = (*where, *path)
            yield Mistake(place, f"{dotted(place) or 'file'} {_rule(said)}")


def _of_meant_records(items: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Leave out what pydantic says of a record that a table was not meant to be.

    Of a union of records that is each that lacks more of its fields than another.
    """
    lacking: dict[Path, dict[str, int]] = {}
    for item in items:
        loc = item["loc"]
        for place, part in enumerate(loc):
            if part in _UNITED:
                branches = lacking.setdefault(loc[:place], {})
                is_own = item["type"] == "missing" and place == len(loc) - 2
                branches[part] = branches.get(part, 0) + is_own
    meant = {place: min(branches.values()) for place, branches in lacking.items()}
    return [
        item
        for item in items
        if all(
            lacking[item["loc"][:place]][part] == meant[item["loc"][:place]]
            for place, part in enumerate(item["loc"])
            if part in _UNITED
        )
    ]


def _rule(items: Sequence[Mapping[str, Any]]) -> str:
    """Say what a value should be, and what it is instead."""
    last = items[-1]
    if last["type"] == "missing":
        return "is missing"
    rule = " or ".join(dict.fromkeys(map(_kind, items)))
    value = last["input"]
    text = "a table" if isinstance(value, Mapping) else repr(value)
    return f"should be {rule}; got {text if len(text) <= 80 else f'{text[:77]}...'}"


def _kind(item: Mapping[str, Any]) -> str:
    if item["type"] == "too_long":
        return f"a list of {item['ctx']['max_length']}"
    words: str = item["msg"].removeprefix("Input should be ")
    return words.replace("an object", "a table").replace("a valid array", "a list")


def _place(item: Mapping[str, Any], values: Any) -> Path:
    """Return where a mistake is, without the names of union branches that pydantic puts between."""
    path: list[str | int] = []
    for part in item["loc"]:
        is_key = isinstance(values, Mapping) and part in values
        is_index = isinstance(values, list) and isinstance(part, int) and part < len(values)
        if is_key or is_index:
            path.append(part)
            values = values[part]
    return (*path, item["loc"][-1]) if item["type"] == "missing" else tuple(path)


def _unknown_keys(hint: Any, value: Any, where: Path) -> Iterator[Mistake]:
    for option in _meant(_options(hint), value):
        if dataclasses.is_dataclass(option) and isinstance(value, Mapping):
            yield from _of_record(option, value, where)
        elif typing.get_origin(option) is tuple and isinstance(value, list):
            for index, item in enumerate(value):
                yield from _unknown_keys(typing.get_args(option)[0], item, (*where, index))
        elif isinstance(value, Mapping) and len(typing.get_args(option)) == 2:
            for key, item in value.items():
                yield from _unknown_keys(typing.get_args(option)[1], item, (*where, key))


def _of_record(kind: Any, value: Mapping[str, Any], where: Path) -> Iterator[Mistake]:
    hints = typing.get_type_hints(kind)
    for key, item in value.items():
        if key in hints:
            yield from _unknown_keys(hints[key], item, (*where, key))
        else:
            place = f" in {dotted(where)}" if where else ""
            sentence = unknown(key, hints, f"key{place}").removesuffix(".")
            yield Mistake((*where, key), sentence)


def _meant(options: tuple[Any, ...], value: Any) -> Sequence[Any]:
    """Return the options of a union; of several records the one that knows most of the keys."""
    records = [option for option in options if dataclasses.is_dataclass(option)]
    if len(records) < 2 or not isinstance(value, Mapping):
        return options
    return [max(records, key=lambda kind: len(value.keys() & typing.get_type_hints(kind).keys()))]


def _options(hint: Any) -> tuple[Any, ...]:
    union = typing.get_origin(hint) in (types.UnionType, typing.Union)
    return typing.get_args(hint) if union else (hint,)
