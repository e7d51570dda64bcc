"""Images in tar shards, in the layout of WebDataset: files of one key are one example.

    000316.jpg 000316.cls 002881.jpg 002881.cls ...

The headers of all shards are read once and kept, so every example has a number, any order costs one
read an image, and a run resumes at any example. Shards are never unpacked.

References:
    https://github.com/webdataset/webdataset (naming: the extension starts at the first dot).
"""

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, final

import numpy as np
from jaxtyping import UInt8

from vireo import files
from vireo.catalog import unknown
from vireo.data.cache import cache_folder
from vireo.data.decode import decode_image
from vireo.data.sources.codes import digest_integers, encode_labels, whole_numbers
from vireo.data.sources.listing import EXTENSIONS, Entry, fingerprint
from vireo.data.sources.parquet_files import match_files
from vireo.data.sources.source import Source, Target
from vireo.data.sources.tar_index import Member, read_index
from vireo.errors import DataError

_BRACES = re.compile(r"\{(\d+)\.\.(\d+)\}")
_LARGEST_LABEL = 4096


class _Place(NamedTuple):
    shard: int
    offset: int
    size: int


@final
class WebDatasetSource(Source):
    """Examples of all shards that match: shards by name, examples in their order.

    Args:
        path: a glob of tar files, or a range of them ("train-{000000..000146}.tar").
        root: a folder that `path` is relative to; `$VARIABLES` are expanded.
        image: extension of the image ("jpg"); if empty, the first one that images have.
        targets: target name to extension; {"class": "cls"} where the shards have it. "class" is
            whole numbers or names; others are whole numbers.
        class_names: fixes the codes of "class".
        class_file: a text file below the root with one class name a line (of the codes 0, 1, ...).

    Raises:
        DataError: no shard; one that is broken, cut short or compressed; an example without its
            image or target.
    """

    def __init__(
        self,
        *,
        path: str,
        root: str | Path = "",
        image: str = "",
        targets: Mapping[str, str] | None = None,
        class_names: Sequence[str] = (),
        class_file: str = "",
    ) -> None:
        self._shards = _match(root, path)
        index = read_index(self._shards, cache_folder("shards"))
        examples = [
            (shard, key, parts)
            for shard, members in enumerate(index)
            for key, parts in _group(members, self._shards[shard])
        ]
        self._extension = image.lower() or _image_extension(examples, self._shards)
        self._keys = [key for _, key, _ in examples]
        self._places = [
            _Place(shard, *self._part(shard, key, parts, self._extension))
            for shard, key, parts in examples
        ]
        columns = _columns(examples, targets)
        self.name = self._shards[0].stem
        self.targets = tuple(columns)
        names = class_names or (_read_names(root, class_file) if class_file else ())
        self.class_names: tuple[str, ...] = tuple(names) if "class" in columns else ()
        self._handles: dict[int, int] = {}
        self._values = {
            target: self._codes(target, extension, examples)
            for target, extension in columns.items()
        }
        entries = [Entry(shard.name, shard.stat().st_size) for shard in self._shards]
        codes = {name: digest_integers(values) for name, values in self._values.items()}
        self.digest = fingerprint(
            entries, "webdataset", self._extension, codes, self.class_names, len(self._keys)
        )

    def __len__(self) -> int:
        """Return the number of examples."""
        return len(self._places)

    def frames(self, index: int) -> tuple[UInt8[np.ndarray, "height width 3"], ...]:
        """Decode the image of one example."""
        return (decode_image(self._read(self._places[index]), self.label(index)),)

    def target(self, index: int, name: str) -> Target:
        """Return a value of one example."""
        if name not in self._values:
            raise DataError(unknown(name, self.targets, f"target of {self.name}"))
        return int(self._values[name][index])

    def label(self, index: int) -> str:
        """Return shard and key."""
        shard = self._shards[self._places[index].shard]
        return f"{shard.name}:{self._keys[index]}.{self._extension}"

    def __getstate__(self) -> dict[str, Any]:
        """Leave the open files behind: another process opens its own."""
        return {**self.__dict__, "_handles": {}}

    def __del__(self) -> None:
        """Close the shards."""
        for handle in self.__dict__.get("_handles", {}).values():
            os.close(handle)

    def _read(self, place: _Place) -> bytes:
        path = self._shards[place.shard]
        try:
            if place.shard not in self._handles:
                self._handles[place.shard] = os.open(path, os.O_RDONLY)
            # pread moves no file position, so processes that share the handle after a fork agree
            content = os.pread(self._handles[place.shard], place.size, place.offset)
        except OSError as error:
            raise DataError(f"{path} cannot be read ({error.strerror}); put it back.") from error
        if len(content) < place.size:
            raise DataError(f"{path} was cut short after it was indexed; copy it again.")
        return content

    def _part(
        self, shard: int, key: str, parts: Mapping[str, tuple[int, int]], extension: str
    ) -> tuple[int, int]:
        if extension not in parts:
            raise DataError(
                f"{self._shards[shard]}: '{key}' has no file '.{extension}' (it has "
                f"{', '.join(f'.{name}' for name in parts)}); mend the shard or the option."
            )
        return parts[extension]

    def _codes(
        self, target: str, extension: str, examples: Sequence[tuple[int, str, Any]]
    ) -> np.ndarray:
        places = [
            _Place(shard, *self._part(shard, key, parts, extension))
            for shard, key, parts in examples
        ]
        values = [self._label_text(place, row) for row, place in enumerate(places)]

        def where(row: int) -> str:
            shard = self._shards[places[row].shard].name
            return f"{shard}: '{self._keys[row]}.{extension}'"

        if target != "class":
            return whole_numbers(values, where)
        codes, self.class_names = encode_labels(values, self.class_names, where)
        return codes

    def _label_text(self, place: _Place, row: int) -> str:
        if place.size > _LARGEST_LABEL:
            raise DataError(
                f"{self._shards[place.shard].name}: the label of '{self._keys[row]}' has "
                f"{place.size} bytes; a label is a number or a name."
            )
        return self._read(place).decode("utf-8", "replace").strip()


def _match(root: str | Path, path: str) -> list[Path]:
    spans = _BRACES.search(path)
    if spans is None:
        return match_files(root, path)
    first, last = spans.groups()
    names = [
        path[: spans.start()] + str(number).zfill(len(first)) + path[spans.end() :]
        for number in range(int(first), int(last) + 1)
    ]
    return [shard for name in names for shard in match_files(root, name)]


def _group(members: Sequence[Member], shard: Path) -> list[tuple[str, dict[str, tuple[int, int]]]]:
    """Gather neighbouring files of one key, as the writer put them."""
    groups: list[tuple[str, dict[str, tuple[int, int]]]] = []
    for key, extension, offset, size in members:
        if not key:  # a file whose name begins with a dot belongs to no example
            continue
        if not groups or groups[-1][0] != key:
            groups.append((key, {}))
        if extension in groups[-1][1]:
            raise DataError(f"{shard} has '{key}.{extension}' twice; write the shard anew.")
        groups[-1][1][extension] = (offset, size)
    return groups


def _image_extension(
    examples: Sequence[tuple[int, str, Mapping[str, Any]]], shards: Sequence[Path]
) -> str:
    if not examples:
        raise DataError(f"{shards[0]} holds no files; check the path.")
    parts = examples[0][2]
    for extension in EXTENSIONS:
        if extension.removeprefix(".") in parts:
            return extension.removeprefix(".")
    raise DataError(
        f"{shards[0]} has no image among {', '.join(f'.{name}' for name in parts)} of its first "
        "example; name its extension in the option 'image'."
    )


def _columns(
    examples: Sequence[tuple[int, str, Mapping[str, Any]]], targets: Mapping[str, str] | None
) -> dict[str, str]:
    if targets is not None:
        return {target: extension.lower() for target, extension in targets.items()}
    return {"class": "cls"} if all("cls" in parts for _, _, parts in examples) else {}


def _read_names(root: str | Path, file: str) -> tuple[str, ...]:
    path = files.expand(str(root)) / file
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"The class names in {path} cannot be read ({error}).") from error
    return tuple(line.strip() for line in lines if line.strip())
