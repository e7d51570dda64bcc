"""A picture for people: some frames of a source with their depth, instances and surfaces."""

from colorsys import hsv_to_rgb
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

from vireo import files
from vireo.data.rooms.source import RoomsSource

Picture = UInt8[np.ndarray, "height width 3"]
_RAMP = np.array([(253, 231, 37), (94, 201, 98), (33, 145, 140), (59, 82, 139), (68, 1, 84)])
"""Five anchors of viridis, near to far."""
_WALKABLE = np.array((60, 220, 90))
_GAP = 4


def contact_sheet(source: RoomsSource, path: Path, count: int = 8) -> Path:
    """Write a PNG with one frame a row: RGB, depth, instances, surfaces, walkable floor.

    Args:
        source: the frames; `count` of them are taken at equal steps.
        path: of the PNG.
        count: rows; at most the length of the source.
    """
    number = min(count, len(source))
    rows = [_row(source, place * len(source) // number) for place in range(number)]
    with files.atomic_writer(path) as file:
        Image.fromarray(np.concatenate(rows)).save(file, format="PNG")
    return path


def _row(source: RoomsSource, index: int) -> Picture:
    (image,) = source.frames(index)
    walkable = np.asarray(source.target(index, "walkable"))[..., None]
    cells = (
        image,
        _depth_colours(np.asarray(source.target(index, "depth"))),
        _code_colours(np.asarray(source.target(index, "instances"))),
        _code_colours(np.asarray(source.target(index, "mask"))),
        np.where(walkable, (image + _WALKABLE) // 2, image // 2).astype(np.uint8),
    )
    zoom = max(1, 128 // image.shape[0])
    large = [cell.repeat(zoom, 0).repeat(zoom, 1) for cell in cells]
    padding = ((0, _GAP), (0, _GAP), (0, 0))
    return np.concatenate([np.pad(cell, padding, constant_values=255) for cell in large], 1)


def _depth_colours(depth: Float[np.ndarray, "height width"]) -> Picture:
    place = depth / depth.max() * (len(_RAMP) - 1)
    channels = [np.interp(place, np.arange(len(_RAMP)), _RAMP[:, channel]) for channel in range(3)]
    return np.stack(channels, -1).astype(np.uint8)


def _code_colours(codes: UInt8[np.ndarray, "height width"]) -> Picture:
    """Give every code a colour of its own, 0 a dark grey."""
    hues = (0.05 + 0.618 * np.arange(256)) % 1
    palette = np.array([hsv_to_rgb(hue, 0.65, 0.95) for hue in hues]) * 255
    palette[0] = 40
    return np.asarray(palette.astype(np.uint8)[codes])
