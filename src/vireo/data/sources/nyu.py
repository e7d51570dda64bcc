"""NYU Depth v2 as the study's archive has it: images, depth in metres, and where one can walk.

Each part of the archive has `images/*.png`, `depths/*.tiff` (floating point metres) and
`walkable/*.png` (not 0 where one can walk); files belong together by their names.

References:
    Silberman, Hoiem, Kohli, Fergus 2012, Indoor segmentation and support inference from RGBD
    images. Mottaghi, Hajishirzi, Farhadi 2016, A task-oriented approach for cost-sensitive
    recognition (the walkable surfaces).
"""

from pathlib import Path
from typing import final

import numpy as np
from jaxtyping import UInt8

from vireo.catalog import unknown
from vireo.data.sources.image_depth import ImageDepthSource
from vireo.data.sources.image_mask import ImageMaskSource
from vireo.data.sources.source import Source, Target
from vireo.digest import digest
from vireo.errors import DataError


@final
class NyuSource(Source):
    """Images with the targets "depth" (0 is not measured) and "walkable" (1 where one can walk).

    Args:
        root: one part of the archive; `$VARIABLES` are expanded.

    Raises:
        DataError: a folder, file or partner is missing.
    """

    def __init__(self, *, root: str | Path) -> None:
        self._depths = ImageDepthSource(
            root=root, images="images", depths="depths", scale=1, invalid=0
        )
        self._walkable = ImageMaskSource(
            root=root,
            images="images",
            masks="walkable",
            target="walkable",
            codes={"0": "0", "*": "1"},
        )
        self.name = self._depths.name
        self.targets = ("depth", "walkable")
        self.class_names = ("not walkable", "walkable")
        self.digest = digest("nyu", self._depths.digest, self._walkable.digest)

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self._depths)

    def frames(self, index: int) -> tuple[UInt8[np.ndarray, "height width 3"], ...]:
        """Decode one image."""
        return self._depths.frames(index)

    def target(self, index: int, name: str) -> Target:
        """Decode one map."""
        if name not in self.targets:
            raise DataError(unknown(name, self.targets, f"target of {self.name}"))
        return (self._depths if name == "depth" else self._walkable).target(index, name)

    def label(self, index: int) -> str:
        """Return the image file's name relative to the folder."""
        return self._depths.label(index)
