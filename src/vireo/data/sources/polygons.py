"""Polygons to masks."""

import numpy as np
from jaxtyping import Bool, Float64


def inside_polygon(
    corners: Float64[np.ndarray, "corners 2"], size: tuple[int, int]
) -> Bool[np.ndarray, "height width"]:
    """Return which pixels have their centre inside a polygon, by the even-odd rule.

    A ray to the left of a pixel's centre crosses the outline an odd number of times if the centre
    is inside. So each crossing of an edge with a row of centres toggles all pixels from there on.
    An edge owns its upper end and not its lower one, and a centre on an edge counts as right of it:
    polygons that share an edge share no pixel.

    Args:
        corners: x and y in pixels, closed without a repeated corner; the centre of the first pixel
            is (0, 0).
        size: height and width of the mask.

    Example:
        >>> corners = np.array([[-0.5, -0.5], [1.5, -0.5], [1.5, 0.5], [-0.5, 0.5]])
        >>> inside_polygon(corners, (2, 3)).astype(int).tolist()
        [[1, 1, 0], [0, 0, 0]]
    """
    height, width = size
    toggles = np.zeros((height, width + 1), dtype=np.uint8)
    for one, other in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        # from the upper end, so that an edge is the same whichever polygon it belongs to
        (x0, y0), (x1, y1) = (one, other) if one[1] < other[1] else (other, one)
        first, end = np.clip(np.ceil([y0, y1]), 0, height).astype(np.int64)
        rows = np.arange(first, end)
        if len(rows):
            x = (x0 * (y1 - rows) + x1 * (rows - y0)) / (y1 - y0)
            columns = np.clip(np.ceil(x), 0, width).astype(np.int64)
            toggles[rows, columns] ^= 1  # one column a row, so no index comes twice
    odd = np.bitwise_xor.accumulate(toggles, axis=1)[:, :width]
    return odd.astype(np.bool_)
