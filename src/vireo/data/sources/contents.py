"""What label files hold, as a hash: a corrected mask of the same name and size is another truth.

To read every mask takes seconds to minutes, and a study opens every split many times. So the hash
of a file is remembered with its size, its inode and the time of its last change, which the system
sets and no copying tool puts back. It is computed again where one of them differs. A file that was
changed in the last two seconds is not remembered: it could change again within one tick of the
clock.
"""

import hashlib
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import xxhash

from vireo import console, files
from vireo.data.cache import cache_folder
from vireo.digest import digest_file
from vireo.errors import DataError, StoreError

Marks = tuple[int, int, int]
"""Bytes, inode and nanoseconds of the last change of a file."""
Known = dict[str, tuple[Marks, str]]
"""File name to its marks, and the hash of what it held then."""

_SETTLED_NS = 2 * 10**9


def digest_contents(folder: Path, names: Sequence[str]) -> str:
    """Return a hash of what files hold, in their order.

    Args:
        folder: the files are in it.
        names: relative to it.

    Raises:
        DataError: a file cannot be read.
    """
    marks = {name: _marks(folder / name) for name in names}
    memory = cache_folder("labels") / f"{_key(folder)}.npz"
    known = _read(memory)
    changed = [name for name in marks if name not in known or known[name][0] != marks[name]]
    if changed:
        settled_before = time.time_ns() - _SETTLED_NS
        for name in console.track(changed, "Reading labels", len(changed)):
            known[name] = (marks[name], _hash(folder / name))
        if any(marks[name][2] < settled_before for name in changed):
            _write(memory, {n: found for n, found in known.items() if found[0][2] < settled_before})
    return xxhash.xxh3_64_hexdigest("".join(known[name][1] for name in names).encode())


def _key(folder: Path) -> str:
    return hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:24]


def _marks(path: Path) -> Marks:
    try:
        status = path.stat()
    except OSError as error:
        raise _unreadable(path, error) from error
    return status.st_size, status.st_ino, status.st_ctime_ns


def _hash(path: Path) -> str:
    try:
        return digest_file(path)
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: OSError) -> DataError:
    return DataError(f"The label file {path} cannot be read ({error.strerror}); put it back.")


def _read(memory: Path) -> Known:
    try:
        with np.load(memory, allow_pickle=False) as stored:
            names, marks, hashes = (stored[name].tolist() for name in ("names", "marks", "hashes"))
    except (OSError, ValueError, LookupError, EOFError):
        return {}
    rows = zip(names, marks, hashes, strict=True)
    return {name: ((size, inode, changed), value) for name, (size, inode, changed), value in rows}


def _write(memory: Path, known: Known) -> None:
    try:
        with files.atomic_writer(memory) as file:
            np.savez(
                file,
                names=np.array(list(known), dtype=np.str_),
                marks=np.array([marks for marks, _ in known.values()], dtype=np.uint64),
                hashes=np.array([value for _, value in known.values()], dtype=np.str_),
            )
    except (OSError, StoreError) as error:
        console.warn(f"Hashes of labels are not kept ({error}); they are computed again next time.")
