"""Files below a folder: found in an order that is the same everywhere, and read.

Names are relative and written with "/", sorted by code point; hidden files are skipped. Only names
and sizes are looked at until an example is asked for.
"""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import xxhash

from vireo import files
from vireo.digest import digest
from vireo.errors import DataError, StoreError

EXTENSIONS = (
    ".jpg",
    ".jpeg",
    ".png",
    ".bmp",
    ".gif",
    ".tif",
    ".tiff",
    ".webp",
    ".ppm",
    ".pgm",
    ".jp2",
    ".avif",
)


class Entry(NamedTuple):
    """A file: its name relative to the folder that was listed, and its size in bytes."""

    name: str
    size: int


def open_folder(root: str | Path) -> Path:
    """Return an existing folder, `~` and `$VARIABLES` expanded.

    Raises:
        DataError: a variable is not set, or there is no such folder.
    """
    try:
        folder = files.expand(str(root))
    except StoreError as error:
        raise DataError(str(error)) from error
    if not folder.is_dir():
        raise DataError(f"There is no folder {folder}; check the path.")
    return folder


def inside(folder: Path, name: str) -> Path:
    """Return the path of a `name` that a stranger wrote, below `folder`.

    Raises:
        DataError: it leads outside.
    """
    try:
        return files.inside(folder, name)
    except StoreError as error:
        raise DataError(str(error)) from error


def read(path: Path) -> bytes:
    """Return the bytes of a file.

    Raises:
        DataError: it is gone, or may not be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(
            f"{path} cannot be read ({error.strerror or error}); put it back or list the data anew."
        ) from error


def list_files(folder: Path, extensions: Sequence[str] = EXTENSIONS) -> list[Entry]:
    """Return the files below `folder` with one of `extensions` (any case), sorted by name.

    Links are followed, except a link to a folder that it lies in.

    Raises:
        DataError: there is none; the message says what there is instead.
    """
    wanted = tuple(extensions)
    found: list[Entry] = []
    others: list[str] = []
    for name, entry in _walk(folder):
        if name.lower().endswith(wanted):
            found.append(Entry(name, _size(entry)))
        elif len(others) < 3:
            others.append(name)
    if not found:
        instead = f"it holds {', '.join(sorted(others))} ..." if others else "it is empty"
        raise DataError(
            f"{folder} holds no image ({', '.join(wanted)}): {instead}. Check the path."
        )
    return sorted(found)


def fingerprint(entries: Sequence[Entry], *facts: object) -> str:
    """Return a digest of names, sizes and further facts, in order.

    Raises:
        DataError: a name is no valid text, so that it would not survive a copy to another machine.
    """
    text = "\n".join(f"{name}\0{size}" for name, size in entries)
    try:
        return digest(xxhash.xxh3_64_hexdigest(text.encode()), *facts)
    except UnicodeEncodeError as error:
        bad = next(name for name, _ in entries if not _is_text(name))
        raise DataError(f"The file name {bad!r} is not UTF-8; rename it.") from error


def _walk(
    folder: Path | str, prefix: str = "", above: frozenset[tuple[int, int]] = frozenset()
) -> Iterator[tuple[str, os.DirEntry[str]]]:
    try:
        status = Path(folder).stat()
        with os.scandir(folder) as scan:
            entries = list(scan)
    except OSError as error:
        raise DataError(
            f"The folder {folder} cannot be listed ({error.strerror}); check its permissions."
        ) from error
    identity = (status.st_dev, status.st_ino)
    if identity in above:
        return
    for entry in entries:
        if entry.name.startswith((".", "__MACOSX")):
            continue
        if entry.is_dir():
            yield from _walk(entry.path, f"{prefix}{entry.name}/", above | {identity})
        else:
            yield prefix + entry.name, entry


def _size(entry: os.DirEntry[str]) -> int:
    try:
        return entry.stat().st_size
    except OSError as error:
        raise DataError(
            f"{entry.path} cannot be read ({error.strerror}); mend or remove the link."
        ) from error


def _is_text(name: str) -> bool:
    return not any("\ud800" <= letter <= "\udfff" for letter in name)
