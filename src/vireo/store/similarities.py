"""Similarities of encoders: one JSON file a pair and estimator, read back as one tidy table.

A file's name is the digest of its key, so folders are merged by copying, and what is there is not
computed again. No torch.
"""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from vireo.digest import digest, plain
from vireo.errors import StoreError
from vireo.files import read_json, write_json
from vireo.records import SimilarityKey, SimilarityRow
from vireo.store.folder import StudyFolder

_FORMAT = 1
COLUMNS = (
    *("first", "second", "first_block", "second_block", "first_index", "second_index"),
    *("images", "estimator", "n", "value"),
    *("first_method", "second_method", "first_set", "second_set"),
    *("dataset", "side", "representation", "batch_size", "compute", "digest", "time"),
)


class SimilarityStore:
    """The rows in one folder.

    Args:
        root: the folder; it is created by the first write.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def has(self, key: SimilarityKey) -> bool:
        """Say whether the two are compared already, in this order or the other."""
        return self._path(key).is_file() or self._path(_turned(key)).is_file()

    def write(self, row: SimilarityRow) -> bool:
        """Store a row.

        Returns:
            False where the two were compared already: the row is kept as it is.
        """
        if self.has(row.key):
            return False
        self._replace(row)
        return True

    def named(self, key: SimilarityKey, first: str, second: str) -> SimilarityRow:
        """Read a row, in the order of `key`, under these names of its encoders.

        A row that was stored under other names takes these: they are facts, not identity.

        Raises:
            StoreError: the file is missing or broken, or not a row.
        """
        if not self._path(key).is_file():
            return turned(self.named(_turned(key), second, first))
        row = _read(self._path(key))
        if (row.first, row.second) != (first, second):
            row = dataclasses.replace(row, first=first, second=second)
            self._replace(row)
        return row

    def rows(self) -> list[SimilarityRow]:
        """Read all rows, in the order of their file names.

        Raises:
            StoreError: a JSON file that is broken or not a row.
        """
        paths = sorted(self.root.glob("*.json"))
        return [_read(path) for path in paths if not path.name.startswith(".")]

    def _path(self, key: SimilarityKey) -> Path:
        return self.root / f"{digest(key)}.json"

    def _replace(self, row: SimilarityRow) -> None:
        write_json(self._path(row.key), {"format": _FORMAT, **plain(row)})


def read_similarities(root: Path) -> pd.DataFrame:
    """Read the similarities of a study's folder: one line a pair of blocks, the columns `COLUMNS`.

    A pair of encoders is there once, in the order it was compared in: (first_index, second_index)
    and its mirror image are two lines with values of their own. `first_index` counts blocks from
    the shallowest, 0; `images` is the digest of the set; `value` is NaN where a block gives all
    images the same.

    Raises:
        StoreError: a JSON file that is broken or not a row.
    """
    parts = [_lines(row) for row in SimilarityStore(StudyFolder(root).similarity).rows()]
    if not parts:
        return pd.DataFrame(columns=list(COLUMNS))
    table = pd.concat(parts, ignore_index=True)[list(COLUMNS)]
    order = ["dataset", "images", "first", "second", "digest", "first_index", "second_index"]
    return table.sort_values(order, ignore_index=True)


def turned(row: SimilarityRow) -> SimilarityRow:
    """Return the same comparison with first and second exchanged."""
    return dataclasses.replace(
        row,
        key=_turned(row.key),
        first=row.second,
        second=row.first,
        first_method=row.second_method,
        second_method=row.first_method,
        first_set=row.second_set,
        second_set=row.first_set,
        first_blocks=row.second_blocks,
        second_blocks=row.first_blocks,
        values=tuple(zip(*row.values, strict=True)),
    )


def _turned(key: SimilarityKey) -> SimilarityKey:
    return dataclasses.replace(key, first=key.second, second=key.first)


def _lines(row: SimilarityRow) -> pd.DataFrame:
    rows, columns = len(row.first_blocks), len(row.second_blocks)
    facts = {name: getattr(row, name) for name in COLUMNS if hasattr(row, name)}
    key = {name: getattr(row.key, name) for name in COLUMNS if hasattr(row.key, name)}
    cells = {
        "first_block": np.repeat(np.array(row.first_blocks, dtype=object), columns),
        "second_block": np.tile(np.array(row.second_blocks, dtype=object), rows),
        "first_index": np.repeat(np.arange(rows), columns),
        "second_index": np.tile(np.arange(columns), rows),
        "value": np.array(row.values, dtype=np.float64).ravel(),
    }
    return pd.DataFrame({**key, **facts, **cells, "digest": digest(row.key)})


def _read(path: Path) -> SimilarityRow:
    value = read_json(path)
    try:
        row = _row(value)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise StoreError(
            f"{path} is not a similarity of two encoders ({error}); move it elsewhere."
        ) from error
    if path.stem != digest(row.key):
        raise StoreError(
            f"{path} holds the similarity {digest(row.key)}: it was renamed or edited. Delete it to"
            " compute it again."
        )
    return row


def _row(value: Any) -> SimilarityRow:
    fields = dict(value)
    if fields.pop("format") != _FORMAT:
        raise ValueError(f"format is not {_FORMAT}")
    key = SimilarityKey(**fields.pop("key"))
    blocks = {name: tuple(map(str, fields.pop(name))) for name in ("first_blocks", "second_blocks")}
    values = tuple(
        tuple(None if v is None else float(v) for v in row) for row in fields.pop("values")
    )
    wanted = {len(blocks["second_blocks"])}
    if len(values) != len(blocks["first_blocks"]) or {len(row) for row in values} != wanted:
        raise ValueError("its values are not one for each pair of blocks")
    if not isinstance(fields["n"], int):
        raise ValueError(f"n is {fields['n']!r}")
    fields |= blocks
    return SimilarityRow(key=key, values=values, **fields)
