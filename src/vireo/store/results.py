"""Result rows: one JSON file a row, never rewritten, with the per-example outcomes beside it.

A row's file name is the digest of its key, so merging two stores is copying files and "is this
done?" is one look at the folder. The JSON is written last: a row that exists is complete. Arrays
are plain `.npz`, read without pickle.
"""

import zipfile
import zlib
from collections.abc import Mapping, Sequence
from operator import attrgetter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from vireo.digest import canonical_json, digest
from vireo.errors import StoreError
from vireo.files import atomic_writer
from vireo.records import ResultRow, RowKey
from vireo.store.columns import TABLE, Column
from vireo.store.row_files import read_row, write_row

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
COLUMNS = tuple(column.name for column in TABLE)


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
        write_row(self._path(row.key, ".json"), row)
        return True

    def row(self, key: RowKey) -> ResultRow:
        """Read the row of `key`."""
        return read_row(self._path(key, ".json"))

    def rows(self) -> list[ResultRow]:
        """Read all rows, in the order of their file names.

        Raises:
            StoreError: a JSON file that is broken or not a row.
        """
        paths = sorted(self.root.glob("*.json"))
        return [read_row(path) for path in paths if not path.name.startswith(".")]

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

    Types are those of `vireo.store.columns`; integers that may be missing are nullable ones.

    Raises:
        StoreError: `root` is no folder, or holds a JSON file that is broken or not a row.
    """
    if not root.is_dir():
        raise StoreError(f"{root} is not a folder of results; run a probe that writes there first.")
    return as_table(ResultStore(root).rows(), TABLE)


def as_table(rows: Sequence[ResultRow], columns: Sequence[Column]) -> pd.DataFrame:
    """Return a line a row with these columns, typed.

    Raises:
        StoreError: an integer that a table cannot hold.
    """
    cells = {column.name: _cells(column, rows) for column in columns}
    types = {column.name: _dtype(column) for column in columns}
    return pd.DataFrame(cells, dtype=object).astype(types)


def _cells(column: Column, rows: Sequence[ResultRow]) -> list[Any]:
    values = [_cell(fact) for fact in map(attrgetter(column.path or column.name), rows)]
    if column.kind == "integer":
        _check_integers(column.name, values)
    return values


def _dtype(column: Column) -> str:
    """Return what pandas calls the type; its integers know no missing value unless in capitals."""
    if column.kind == "integer":
        return "Int64" if column.optional else "int64"
    return "float64" if column.kind == "real" else "str"


def _cell(value: Any) -> Any:
    """Return what a table shows of a fact: a key's digest, a mapping's JSON, any other as it is."""
    if isinstance(value, RowKey):
        return digest(value)
    return canonical_json(value) if isinstance(value, Mapping) else value


def _check_integers(column: str, values: Sequence[int | None]) -> None:
    for value in values:
        if value is not None and not -(2**63) <= value < 2**63:
            raise StoreError(
                f"A table holds integers of 64 bits; '{column}' of a row is {value}. Correct the "
                "row or move it elsewhere."
            )


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
