"""Files that belong together by name: an image and its mask, two frames and the flow between them.

Where the files of an example stand is said by one pattern a kind. A pattern is a folder
("train/images": files match by their name without its extension) or has one star
("train/*.color.jpg", "*/frame10.png": files match by what the star stands for). Folders within
count as part of the name.
"""

from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from vireo.data.sources.listing import EXTENSIONS, Entry, inside, list_files, open_folder
from vireo.errors import DataError


class Match(NamedTuple):
    """What the names of files that belong together share, and one file for each pattern."""

    key: str
    entries: tuple[Entry, ...]


def match(
    folder: Path, patterns: Sequence[str], extensions: Sequence[str] = EXTENSIONS
) -> list[Match]:
    """Return the files below `folder` that match, one for each of `patterns`, sorted by key.

    Args:
        folder: holds all.
        patterns: one a kind of file.
        extensions: of the files.

    Raises:
        DataError: a file has no partner, or two files have the same one.
    """
    first, *others = [find(folder, pattern, extensions) for pattern in patterns]
    for pattern, other in zip(patterns[1:], others, strict=True):
        _refuse_unpaired(first, other, pattern)
        _refuse_unpaired(other, first, patterns[0])
    return [Match(key, tuple(kind[key] for kind in (first, *others))) for key in sorted(first)]


def find(folder: Path, pattern: str, extensions: Sequence[str] = EXTENSIONS) -> dict[str, Entry]:
    """Return the files below `folder` that a pattern matches, by their key.

    Raises:
        DataError: there is none, two have the same key, or the pattern leads outside.
    """
    place, key_of = _key_rule(pattern)
    base = open_folder(inside(folder, place) if place else folder)
    start = f"{place}/" if place else ""
    found: dict[str, Entry] = {}
    for name, size in list_files(base, extensions):
        key = key_of(name)
        if key is None:
            continue
        if key in found:
            raise DataError(
                f"In {folder}, '{found[key].name}' and '{start}{name}' are both '{key}' of "
                f"'{pattern}'; keep one."
            )
        found[key] = Entry(start + name, size)
    if not found:
        raise DataError(f"In {folder}, no file matches '{pattern}'; check the pattern.")
    return found


def _key_rule(pattern: str) -> tuple[str, Callable[[str], str | None]]:
    """Return the folder that a pattern looks in, and what it takes a name in there for."""
    if "*" not in pattern:
        return pattern.strip("/"), lambda name: str(PurePosixPath(name).with_suffix(""))
    if pattern.count("*") != 1:
        raise DataError(
            f"The pattern '{pattern}' must have one star, like 'rgb/*.png' or '*/rgb.png'."
        )
    before, end = pattern.split("*")
    place, _, start = before.rpartition("/")

    def key(name: str) -> str | None:
        within, slash, base = ("", "", name) if "/" in end else name.rpartition("/")
        fits = len(base) >= len(start) + len(end)
        if fits and base.startswith(start) and base.endswith(end):
            return within + slash + base[len(start) : len(base) - len(end)]
        return None

    return place, key


def _refuse_unpaired(left: dict[str, Entry], right: dict[str, Entry], where: str) -> None:
    alone = sorted(left.keys() - right.keys())
    if alone:
        raise DataError(
            f"'{left[alone[0]].name}' has no partner '{alone[0]}' in '{where}' ({len(alone)} such "
            "files); add it, or take the file away."
        )
