"""Result rows: one JSON file a row, never rewritten, with the per-example outcomes beside it.

A row's file name is the digest of its key, so merging two stores is copying files and "is this
done?" is one look at the folder. The JSON is written last: a row that exists is complete. Arrays
are plain `.npz`, read without pickle.
"""

import dataclasses
import types
import typing
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from vireo.digest import digest, plain
from vireo.errors import StoreError
from vireo.files import atomic_writer, read_json, write_json
from vireo.records import Cost, ResultRow, RowKey

Arrays = Mapping[str, np.ndarray]

# what NumPy and zipfile raise on damaged or hostile files
_BROKEN = (
    ValueError,
    TypeError,
    OSError,
    EOFError,
    RuntimeError,
    MemoryError,
    zlib.error,
    zipfile.BadZipFile,
)
_FACTS = (
    "encoder",
    "method",
    "pretraining_set",
    "images",
    "epochs",
    "balance",
    "architecture",
    "parameters",
    "task",
    "dataset",
    "family",
    "metric",
    "unit",
    "protocol",
    "score",
    "raw",
    "low",
    "high",
    "n",
    "floor",
)
_KEY = {"encoder": "encoder_digest", "task": "task_digest", "protocol": "protocol_digest"}
_COST = ("seconds", "images_per_second")
COLUMNS = (*_FACTS, "scoring", "seed", "digest", *_KEY.values(), *_COST)


class ResultStore:
    """The rows in one folder.

    Args:
        root: the folder; it is created by the first write.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def has(self, key: RowKey) -> bool:
        """Say whether the row of `key` is there, and so complete."""
        return self._path(key, ".json").is_file()

    def write(self, row: ResultRow, outcomes: Arrays, gallery: Arrays | None = None) -> bool:
        """Store a row, its per-example outcomes and, where given, some examples to look at.

        Returns:
            False where the row existed already: it is kept as it is.
        """
        if self.has(row.key):
            return False
        _write_arrays(self._path(row.key, ".outcomes.npz"), outcomes)
        if gallery is not None:
            _write_arrays(self._path(row.key, ".gallery.npz"), gallery)
        write_json(self._path(row.key, ".json"), plain(row))
        return True

    def row(self, key: RowKey) -> ResultRow:
        """Read the row of `key`."""
        return _read_row(self._path(key, ".json"))

    def rows(self) -> list[ResultRow]:
        """Read all rows, in the order of their file names.

        Raises:
            StoreError: a JSON file that is broken or not a row.
        """
        paths = sorted(self.root.glob("*.json"))
        return [_read_row(path) for path in paths if not path.name.startswith(".")]

    def outcomes(self, key: RowKey) -> dict[str, np.ndarray]:
        """Read what happened to each test example.

        Raises:
            StoreError: the file is missing or broken.
        """
        return _read_arrays(self._path(key, ".outcomes.npz"))

    def gallery(self, key: RowKey) -> dict[str, np.ndarray] | None:
        """Read the examples to look at; None where the row has none."""
        path = self._path(key, ".gallery.npz")
        return _read_arrays(path) if path.is_file() else None

    def _path(self, key: RowKey, suffix: str) -> Path:
        return self.root / f"{digest(key)}{suffix}"


def read_table(root: Path) -> pd.DataFrame:
    """Read the rows below `root` as one table: a line a row, the columns `COLUMNS`.

    `images` is a nullable integer and `epochs` a float that may be missing.

    Raises:
        StoreError: `root` is no folder, or holds a JSON file that is broken or not a row.
    """
    if not root.is_dir():
        raise StoreError(f"{root} is not a folder of results; run a probe that writes there first.")
    lines = [_flat(row) for row in ResultStore(root).rows()]
    table = pd.DataFrame(lines, columns=list(COLUMNS))
    images = pd.array([line["images"] for line in lines], dtype="Int64")
    return table.assign(images=images).astype({"epochs": "float64"})


def _flat(row: ResultRow) -> dict[str, Any]:
    facts = {name: getattr(row, name) for name in _FACTS}
    keys = {column: getattr(row.key, name) for name, column in _KEY.items()}
    cost = {name: getattr(row.cost, name) for name in _COST}
    identity = {"scoring": row.key.scoring, "seed": row.key.seed, "digest": digest(row.key)}
    return facts | keys | cost | identity


def _write_arrays(path: Path, arrays: Arrays) -> None:
    assert all(array.dtype != object for array in arrays.values()), "arrays of plain numbers only"
    with atomic_writer(path) as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]


def _read_arrays(path: Path) -> dict[str, np.ndarray]:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except FileNotFoundError as error:
        raise StoreError(f"{path} does not exist; delete the row's JSON to make both.") from error
    except _BROKEN as error:
        raise StoreError(
            f"{path} cannot be read as arrays ({error}); delete it and the row's JSON to make both."
        ) from error


def _read_row(path: Path) -> ResultRow:
    value = read_json(path)
    try:
        row = _record(ResultRow, value, "row")
    except TypeError as error:
        raise StoreError(f"{path} is not a result row ({error}); move it elsewhere.") from error
    assert isinstance(row, ResultRow)
    if path.stem != digest(row.key):
        raise StoreError(
            f"{path} holds the row {digest(row.key)}: it was renamed or edited. "
            "Delete it to compute the row again."
        )
    return row


def _record(kind: type[Any], value: Any, where: str) -> Any:
    """Build a record from JSON, refusing missing, unknown and mistyped fields."""
    if not isinstance(value, dict):
        raise TypeError(f"{where} is no object")
    names = {field.name for field in dataclasses.fields(kind)}
    if names != set(value):
        raise TypeError(f"{where} lacks or adds {sorted(names ^ set(value))}")
    hints = typing.get_type_hints(kind)
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
    return isinstance(value, (float, int) if hint is float else hint)
