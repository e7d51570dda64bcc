"""Polygons to masks, against one pixel at a time in exact fractions."""

from fractions import Fraction

import numpy as np
import pytest

from vireo.data.sources.polygons import inside_polygon

SIZE = (13, 17)


def crosses(corners, row, column) -> bool:
    """Count, exactly, the edges that a ray to the left from a pixel's centre meets."""
    count = 0
    for (x0, y0), (x1, y1) in zip(corners, [*corners[1:], corners[0]], strict=True):
        if (y0 <= row) != (y1 <= row):
            count += x0 + (x1 - x0) * (row - y0) / (y1 - y0) <= column
    return count % 2 == 1


def naive(corners) -> np.ndarray:
    exact = [[Fraction(float(number)) for number in corner] for corner in corners]
    return np.array([[crosses(exact, r, c) for c in range(SIZE[1])] for r in range(SIZE[0])])


@pytest.mark.parametrize("seed", range(6))
def test_corners_on_pixel_centres_and_outside_the_frame(seed):
    """Whole numbers lie on centres and edges through them: the cases that rounding spoils."""
    corners = np.random.default_rng(seed).integers(-6, 22, (7, 2)).astype(float)
    np.testing.assert_array_equal(inside_polygon(corners, SIZE), naive(corners))


@pytest.mark.parametrize("seed", range(4))
def test_corners_anywhere(seed):
    corners = np.random.default_rng(seed).uniform(-4, 20, (9, 2))
    np.testing.assert_array_equal(inside_polygon(corners, SIZE), naive(corners))


def test_triangles_around_a_point_share_no_pixel_and_leave_none_out():
    middle = np.array([7.3, 5.9])
    frame = np.array([[-1, -1], [9, -1], [18, -1], [18, 14], [4, 14], [-1, 14.0]])
    covered = np.zeros(SIZE, dtype=int)
    for one, other in zip(frame, np.roll(frame, -1, axis=0), strict=True):
        covered += inside_polygon(np.stack([middle, one, other]), SIZE)
    np.testing.assert_array_equal(covered, 1)


def test_what_has_no_area_covers_nothing():
    for corners in ([], [[3, 3]], [[3, 3], [9, 8]], [[2, 2], [8, 2], [5, 2]]):
        assert not inside_polygon(np.array(corners, dtype=float).reshape(-1, 2), SIZE).any()
