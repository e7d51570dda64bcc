"""Bytes of a file to arrays, by Pillow: images, masks of label codes, depth in metres.

Files come from strangers and are broken in many ways, so each either becomes exactly the array that
its signature states or fails as a `DataError` that names it. Only raster formats are tried:
Pillow's readers of PostScript and the like start other programs. JPEGs are decoded in full:
Pillow's faster `draft` mode gives other pixels.
"""

import io
import re
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import numpy as np
from jaxtyping import Float32, Integer, UInt8
from PIL import Image, UnidentifiedImageError

from vireo.errors import DataError

_FORMATS = ("JPEG", "MPO", "PNG", "GIF", "BMP", "TIFF", "WEBP", "PPM", "JPEG2000", "AVIF")
# JPEG 2000 may be lossless, but no reader says whether it is
_LOSSY = ("JPEG", "MPO", "JPEG2000")
_INTEGERS = ("I", "I;16", "I;16B", "I;16L", "I;16N")
# what Pillow's readers raise on damaged files
_BROKEN = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    EOFError,
    AttributeError,
    RuntimeError,
    AssertionError,
    struct.error,
    zlib.error,
)
_ORIENTATION_TAG = 0x0112
_FEW_BITS = re.compile("L;([24])")
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def decode_image(content: bytes, name: str) -> UInt8[np.ndarray, "height width 3"]:
    """Decode an image of any kind to RGB, upright, first frame.

    Grey of 16 bits is scaled to 8, not clipped. Transparent pixels show white, as in a browser:
    what lies under them was never meant to be seen. 16-bit colour keeps its high bytes.

    Args:
        content: of the file.
        name: of the file, for messages.

    Raises:
        DataError: the bytes are no image, are damaged, or unpack to a size that is an attack.
    """
    with _named(name, "image"):
        image = _open(content, name, "image")
        image.load()
        image = _upright(image)
        if image.mode in _INTEGERS:
            return _eight_bits(np.asarray(image), name)
        if image.mode == "F":
            raise DataError(
                f"{name} holds floating point numbers, whose range as an image nobody states; "
                "save it as 8-bit or 16-bit."
            )
        return np.array(_opaque(image))


def decode_mask(content: bytes, name: str) -> Integer[np.ndarray, "height width"]:
    """Decode label codes as they are stored: palette indices, 8-bit or 16-bit grey levels.

    Raises:
        DataError: as for an image; or the mask has colours or lossy compression, so that its pixels
            are not codes.
    """
    with _named(name, "mask"):
        image = _open(content, name, "mask")
        if image.format in _LOSSY or "jpeg" in str(image.info.get("compression")):
            raise DataError(
                f"{name} is a JPEG mask: lossy compression changes label codes; save it as PNG."
            )
        if image.mode == "1":
            return np.array(image).astype(np.uint8)
        return _stored(_one_channel(image, name, ("P", "L", *_INTEGERS), "codes"))


def decode_depth(
    content: bytes, name: str, scale: float, invalid: tuple[float, ...]
) -> Float32[np.ndarray, "height width"]:
    """Decode depth: stored numbers times `scale`, in metres, NaN where not measured.

    Args:
        content: of a grey file of 8, 16 or 32 bits or floating point.
        name: of the file, for messages.
        scale: metres of one stored unit (0.001 for millimetres).
        invalid: stored numbers that mean "not measured".

    Raises:
        DataError: as for an image; or the file has colours.
    """
    with _named(name, "depth map"):
        image = _open(content, name, "depth map")
        stored = _stored(_one_channel(image, name, ("L", "F", *_INTEGERS), "depths"))
        metres = (stored.astype(np.float64) * scale).astype(np.float32)
        metres[~np.isfinite(stored) | np.isin(stored, invalid)] = np.nan
        return metres


@contextmanager
def _named(name: str, what: str) -> Iterator[None]:
    try:
        with warnings.catch_warnings():
            # of damaged metadata, which does not matter here, and of size, which `_open` judges
            warnings.filterwarnings("ignore", module=r"PIL\.")
            yield
    except DataError:
        raise
    except Image.DecompressionBombError as error:
        raise DataError(_too_large(name, what, str(error))) from error
    except _BROKEN as error:
        raise DataError(
            f"{name}: the {what} is damaged or cut short ({str(error) or type(error).__name__}); "
            "copy or download it again, or remove it."
        ) from error


def _open(content: bytes, name: str, what: str) -> Image.Image:
    if not content:
        raise DataError(f"{name} is empty (0 bytes); copy or download it again, or remove it.")
    try:
        image = Image.open(io.BytesIO(content), formats=_readable())
    except UnidentifiedImageError as error:
        raise DataError(
            f"{name} is not an image that Pillow can read: {guess(content)}; replace or remove it."
        ) from error
    refuse_large(image.width, image.height, name, what)
    return image


def _stored(image: Image.Image) -> Integer[np.ndarray, "height width"] | Float32[np.ndarray, "..."]:
    """Load an image's numbers as they are in its file.

    Pillow stretches grey levels of few bits, or of a PGM's own maximum, over 8 or 16 bits.
    """
    highest = _highest(image)
    levels = np.array(image)
    if not highest:
        return levels
    white = 255 if image.mode == "L" else 65535
    return ((levels.astype(np.int64) * highest + white // 2) // white).astype(levels.dtype)


def _highest(image: Image.Image) -> int:
    """Return the stored level that the reader of an image not loaded yet turns into white, or 0."""
    reader, _, _, options = image.tile[0] if image.tile else ("", None, 0, "")  # type: ignore[attr-defined]
    if reader in ("ppm", "ppm_plain"):
        return int(options[-1])
    raw = options if isinstance(options, str) else str(next(iter(options or ()), ""))
    bits = _FEW_BITS.match(raw)
    return 2 ** int(bits[1]) - 1 if bits else 0


@cache
def _readable() -> tuple[str, ...]:
    Image.init()
    return tuple(name for name in _FORMATS if name in Image.OPEN)


def refuse_large(width: int, height: int, name: str, what: str) -> None:
    """Refuse a file that unpacks to more pixels than Pillow's limit, of which it only warns.

    Raises:
        DataError: naming the file.
    """
    if width * height > (Image.MAX_IMAGE_PIXELS or float("inf")):
        raise DataError(_too_large(name, what, f"{width} x {height} pixels"))


def _too_large(name: str, what: str, found: str) -> str:
    return (
        f"{name}: the {what} is too large to be honest ({found}; the limit is "
        f"{Image.MAX_IMAGE_PIXELS} pixels); resize it with a tool you trust, or remove it."
    )


def guess(content: bytes) -> str:
    """Say what a file that is no image seems to be."""
    start = content[:200].lstrip().lower()
    if start.startswith((b"<!doctype", b"<html", b"<?xml", b"<head")):
        return "it is a web page or XML, perhaps a failed download"
    if start.startswith(b"version https://git-lfs"):
        return "it is a Git LFS pointer, so run 'git lfs pull'"
    if content.startswith((b"\x89PNG", b"\xff\xd8", b"GIF8", b"RIFF", b"II*\0", b"MM\0*", b"BM")):
        return "it begins like one, but its header is damaged"
    return f"its first bytes are {content[:8]!r}"


def _eight_bits(
    grey: Integer[np.ndarray, "height width"], name: str
) -> UInt8[np.ndarray, "height width 3"]:
    if grey.min() < 0 or grey.max() > 65535:
        raise DataError(
            f"{name} holds 32-bit numbers ({grey.min()}..{grey.max()}), not grey levels; save it "
            "as 8-bit or 16-bit."
        )
    rounded = (grey.astype(np.uint32) * 255 + 32767) // 65535
    return np.repeat(rounded.astype(np.uint8)[:, :, None], 3, axis=2)


def _opaque(image: Image.Image) -> Image.Image:
    if not image.has_transparency_data:
        return image.convert("RGB")
    over = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), over).convert("RGB")


def _upright(image: Image.Image) -> Image.Image:
    try:
        turn = _UPRIGHT.get(image.getexif().get(_ORIENTATION_TAG, 1))
    except _BROKEN:  # a photograph with damaged EXIF is still a photograph
        return image
    return image if turn is None else image.transpose(turn)


def _one_channel(image: Image.Image, name: str, modes: tuple[str, ...], what: str) -> Image.Image:
    if image.mode in modes:
        return image
    if image.mode == "P":
        raise DataError(f"{name} is a palette image: its colours are no {what}; save it as grey.")
    raise DataError(
        f"{name} has colours (mode {image.mode}), not one channel of {what}; convert it to a "
        f"grey or palette PNG that stores {what}."
    )
