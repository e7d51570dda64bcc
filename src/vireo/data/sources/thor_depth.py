"""AI2-THOR frames with depth as the study's archive has it: grey levels in JPEG files.

Each part of the archive has `SCENE/*rgb.jpg` and `SCENE/*depth.jpg`.

References:
    Kotar et al. 2021, Contrasting contrastive self-supervised representation learning pipelines.
    https://arxiv.org/abs/2103.14005
"""

import math
from pathlib import Path
from typing import final

import numpy as np
from jaxtyping import Float32

from vireo.data.decode import decode_image
from vireo.data.sources.listing import open_folder
from vireo.data.sources.matching import match
from vireo.data.sources.paired import PairedSource
from vireo.errors import DataError

_TINT = 16
"""Colour channels of a grey JPEG may differ by so much, by compression."""


@final
class ThorDepthSource(PairedSource):
    """Frames with depth in metres, stored with one channel or three equal ones.

    Args:
        root: one part of the archive; `$VARIABLES` are expanded.
        white: metres that white stands for: depth is in proportion to the grey level, and black is
            not measured.

    Raises:
        DataError: a folder, file or partner is missing.
    """

    def __init__(self, *, root: str | Path, white: int | float) -> None:
        if not 0 < white < math.inf:
            raise DataError(f"'white' must be metres above 0; got {white}.")
        self._white = float(white)
        facts = ("thor-depth", self._white)
        folder = open_folder(root)
        rows = match(folder, ("*rgb.jpg", "*depth.jpg"))
        super().__init__(folder, rows, target="depth", facts=facts)
        self.groups = tuple(row.key.rpartition("/")[0] or row.key for row in rows)

    def decode(self, content: bytes, name: str) -> Float32[np.ndarray, "height width"]:
        """Decode one depth map."""
        image = decode_image(content, name)
        if int(np.ptp(image.astype(np.int16), axis=2).max()) > _TINT:
            raise DataError(f"{name} has colours, not grey levels of depth; get it again.")
        grey = image[:, :, 1]
        metres = (grey * (self._white / 255)).astype(np.float32)
        metres[grey == 0] = np.nan
        return metres
