"""Pairs of frames with the optical flow between them: the layouts of KITTI and Middlebury."""

import math
from pathlib import Path
from typing import final

import numpy as np
from jaxtyping import Float32

from vireo.data.flow_files import decode_flow
from vireo.data.sources.listing import EXTENSIONS, open_folder
from vireo.data.sources.matching import match
from vireo.data.sources.paired import PairedSource
from vireo.errors import DataError


@final
class ImagePairFlowSource(PairedSource):
    """Two frames, and where each pixel of the first went: (u to the right, v down) in pixels.

    Flow files are PNG of 16-bit colour or `.flo`. In a PNG red is u, green v, and blue 0 where the
    flow is not known; u = (red - offset) / units_per_pixel, and v alike.

    Args:
        root: the folder; `$VARIABLES` are expanded.
        first, second, flows: folders or one-star patterns below the root (see `matching`), as
            "image_2/*_10.png", "image_2/*_11.png", "flow_occ/*_10.png" of KITTI.
        units_per_pixel: 64 in KITTI's PNG files.
        offset: what a PNG stores for no motion.

    Raises:
        DataError: a folder, file or partner is missing, or an option is out of range.
    """

    def __init__(
        self,
        *,
        root: str | Path,
        first: str,
        second: str,
        flows: str,
        units_per_pixel: int | float = 64,
        offset: int | float = 32768,
    ) -> None:
        if not (0 < units_per_pixel < math.inf and math.isfinite(offset)):
            raise DataError(
                "'units_per_pixel' must be a finite number above 0 and 'offset' finite; got "
                f"{units_per_pixel} and {offset}."
            )
        self._units, self._offset = float(units_per_pixel), float(offset)
        facts = ("image-pair-flow", self._units, self._offset)
        folder = open_folder(root)
        rows = match(folder, (first, second, flows), (*EXTENSIONS, ".flo"))
        super().__init__(folder, rows, target="flow", facts=facts)

    def decode(self, content: bytes, name: str) -> Float32[np.ndarray, "2 height width"]:
        """Decode one flow."""
        return decode_flow(content, name, units_per_pixel=self._units, offset=self._offset)
