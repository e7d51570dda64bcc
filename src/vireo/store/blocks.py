"""Blocks of features on disk: content-addressed, verified, readable with NumPy alone.

A block is a folder named by the digest of its `BlockKey`:

    <digest>/block.npy        all rows, one array: `np.load(..., mmap_mode="r")` reads it
    <digest>/manifest.json    the key, shape and type, and the rows and xxh3 hash of each shard

Shards are consecutive runs of rows of the one file, each with its own hash, so that a flipped bit
is traced to its rows while the whole block stays one memory-mapped array. A block is written under
a temporary name and renamed when complete: a block that exists is whole. Hashes are compared when
a process first opens a block; a block of bytes that changed is never served: `find` refuses it,
`sound` removes it, so that it is computed again.

Reading touches pages of the file, and the memory this process is shown to use grows with them. Use
`take`, which reads rows in the file's order.
"""

import contextlib
import math
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
import xxhash

from vireo import files
from vireo.console import warn
from vireo.digest import digest, plain
from vireo.errors import DamagedBlockError, StoreError
from vireo.records import BlockKey

ARRAY = "block.npy"
MANIFEST = "manifest.json"
SHARD_BYTES = 64 << 20
_FORMAT = 1
_DTYPES = ("float16", "float32", "float64", "int64", "int32", "uint8", "bool")


class Writer:
    """Takes a block's rows in order; made by `FeatureStore.write`."""

    def __init__(self, file: IO[bytes], shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self._file, self._shape, self._dtype = file, shape, dtype
        self.rows = 0
        self.shards: list[dict[str, Any]] = []
        row_bytes = math.prod(shape[1:]) * dtype.itemsize
        self._rows_per_shard = max(1, SHARD_BYTES // max(1, row_bytes))

    def append(self, rows: np.ndarray) -> None:
        """Write the next rows, [count, ...], converted to the block's type."""
        assert rows.shape[1:] == self._shape[1:], f"rows {rows.shape} for a block {self._shape}"
        assert self.rows + len(rows) <= self._shape[0], "more rows than the block was made for"
        converted = np.ascontiguousarray(rows, dtype=self._dtype)
        while len(converted):
            count = self._rows_per_shard - self.rows % self._rows_per_shard
            self._write(converted[:count])
            converted = converted[count:]

    def _write(self, rows: np.ndarray) -> None:
        if self.rows % self._rows_per_shard == 0:
            self._hash = xxhash.xxh3_64()
            self.shards.append({"rows": 0, "xxh3": ""})
        data = rows.data.cast("B")
        self._hash.update(data)
        self._file.write(data)
        self.rows += len(rows)
        self.shards[-1]["rows"] += len(rows)
        self.shards[-1]["xxh3"] = self._hash.hexdigest()


class FeatureStore:
    """The blocks below one folder.

    Args:
        root: the folder; created when the first block is written.

    Example:
        >>> import tempfile
        >>> key = BlockKey(weights="w", preprocessing="p", output="pooled", dataset="d",
        ...                split="test", dtype="float32", compute="float32")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     store = FeatureStore(Path(folder))
        ...     with store.write(key, (2, 3), "float32") as writer:
        ...         writer.append(np.ones((2, 3)))
        ...     float(store.find(key).sum())
        6.0
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._verified: set[str] = set()

    def find(self, key: BlockKey) -> np.ndarray | None:
        """Return a block, memory-mapped and read-only, or None where it is not stored.

        Raises:
            DamagedBlockError: the block is short or changed.
            StoreError: it is not one of ours.
        """
        folder = self.root / digest(key)
        if not folder.exists():
            return None
        manifest = _read_manifest(folder, key)
        array = _open(folder, manifest)
        if folder.name not in self._verified:
            _verify(folder, array, manifest["shards"])
            self._verified.add(folder.name)
        return array

    def sound(self, key: BlockKey) -> np.ndarray | None:
        """Like `find`, but remove a block that is damaged, and say so: it can be made again."""
        folder = self.root / digest(key)
        seen = _identity(folder)
        try:
            return self.find(key)
        except DamagedBlockError as error:
            if _identity(folder) == seen:  # else another process has made it again meanwhile
                doomed = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}.tmp")
                with contextlib.suppress(FileNotFoundError):
                    folder.rename(doomed)
                    shutil.rmtree(doomed)
            warn(f"{str(error).partition(';')[0]}; it is computed again.")
            return None

    @contextlib.contextmanager
    def write(self, key: BlockKey, shape: tuple[int, ...], dtype: str) -> Iterator[Writer]:
        """Give a writer for a block of `shape`; the block exists once all its rows are there.

        If another process finishes the same block first, its block stays.

        Raises:
            StoreError: the block of code ended before all rows were appended, or the disk is full.
        """
        assert shape[0] > 0, "a block has at least one row"
        assert dtype in _DTYPES, f"dtype {dtype}"
        folder = self.root / digest(key)
        files.remove_leftovers(self.root)
        with files.atomic_folder(folder) as temporary:
            with files.atomic_writer(temporary / ARRAY) as file:
                np.lib.format.write_array_header_1_0(file, _header(shape, dtype))
                writer = Writer(file, shape, np.dtype(dtype))
                yield writer
                _check_rows(writer.rows, shape[0], folder)
            manifest = {
                "format": _FORMAT,
                "key": plain(key),
                "shape": list(shape),
                "dtype": dtype,
                "shards": writer.shards,
            }
            files.write_json(temporary / MANIFEST, manifest)


def _identity(folder: Path) -> int | None:
    try:
        return folder.stat().st_ino
    except FileNotFoundError:
        return None


def take(block: np.ndarray, indices: np.ndarray) -> np.ndarray:
    """Return the rows at `indices`, in that order, read from the file in its own order.

    Example:
        >>> take(np.array([[0], [10], [20]]), np.array([2, 0, 2])).ravel().tolist()
        [20, 0, 20]
    """
    order = np.argsort(indices, kind="stable")
    rows = np.empty((len(order), *block.shape[1:]), block.dtype)
    rows[order] = block[np.asarray(indices)[order]]
    return rows


def _header(shape: tuple[int, ...], dtype: str) -> dict[str, Any]:
    descr = np.lib.format.dtype_to_descr(np.dtype(dtype))
    return {"descr": descr, "fortran_order": False, "shape": shape}


def _check_rows(found: int, expected: int, folder: Path) -> None:
    if found != expected:
        raise StoreError(
            f"Only {found} of {expected} rows were computed for the block {folder.name}; nothing"
            " was stored. Run again."
        )


def _read_manifest(folder: Path, key: BlockKey) -> dict[str, Any]:
    advice = f"it is not a block of vireo's; move it out of {folder.parent}."
    if not (folder / MANIFEST).is_file():
        raise StoreError(f"{folder} has no {MANIFEST}: {advice}")
    manifest = files.read_json(folder / MANIFEST)
    if not isinstance(manifest, dict) or manifest.get("format") != _FORMAT:
        raise StoreError(f"{folder / MANIFEST} is not of format {_FORMAT}: {advice}")
    if manifest.get("key") != plain(key):
        raise StoreError(f"{folder} belongs to another key than its name says: {advice}")
    return manifest


def _open(folder: Path, manifest: dict[str, Any]) -> np.ndarray:
    try:
        array: np.ndarray = np.load(folder / ARRAY, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DamagedBlockError(
            f"{folder / ARRAY} is missing or cut short ({error}); delete {folder} and run again."
        ) from error
    if [list(array.shape), str(array.dtype)] != [manifest.get("shape"), manifest.get("dtype")]:
        raise DamagedBlockError(
            f"{folder / ARRAY} has another shape or type than its manifest says; delete {folder}"
            " and run again."
        )
    return array


def _verify(folder: Path, array: np.ndarray, shards: Any) -> None:
    """Compare each shard's bytes with its hash, by reading the file: a map would pin its pages."""
    row_bytes = array.nbytes // len(array)
    first = 0
    with (folder / ARRAY).open("rb") as file:
        file.seek(array.offset)  # type: ignore[attr-defined]
        for rows, expected in _shards(shards, len(array), folder):
            if xxhash.xxh3_64_hexdigest(file.read(rows * row_bytes)) != expected:
                raise DamagedBlockError(
                    f"Rows {first} to {first + rows - 1} of {folder / ARRAY} changed since they"
                    f" were written; delete {folder} and run again."
                )
            first += rows


def _shards(shards: Any, num_rows: int, folder: Path) -> list[tuple[int, str]]:
    try:
        pairs = [(int(shard["rows"]), str(shard["xxh3"])) for shard in shards]
    except (TypeError, ValueError, KeyError):
        pairs = []
    if min((rows for rows, _ in pairs), default=0) < 1 or sum(n for n, _ in pairs) != num_rows:
        raise DamagedBlockError(
            f"{folder / MANIFEST} does not account for every row; delete {folder} and run again."
        )
    return pairs
