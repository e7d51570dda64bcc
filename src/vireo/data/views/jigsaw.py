"""The geometry of a jigsaw: nine cells of a board, a patch from each, in a drawn order.

At the paper's size the board has 255 pixels, a cell 85 and a patch 64, so that neighbouring patches
leave a gap that no edge or colour crosses (Noroozi & Favaro 2016). As in PIRL's released code, a
patch begins at one of the first `cell - patch` places of either axis: never at the last.
"""

import numpy as np
from jaxtyping import Float64, Int64

from vireo.data.views.recipe import Jigsaw
from vireo.errors import SettingError

GRID = 3
PATCHES = GRID**2
NUM_UNIFORMS = 3 * PATCHES
CELL_PER_PATCH = 85 / 64


def check_jigsaw(jigsaw: Jigsaw) -> None:
    """Refuse a jigsaw that cannot be cut.

    Raises:
        SettingError: a board that is no three cells, patches that do not fit one, or that are
            cropped again.
    """
    cell = jigsaw.board.side // GRID
    if jigsaw.board.count != 1 or jigsaw.board.side % GRID or not 1 <= jigsaw.side <= cell:
        raise SettingError(
            f"A jigsaw is one board of {GRID} cells a side, each of at least a patch; found "
            f"{jigsaw.board.count} of {jigsaw.board.side} pixels and patches of {jigsaw.side}."
        )
    if "Crop" in (type(operation).__name__ for operation in jigsaw.operations):
        raise SettingError("A jigsaw's patches are not cropped again; put the Crop on its board.")


def draw_cuts(
    jigsaw: Jigsaw, uniform: Float64[np.ndarray, "batch 27"]
) -> Float64[np.ndarray, "batch 27"]:
    """Return top and left of the nine patches in their cells, then the cells in drawn order."""
    places = max(1, jigsaw.board.side // GRID - jigsaw.side)
    starts = np.floor(uniform[:, : 2 * PATCHES] * places)
    order = np.argsort(uniform[:, 2 * PATCHES :], axis=1, kind="stable")
    return np.concatenate([starts, order.astype(np.float64)], axis=1)


def corners(
    jigsaw: Jigsaw, cuts: Float64[np.ndarray, "batch 27"]
) -> tuple[Int64[np.ndarray, "batch 9"], Int64[np.ndarray, "batch 9"]]:
    """Return top and left, on the board, of the patches in their drawn order."""
    cell = jigsaw.board.side // GRID
    tops, lefts, order = np.split(cuts.astype(np.int64), 3, axis=1)
    cells = np.arange(PATCHES)
    tops, lefts = tops + cells // GRID * cell, lefts + cells % GRID * cell
    return np.take_along_axis(tops, order, axis=1), np.take_along_axis(lefts, order, axis=1)
