"""Class folders without a split: some images of every class to train, the rest to test.

Caltech-101 is used so since Fei-Fei et al. 2004.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, final

import numpy as np
import xxhash
from jaxtyping import Int64, UInt8

from vireo.data.sources.image_folder import ImageFolderSource
from vireo.data.sources.source import Source, Target
from vireo.digest import digest
from vireo.errors import DataError, SettingError

Part = Literal["train", "test"]


@final
class PerClassSource(Source):
    """One of two parts of `root/class/.../image.jpg`.

    The draw ranks the images of a class by a hash of seed and file name, so it is the same on every
    machine, and an image that is missing moves no other class.

    Args:
        root: the folder; `$VARIABLES` are expanded.
        part: "train": `per_class` images of every class. "test": the others.
        per_class: images of each class in "train".
        seed: of the draw.
        class_names: fixes the codes; see `ImageFolderSource`.

    Raises:
        DataError: a class has no image left to test on.
        SettingError: no such part.
    """

    def __init__(
        self,
        *,
        root: str | Path,
        part: str,
        per_class: int = 30,
        seed: int = 0,
        class_names: Sequence[str] = (),
    ) -> None:
        if part not in ("train", "test") or per_class < 1:
            raise SettingError(
                f"The part must be 'train' or 'test' and per_class at least 1; got '{part}' and "
                f"{per_class}."
            )
        self._all = ImageFolderSource(root=root, classes=True, class_names=class_names)
        self._places = _places(self._all, part == "train", per_class, seed)
        self.name = self._all.name
        self.targets, self.class_names = self._all.targets, self._all.class_names
        self.digest = digest(self._all.digest, "per-class", part, per_class, seed)

    def __len__(self) -> int:
        """Return the number of images of the part."""
        return len(self._places)

    def frames(self, index: int) -> tuple[UInt8[np.ndarray, "height width 3"], ...]:
        """Decode one image."""
        return self._all.frames(int(self._places[index]))

    def target(self, index: int, name: str) -> Target:
        """Return the class code."""
        return self._all.target(int(self._places[index]), name)

    def label(self, index: int) -> str:
        """Return the file's name relative to the folder."""
        return self._all.label(int(self._places[index]))


def _places(
    source: ImageFolderSource, train: bool, per_class: int, seed: int
) -> Int64[np.ndarray, " n"]:
    ranked: dict[int, list[tuple[int, int]]] = {}
    for place in range(len(source)):
        rank = xxhash.xxh3_64_intdigest(f"{seed}\0{source.label(place)}".encode())
        ranked.setdefault(int(source.target(place, "class")), []).append((rank, place))
    chosen = []
    for code, members in ranked.items():
        if len(members) <= per_class:
            raise DataError(
                f"The class '{source.class_names[code]}' has {len(members)} images: {per_class} "
                "of every class are trained on, and more are needed to test. Lower per_class, or "
                "complete the folder."
            )
        part = sorted(members)[:per_class] if train else sorted(members)[per_class:]
        chosen += [place for _, place in part]
    return np.sort(np.array(chosen, dtype=np.int64))
