"""Images with a depth map each, in folders or told apart by the ends of their names."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import final

import numpy as np
from jaxtyping import Float32

from vireo.data.decode import decode_depth
from vireo.data.sources.listing import open_folder
from vireo.data.sources.matching import match
from vireo.data.sources.paired import PairedSource
from vireo.errors import DataError


@final
class ImageDepthSource(PairedSource):
    """An image and its depth in metres.

    Args:
        root: the folder; `$VARIABLES` are expanded.
        images, depths: folders ("rgb", "depth") or one-star patterns ("*.color.jpg") below the root
            (see `matching`).
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
        if not 0 < scale < math.inf:
            raise DataError(f"'scale' must be a finite number above 0; got {scale}.")
        self._scale, self._invalid = float(scale), _numbers(invalid)
        facts = ("image-depth", self._scale, self._invalid)
        folder = open_folder(root)
        super().__init__(folder, match(folder, (images, depths)), target="depth", facts=facts)

    def decode(self, content: bytes, name: str) -> Float32[np.ndarray, "height width"]:
        """Decode one depth map."""
        return decode_depth(content, name, self._scale, self._invalid)


def _numbers(invalid: int | float | Sequence[int | float | str]) -> tuple[float, ...]:
    given = [invalid] if isinstance(invalid, int | float | str) else list(invalid)
    try:
        numbers = tuple(float(number) for number in given)
    except ValueError as error:
        raise DataError(f"'invalid' must be numbers; got {invalid!r}.") from error
    if not all(map(math.isfinite, numbers)):
        raise DataError(f"'invalid' must be finite; got {invalid!r}: inf or nan is always invalid.")
    return numbers
