"""Plain values of a settings file to a frozen record: every mistake at once, in words.

pydantic checks types against the record's annotations; it is imported when a file is read, so the
compute path never needs it. Unknown keys are refused here, because for standard dataclasses
pydantic would drop them silently and a misspelt setting would fall back to its default.
"""

import dataclasses
import json
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

from vireo.catalog import unknown
from vireo.errors import SettingError

Record = TypeVar("Record")


def read_record(kind: type[Record], values: Mapping[str, Any]) -> tuple[Record | None, list[str]]:
    """Return the record and no mistakes, or None and all of them, one sentence each."""
    from pydantic import TypeAdapter, ValidationError

    mistakes = list(_unknown_keys(kind, values, ""))
    try:
        text = json.dumps(values, allow_nan=False)
    except (TypeError, ValueError) as error:
        return None, [
            *mistakes,
            f"a value is neither text, finite number, list nor table ({error})",
        ]
    try:
        record = TypeAdapter(kind).validate_json(text, strict=True)
    except ValidationError as error:
        found = [_sentence(item) for item in error.errors(include_url=False)]
        return None, [*mistakes, *dict.fromkeys(found)]
    return (None, mistakes) if mistakes else (record, [])


def refuse(where: str, mistakes: Sequence[str]) -> None:
    """Raise one `SettingError` that lists all mistakes of `where`; nothing if there are none."""
    if not mistakes:
        return
    count = "one mistake" if len(mistakes) == 1 else f"{len(mistakes)} mistakes"
    lines = "".join(f"\n  - {mistake}" for mistake in mistakes)
    raise SettingError(f"{where} has {count}; mend and run again:{lines}")


def _sentence(item: Mapping[str, Any]) -> str:
    parts = [str(part) for part in item["loc"] if not _names_a_type(str(part))]
    where = ".".join(parts) or "file"
    if item["type"] == "missing":
        return f"{where} is missing"
    found = item["input"]
    shown = "a table" if isinstance(found, Mapping) else repr(found)
    rule = item["msg"].removeprefix("Input ")
    return f"{where} {rule}; got {shown}"


def _names_a_type(part: str) -> bool:
    """Whether pydantic put the branch of a union into the location of a mistake."""
    plain = part in ("str", "int", "float", "bool")
    return plain or part.startswith(("tuple[", "dict[")) or part[:1].isupper()


def _unknown_keys(hint: Any, value: Any, where: str) -> Iterator[str]:
    for option in _options(hint):
        if dataclasses.is_dataclass(option) and isinstance(value, Mapping):
            yield from _of_record(option, value, where)
        elif typing.get_origin(option) is tuple and isinstance(value, list):
            for index, item in enumerate(value):
                yield from _unknown_keys(typing.get_args(option)[0], item, f"{where}[{index}]")
        elif isinstance(value, Mapping) and len(typing.get_args(option)) == 2:
            for key, item in value.items():
                yield from _unknown_keys(typing.get_args(option)[1], item, f"{where}.{key}")


def _of_record(kind: Any, value: Mapping[str, Any], where: str) -> Iterator[str]:
    hints = typing.get_type_hints(kind)
    for key, item in value.items():
        if key in hints:
            yield from _unknown_keys(hints[key], item, f"{where}.{key}".lstrip("."))
        else:
            place = f" in {where}" if where else ""
            yield unknown(key, hints, f"key{place}").removesuffix(".")


def _options(hint: Any) -> tuple[Any, ...]:
    union = typing.get_origin(hint) in (types.UnionType, typing.Union)
    return typing.get_args(hint) if union else (hint,)
