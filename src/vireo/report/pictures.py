"""Arrays to pictures inside the page: photographs, masks by palette, depth in viridis, flow."""

import base64
import io
from typing import Any

import numpy as np
from jaxtyping import Float, Integer, UInt8
from PIL import Image

LONGEST_SIDE = 160
SMALLEST_JPEG = 96
"""Pixels a side below which a picture's every pixel is seen, so that JPEG would show."""
# Okabe and Ito's colours, safe for the colour-blind, then shades of them for further classes.
PALETTE = (
    *("#26364d", "#e69f00", "#56b4e9", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#cc79a7"),
    *("#8c6bb1", "#a6761d", "#99d8c9", "#fdae6b", "#9ecae1", "#c994c7", "#74c476", "#fb6a4a"),
    *("#dadaeb", "#bdbdbd", "#6baed6", "#fee391"),
)
NOTHING = (128, 128, 128)

Pixels = UInt8[np.ndarray, "height width 3"]


def data_uri(pixels: Pixels) -> str:
    """Return a PNG of `pixels`, at most `LONGEST_SIDE` a side, as a `data:` address."""
    return _address(_picture(pixels), "png", optimize=True)


def photo_uri(pixels: Pixels) -> str:
    """Return a photograph as a `data:` address: JPEG, a fifth of a PNG, once it has many pixels."""
    picture = _picture(pixels)
    if max(picture.size) < SMALLEST_JPEG:
        return data_uri(pixels)
    return _address(picture, "jpeg", quality=88)


def _picture(pixels: Pixels) -> Image.Image:
    picture = Image.fromarray(pixels)
    if max(picture.size) > LONGEST_SIDE:
        picture.thumbnail((LONGEST_SIDE, LONGEST_SIDE), Image.Resampling.LANCZOS)
    return picture


def _address(picture: Image.Image, kind: str, **options: Any) -> str:
    buffer = io.BytesIO()
    picture.save(buffer, kind.upper(), **options)
    return f"data:image/{kind};base64," + base64.b64encode(buffer.getvalue()).decode()


def colour_mask(mask: Integer[np.ndarray, "height width"], ignore: int = 255) -> Pixels:
    """Colour class codes by the palette; `ignore` and negative codes are grey."""
    palette = np.array([_rgb(colour) for colour in PALETTE], dtype=np.uint8)
    pixels: np.ndarray = palette[np.mod(mask, len(palette))]
    pixels[(mask == ignore) | (mask < 0)] = NOTHING
    return pixels


def class_colour(code: int) -> str:
    """Return the colour that `colour_mask` gives a class.

    Example:
        >>> class_colour(1), class_colour(21)
        ('#e69f00', '#e69f00')
    """
    return PALETTE[code % len(PALETTE)]


def colour_depth(depth: Float[np.ndarray, "height width"], low: float, high: float) -> Pixels:
    """Colour depth from `low` (dark) to `high` (bright) by viridis; invalid pixels are grey."""
    from matplotlib import colormaps

    span = max(high - low, 1e-9)
    valid = np.isfinite(depth)
    share = np.clip((np.where(valid, depth, low) - low) / span, 0, 1)
    pixels: np.ndarray = colormaps["viridis"](share, bytes=True)[..., :3].copy()
    pixels[~valid] = NOTHING
    return pixels


def colour_flow(flow: Float[np.ndarray, "2 height width"], longest: float) -> Pixels:
    """Colour flow: hue is the direction, saturation the length up to `longest`; invalid is grey."""
    from matplotlib.colors import hsv_to_rgb

    valid = np.isfinite(flow).all(0)
    u, v = np.where(valid, flow, 0).astype(np.float64)
    hue = np.arctan2(v, u) / (2 * np.pi) % 1
    share = np.clip(np.hypot(u, v) / max(longest, 1e-9), 0, 1)
    colours = hsv_to_rgb(np.stack([hue, share, np.ones_like(share)], axis=-1))
    pixels: np.ndarray = np.rint(colours * 255).astype(np.uint8)
    pixels[~valid] = NOTHING
    return pixels


def longest_flow(truth: Float[np.ndarray, "2 height width"]) -> float:
    """Return the scale that truth and predictions share: the longest true flow, in pixels."""
    lengths = np.hypot(truth[0], truth[1])
    valid = lengths[np.isfinite(lengths)]
    return float(valid.max()) if valid.size else 1.0


def depth_range(truth: Float[np.ndarray, "height width"]) -> tuple[float, float]:
    """Return the scale that truth and predictions share: smallest and largest true depth."""
    valid = truth[np.isfinite(truth)]
    return (float(valid.min()), float(valid.max())) if valid.size else (0.0, 1.0)


def _rgb(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)
