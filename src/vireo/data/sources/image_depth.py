"""Images with a depth map each, in folders or told apart by the ends of their names."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import final

import numpy as np
from jaxtyping import UInt8

from vireo.catalog import unknown
from vireo.data.decode import decode_depth, decode_image
from vireo.data.sources.listing import fingerprint, open_folder, pair, read
from vireo.data.sources.source import Source, Target
from vireo.errors import DataError


@final
class ImageDepthSource(Source):
    """An image and its depth in metres.

    Args:
        root: the folder; `$VARIABLES` are expanded.
        images, depths: folders ("rgb", "depth") or one-star patterns ("*.color.jpg") below the root
            (see `listing.pair`).
        scale: metres of one stored unit: 0.001 for millimetres, 1 for metres.
        invalid: stored numbers that mean "not measured"; each becomes NaN.

    Raises:
        DataError: a folder, file or partner is missing.
    """

    def __init__(
        self,
        *,
        root: str | Path,
        images: str,
        depths: str,
        scale: int | float = 0.001,
        invalid: int | float | Sequence[int | float | str] = 0,
    ) -> None:
        self._folder = open_folder(root)
        self._pairs = pair(self._folder, images, depths)
        if not 0 < scale < math.inf:
            raise DataError(f"'scale' must be a finite number above 0; got {scale}.")
        self._scale, self._invalid = float(scale), _numbers(invalid)
        self.name = self._folder.name
        self.targets = ("depth",)
        self.class_names = ()
        entries = [entry for _, *both in self._pairs for entry in both]
        self.digest = fingerprint(entries, "image-depth", self._scale, self._invalid)

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self._pairs)

    def frames(self, index: int) -> tuple[UInt8[np.ndarray, "height width 3"], ...]:
        """Decode one image."""
        path = self._folder / self._pairs[index].image.name
        return (decode_image(read(path), str(path)),)

    def target(self, index: int, name: str) -> Target:
        """Decode one depth map."""
        if name not in self.targets:
            raise DataError(unknown(name, self.targets, f"target of {self._folder}"))
        path = self._folder / self._pairs[index].partner.name
        return decode_depth(read(path), str(path), self._scale, self._invalid)

    def label(self, index: int) -> str:
        """Return the image file's name relative to the folder."""
        return self._pairs[index].image.name


def _numbers(invalid: int | float | Sequence[int | float | str]) -> tuple[float, ...]:
    given = [invalid] if isinstance(invalid, int | float | str) else list(invalid)
    try:
        numbers = tuple(float(number) for number in given)
    except ValueError as error:
        raise DataError(f"'invalid' must be numbers; got {invalid!r}.") from error
    if not all(map(math.isfinite, numbers)):
        raise DataError(f"'invalid' must be finite; got {invalid!r}: inf or nan is always invalid.")
    return numbers
