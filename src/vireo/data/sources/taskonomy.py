"""Taskonomy's images and z-buffer depth, split by building.

Taskonomy has `rgb/BUILDING/point_P_view_V_domain_rgb.png` and, of the same size,
`depth_zbuffer/BUILDING/point_P_view_V_domain_depth_zbuffer.png`: 16 bits, 1/512 m, 65535 where the
mesh has a hole.

References:
    Zamir, Sax, Shen, Guibas, Malik, Savarese 2018, Taskonomy: disentangling task transfer learning.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import final

import numpy as np
from jaxtyping import Float32

from vireo import seeding
from vireo.catalog import unknown
from vireo.data.decode import decode_depth
from vireo.data.sources.listing import open_folder
from vireo.data.sources.matching import Match, match
from vireo.data.sources.paired import PairedSource
from vireo.digest import digest
from vireo.errors import DataError, SettingError

_PATTERNS = ("rgb/*_domain_rgb.png", "depth_zbuffer/*_domain_depth_zbuffer.png")
_METRES = 1 / 512
_INVALID = (0.0, 65535.0)
_FACTS = ("taskonomy", _METRES, _INVALID)
_PARTS = ("train", "test")
_SHARE = 10
"""One building in so many is for testing."""


@final
class TaskonomySource(PairedSource):
    """Images with depth in metres.

    Folders `train` and `test` that each hold `rgb` and `depth_zbuffer` are the parts, as the
    study's released code has them. Otherwise a tenth of the buildings, drawn, is the test part: no
    building is in both.

    Args:
        root: the folder; `$VARIABLES` are expanded.
        part: "train" or "test".

    Raises:
        DataError: a folder, file or partner is missing, or there are fewer than two buildings.
        SettingError: no such part.
    """

    def __init__(self, *, root: str | Path, part: str) -> None:
        if part not in _PARTS:
            raise SettingError(unknown(part, _PARTS, "part of Taskonomy"))
        folder = open_folder(root)
        divided = (folder / part / "rgb").is_dir()
        place = folder / part if divided else folder
        rows = match(place, _PATTERNS)
        kept = rows if divided else _of_part(rows, part, folder)
        super().__init__(place, kept, target="depth", facts=_FACTS)
        self.groups = tuple(_building(row) or row.key for row in kept)

    def decode(self, content: bytes, name: str) -> Float32[np.ndarray, "height width"]:
        """Decode one depth map."""
        bits = content[24] if len(content) > 24 and content.startswith(b"\x89PNG") else 16
        if bits != 16:
            raise DataError(
                f"{name} has {bits} bits a pixel, but depth in 1/512 m has 16: it was converted on "
                "the way and lost its depths; get the published file again."
            )
        return decode_depth(content, name, _METRES, _INVALID)


def kept_buildings(buildings: Sequence[str]) -> set[str]:
    """Draw the buildings to test on: a tenth, at least one, the same on every machine.

    Example:
        >>> kept_buildings(["almena", "benevolence", "cosmos"])
        {'almena'}
    """
    key = digest("taskonomy", "test buildings")
    ranked = sorted(set(buildings), key=lambda name: (seeding.integer(key, name), name))
    return set(ranked[: max(1, len(ranked) // _SHARE)])


def _of_part(rows: Sequence[Match], part: str, folder: Path) -> list[Match]:
    names = sorted({_building(row) for row in rows} - {""})
    if len(names) < 2:
        raise DataError(
            f"{folder}/rgb must have a folder for each of at least 2 buildings, so that one can be "
            f"kept for testing; it has {', '.join(names) or 'none'}. Get more buildings."
        )
    kept = kept_buildings(names)
    return [row for row in rows if (_building(row) in kept) == (part == "test")]


def _building(row: Match) -> str:
    """Return the folder that an image is in; "" where it is in none."""
    return row.key.rpartition("/")[0].partition("/")[0]
