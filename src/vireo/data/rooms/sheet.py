"""A picture for people: some examples of a source with what is true of them."""

from collections.abc import Callable
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
_UNKNOWN = 128
_GAP = 4


def contact_sheet(source: RoomsSource, path: Path, count: int = 8) -> Path:
    """Write a PNG with one example a row.

    Single frames: RGB, depth, instances, surfaces, walkable floor. Flow: both frames, the flow (its
    direction as hue, white where nothing moves, grey where it is not known), and the second frame
    moved back by it, which then is the first. Egomotion and clips: their frames.

    Args:
        source: the examples; `count` of them are taken at equal steps.
        path: of the PNG.
        count: rows; at most the length of the source.
    """
    number = min(count, len(source))
    rows = [_row(source, place * len(source) // number) for place in range(number)]
    with files.atomic_writer(path) as file:
        Image.fromarray(np.concatenate(rows)).save(file, format="PNG")
    return path


def _row(source: RoomsSource, index: int) -> Picture:
    frames = source.frames(index)
    cells = _CELLS[source.settings.sequence](source, index, frames)
    zoom = max(1, 128 // frames[0].shape[0])
    large = [cell.repeat(zoom, 0).repeat(zoom, 1) for cell in cells]
    padding = ((0, _GAP), (0, _GAP), (0, 0))
    return np.concatenate([np.pad(cell, padding, constant_values=255) for cell in large], 1)


def _single(source: RoomsSource, index: int, frames: tuple[Picture, ...]) -> list[Picture]:
    (image,) = frames
    walkable = np.asarray(source.target(index, "walkable"))[..., None]
    return [
        image,
        _depth_colours(np.asarray(source.target(index, "depth"))),
        _code_colours(np.asarray(source.target(index, "instances"))),
        _code_colours(np.asarray(source.target(index, "mask"))),
        np.where(walkable, (image + _WALKABLE) // 2, image // 2).astype(np.uint8),
    ]


def _flow(source: RoomsSource, index: int, frames: tuple[Picture, ...]) -> list[Picture]:
    flow = np.asarray(source.target(index, "flow"))
    return [*frames, _flow_colours(flow), _move_back(frames[1], flow)]


_CELLS: dict[str, Callable[[RoomsSource, int, tuple[Picture, ...]], list[Picture]]] = {
    "single": _single,
    "flow": _flow,
    "egomotion": lambda _source, _index, frames: list(frames),
    "clip": lambda _source, _index, frames: list(frames),
}


def _flow_colours(flow: Float[np.ndarray, "2 height width"]) -> Picture:
    known = np.isfinite(flow).all(0)
    u, v = np.where(known, flow, 0)
    strength = np.minimum(np.hypot(u, v) / (0.12 * u.shape[1]), 1)
    turns = np.arctan2(v, u) / (2 * np.pi)
    hue = np.stack([np.cos(2 * np.pi * (turns - third / 3)) for third in range(3)], -1) / 2 + 0.5
    colours = 255 * (1 - strength[..., None] * (1 - hue))
    return np.where(known[..., None], colours, _UNKNOWN).astype(np.uint8)


def _move_back(image: Picture, flow: Float[np.ndarray, "2 height width"]) -> Picture:
    """Take for each pixel the one of the second frame that its flow points to."""
    known = np.isfinite(flow).all(0)
    rows, columns = np.indices(known.shape)
    u, v = np.where(known, flow, 0)
    height, width = known.shape
    row = np.clip((rows + 0.5 + v).astype(int), 0, height - 1)
    column = np.clip((columns + 0.5 + u).astype(int), 0, width - 1)
    return np.where(known[..., None], image[row, column], _UNKNOWN).astype(np.uint8)


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
