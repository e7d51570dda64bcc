"""One random geometry for an image and what is known of its pixels: scale, mirror, crop.

An example is resized by a drawn factor, mirrored or not, and a window is cut out of it, in that
order: the window's corner is drawn in the scaled frame. No scaled image is made; each pixel of the
window looks up where it comes from. If h rows were scaled to H, row r of the scaled image has its
centre at x = (r + 1/2) h / H of the image; targets take the pixel that holds x, as when they are
loaded, and images are bilinear between the two pixels around it. So both are of the same place
after any draw. A scaled image that is smaller than the window lies at its top left; the rest is
black and does not count.

Bilinear without antialiasing: down to scale 1/2, the smallest that is published, two neighbouring
lookups are at most two pixels apart and so none is skipped, and at scale 1 pixels stay as they are.

Values follow: flow is in pixels, so it is scaled with them, and a mirror turns its u around. Depth
is divided by the factor (Eigen et al. 2014): test images come from the camera as it is, in which
what looks twice as large is half as far. Other measures stay.

Where a pixel comes from is computed on the host, from the draws alone; the device only looks up,
and nothing waits for it.

References:
    Eigen et al. 2014, Depth map prediction from a single image, section 3.4.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float64, Int64, UInt8
from torch import Tensor

from vireo import seeding
from vireo.records import Task

Numbers = Int64[np.ndarray, " batch"]


@dataclass(frozen=True, kw_only=True)
class Geometry:
    """What is drawn.

    Attributes:
        crop: height and width of the window.
        scale: range of the factor, uniform.
        mirror: probability.
        depth: whether a target of one channel is depth, which follows the factor.
    """

    crop: tuple[int, int]
    scale: tuple[float, float]
    mirror: float
    depth: bool


class Axis(NamedTuple):
    """One side of every example: its length, its scaled length, the window's first place in it."""

    length: Numbers
    scaled: Numbers
    start: Numbers
    mirrored: Bool[np.ndarray, " batch"]


class Placed(NamedTuple):
    """The draws of a batch."""

    geometry: Geometry
    rows: Axis
    columns: Axis


def geometry_of(task: Task, size: tuple[int, int]) -> Geometry | None:
    """Return the geometry that a task trains with; None if its images stay as they are.

    Args:
        task: whose `crop`, `scale` and `mirror` it is.
        size: that images without a crop are resized to; their window is of this size too.
    """
    if task.crop is None and task.scale == (1.0, 1.0) and task.mirror == 0:
        return None
    return Geometry(
        crop=task.crop or size,
        scale=task.scale,
        mirror=task.mirror,
        depth=task.target == "depth",
    )


def draw(
    geometry: Geometry,
    index: Numbers,
    sizes: Int64[np.ndarray, "batch 2"],
    *,
    digest: str,
    epoch: int,
) -> Placed:
    """Draw each example's factor, corner and mirror from (digest, epoch, index) and its size."""
    uniform = np.stack(
        [seeding.generator(digest, "geometry", epoch, int(i)).random(4) for i in index]
    )
    low, high = geometry.scale
    factor = low + (high - low) * uniform[:, :1]
    scaled = np.maximum(1, np.rint(sizes * factor).astype(np.int64))
    # an image that is smaller than the window has one place: the top left
    places = np.maximum(1, scaled - np.array(geometry.crop) + 1)
    start = np.minimum((uniform[:, 1:3] * places).astype(np.int64), places - 1)
    mirrored = uniform[:, 3] < geometry.mirror
    rows, columns = (
        Axis(sizes[:, side], scaled[:, side], start[:, side], mirrored & (side == 1))
        for side in (0, 1)
    )
    return Placed(geometry, rows, columns)


def place_images(
    images: UInt8[Tensor, "batch frames 3 _height _width"], placed: Placed
) -> UInt8[Tensor, "batch frames 3 height width"]:
    """Return the windows of all frames, channels last in memory."""
    rows, columns = _around(placed)
    if not rows.share.any() and not columns.share.any():
        return _look_up(images, rows.low, columns.low).mul_(_inside(images, placed))
    share = _column(columns.share, images)
    above, below = (
        torch.lerp(
            _look_up(images, row, columns.low).float(),
            _look_up(images, row, columns.high).float(),
            share[:, None, None, None, :],
        )
        for row in (rows.low, rows.high)
    )
    blended = torch.lerp(above, below, _column(rows.share, images)[:, None, None, :, None])
    return blended.round_().to(torch.uint8).mul_(_inside(images, placed))


def place_target(
    target: Tensor, valid: Bool[Tensor, "batch ..."], placed: Placed
) -> tuple[Tensor, Bool[Tensor, "batch ..."]]:
    """Return the windows of masks [b, h, w] or measures [b, c, h, w] and where they count."""
    places = [_holding(axis, _window(axis, side)) for axis, side in _axes(placed)]
    inside = _inside(target, placed)[:, 0]
    seen, counts = (_look_up(values, *places) for values in (target, valid))
    if target.dim() == 3:
        return seen, counts & inside[:, 0]
    factors = _factors(placed, target.shape[1])
    if factors is not None:
        seen = seen * _column(factors, target)[:, :, None, None]
    return seen, counts & inside


class _Around(NamedTuple):
    """The pixels on either side of each place along an axis, [batch, window]; share of the high."""

    low: Int64[np.ndarray, "batch window"]
    high: Int64[np.ndarray, "batch window"]
    share: Float64[np.ndarray, "batch window"]


def _axes(placed: Placed) -> tuple[tuple[Axis, int], tuple[Axis, int]]:
    height, width = placed.geometry.crop
    return (placed.rows, height), (placed.columns, width)


def _window(axis: Axis, side: int) -> Int64[np.ndarray, "batch window"]:
    """Return each window's places in the scaled image before its mirror, beyond it the last."""
    place = np.minimum(axis.start[:, None] + np.arange(side), axis.scaled[:, None] - 1)
    mirrored: Int64[np.ndarray, "batch window"] = axis.scaled[:, None] - 1 - place
    return np.where(axis.mirrored[:, None], mirrored, place)


def _holding(
    axis: Axis, place: Int64[np.ndarray, "batch window"]
) -> Int64[np.ndarray, "batch window"]:
    """Return the pixel that holds the centre of each place."""
    found: Int64[np.ndarray, "batch window"]
    found = (2 * place + 1) * axis.length[:, None] // (2 * axis.scaled[:, None])
    return found


def _around(placed: Placed) -> tuple[_Around, _Around]:
    rows, columns = (_neighbours(axis, _window(axis, side)) for axis, side in _axes(placed))
    return rows, columns


def _neighbours(axis: Axis, place: Int64[np.ndarray, "batch window"]) -> _Around:
    length, scaled = axis.length[:, None], axis.scaled[:, None]
    centre = (2 * place + 1) * length / (2 * scaled) - 0.5
    centre = np.clip(centre, 0, length - 1)
    low = centre.astype(np.int64)
    return _Around(low, np.minimum(low + 1, length - 1), centre - low)


def _inside(like: Tensor, placed: Placed) -> Bool[Tensor, "batch 1 1 height width"]:
    """Say which pixels of the windows are of the scaled image."""
    rows, columns = (
        torch.from_numpy(axis.start[:, None] + np.arange(side) < axis.scaled[:, None]).to(
            like.device, non_blocking=True
        )
        for axis, side in _axes(placed)
    )
    return (rows[:, :, None] & columns[:, None, :])[:, None, None]


def _look_up(values: Tensor, rows: np.ndarray, columns: np.ndarray) -> Tensor:
    """Return values[b, ..., rows[b, i], columns[b, j]] as [b, ..., i, j]."""
    down, along = (
        torch.from_numpy(p).to(values.device, non_blocking=True) for p in (rows, columns)
    )
    batch = torch.arange(len(values), device=values.device)[:, None, None]
    found = values[batch, ..., down[:, :, None], along[:, None, :]]  # [b, i, j, ...]
    return found.movedim((1, 2), (-2, -1))


def _factors(placed: Placed, channels: int) -> Float64[np.ndarray, "batch channels"] | None:
    """Return what multiplies each channel of a dense regression."""
    down, along = (axis.scaled / axis.length for axis in (placed.rows, placed.columns))
    if channels == 2:
        return np.stack([np.where(placed.columns.mirrored, -along, along), down], axis=1)
    return 1 / np.sqrt(down * along)[:, None] if placed.geometry.depth else None


def _column(values: np.ndarray, like: Tensor) -> Tensor:
    return torch.from_numpy(values.astype(np.float32)).to(like.device, non_blocking=True)
