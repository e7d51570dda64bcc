"""Frozen record to canonical JSON to a short content hash: the identity of everything vireo stores.

Two records with equal facts have equal digests, whatever the order of their mappings or the
machine. Floats are written by `repr`, which is exact; sets and arbitrary objects are refused,
because their text is not stable.
"""

import dataclasses
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import xxhash


def digest(*facts: Any) -> str:
    """Return 16 hex digits that identify `facts`: records, mappings, sequences, plain values.

    Raises:
        TypeError: a value whose text is not stable (a set, an object, a non-finite float).

    Example:
        >>> digest({"a": 1, "b": (2, 3)}) == digest({"b": [2, 3], "a": 1})
        True
    """
    return xxhash.xxh3_64_hexdigest(canonical_json(facts).encode())


def canonical_json(value: Any) -> str:
    """Return the one JSON text of `value`: keys sorted, no spaces, tuples as lists."""
    return json.dumps(
        plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )


def plain(value: Any) -> Any:
    """Turn records, mappings and sequences into dicts and lists of plain values."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)
        }
    if isinstance(value, Mapping):
        return {_key(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        raise TypeError(f"A digest needs finite numbers; got {value}.")
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(
        f"A digest takes records, mappings, sequences and plain values; got {type(value).__name__}."
    )


def digest_file(path: Path, chunk_bytes: int = 1 << 20) -> str:
    """Return the xxh3 hash (16 hex digits) of a file's bytes, read in chunks."""
    state = xxhash.xxh3_64()
    with path.open("rb") as file:
        while chunk := file.read(chunk_bytes):
            state.update(chunk)
    return state.hexdigest()


def _key(key: Any) -> str:
    if not isinstance(key, str):
        raise TypeError(f"Mapping keys must be strings to be hashed; got {key!r}.")
    return key
