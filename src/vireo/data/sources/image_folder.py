"""Images in folders named after their classes, or in one folder without classes."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import final

import numpy as np
from jaxtyping import UInt8

from vireo.catalog import unknown
from vireo.data.decode import decode_image
from vireo.data.sources.listing import Entry, fingerprint, list_files, open_folder, read
from vireo.data.sources.source import Source, Target
from vireo.errors import DataError


@final
class ImageFolderSource(Source):
    """`root/class/.../image.jpg`; codes follow the sorted names of the class folders.

    Args:
        root: the folder; `$VARIABLES` are expanded.
        classes: True: the first folder of a name is its class. False: no classes, however the files
            lie. None: classes if all images are in folders, none if no image is.
        class_names: fixes the codes; then a folder may be absent, but none may be unknown.

    Raises:
        DataError: no images; images both in folders and beside them; an unknown class.
    """

    def __init__(
        self,
        *,
        root: str | Path,
        classes: bool | None = None,
        class_names: Sequence[str] = (),
    ) -> None:
        self._folder = open_folder(root)
        self._entries = list_files(self._folder)
        self.name = self._folder.name
        if classes is None:
            classes = _in_folders(self._entries, self._folder)
        self.targets = ("class",) if classes else ()
        self._codes, self.class_names = (
            _codes(self._entries, class_names, self._folder) if classes else ([], ())
        )
        self.digest = fingerprint(self._entries, "image-folder", classes, self.class_names)

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self._entries)

    def frames(self, index: int) -> tuple[UInt8[np.ndarray, "height width 3"], ...]:
        """Decode one image."""
        path = self._folder / self._entries[index].name
        return (decode_image(read(path), str(path)),)

    def target(self, index: int, name: str) -> Target:
        """Return the class code."""
        if name not in self.targets:
            raise DataError(unknown(name, self.targets, f"target of {self._folder}"))
        return self._codes[index]

    def label(self, index: int) -> str:
        """Return the file's name relative to the folder."""
        return self._entries[index].name


def _in_folders(entries: list[Entry], folder: Path) -> bool:
    beside = [entry.name for entry in entries if "/" not in entry.name]
    if beside and len(beside) < len(entries):
        raise DataError(
            f"{folder} has {len(beside)} images ('{beside[0]}' ...) beside folders of images: move "
            "them into a class folder, or set classes = false to use all images without classes."
        )
    return not beside


def _codes(
    entries: list[Entry], class_names: Sequence[str], folder: Path
) -> tuple[list[int], tuple[str, ...]]:
    if any("/" not in entry.name for entry in entries):
        raise DataError(f"{folder} has images that are in no class folder; set classes = false.")
    found = Counter(entry.name.partition("/")[0] for entry in entries)
    names = tuple(class_names) or tuple(sorted(found))
    for name in sorted(found):
        if name not in names:
            raise DataError(f"In {folder}: {unknown(name, names, 'class folder')}")
    code_of = {name: code for code, name in enumerate(names)}
    return [code_of[entry.name.partition("/")[0]] for entry in entries], names
