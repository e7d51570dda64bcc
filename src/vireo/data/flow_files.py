"""Bytes of an optical flow file to (u, v) in pixels: 16-bit colour PNG, and Middlebury's .flo.

PNG files are read by OpenCV, because Pillow silently reads 16-bit colour as 8-bit.

References:
    KITTI's development kit: u = (red - 32768) / 64, v likewise in green, blue 0 where not measured.
    Baker et al., "A Database and Evaluation Methodology for Optical Flow", IJCV 2011, for .flo: the
    number 202021.25, width, height, then u and v of each pixel by rows, all little-endian, and
    numbers above 1e9 where the flow is unknown.
"""

import struct
import zlib
from collections.abc import Iterator

import numpy as np
from jaxtyping import Float32, UInt16

from vireo.catalog import needs
from vireo.data.decode import guess, refuse_large
from vireo.errors import DataError, MissingExtraError

_PNG = b"\x89PNG\r\n\x1a\n"
_FLO = struct.pack("<f", 202021.25)
_UNKNOWN = 1e9
_PNG_COLOURS = {0: "grey", 2: "RGB", 3: "palette", 4: "grey with alpha", 6: "RGB with alpha"}
_AGAIN = "copy or download it again, or remove it."


def decode_flow(
    content: bytes, name: str, *, units_per_pixel: float, offset: float
) -> Float32[np.ndarray, "2 height width"]:
    """Decode a flow: u to the right and v down, in pixels, NaN where not known.

    Args:
        content: of the file; its first bytes say which format it is.
        name: of the file, for messages.
        units_per_pixel: stored steps of a PNG that make one pixel.
        offset: stored number of a PNG that means no motion.

    Raises:
        DataError: the file is of another format, damaged, or unpacks to a size that is an attack.
    """
    if content.startswith(_FLO):
        return _read_flo(content, name)
    if not content.startswith(_PNG):
        found = guess(content) if content else "it is empty (0 bytes)"
        raise DataError(
            f"{name} is no flow file: {found}. Flow is read from PNG of 16-bit colour and from "
            ".flo; copy or download it again, or convert it."
        )
    stored = _read_png(content, name)
    flow = (stored[:, :, :2].astype(np.float64) - offset) / units_per_pixel
    flow[stored[:, :, 2] == 0] = np.nan
    return np.ascontiguousarray(flow.transpose(2, 0, 1), dtype=np.float32)


def _read_flo(content: bytes, name: str) -> Float32[np.ndarray, "2 height width"]:
    width, height = struct.unpack("<ii", content[4:12]) if len(content) >= 12 else (0, 0)
    if width < 1 or height < 1:
        raise DataError(f"{name} states a size of {width} x {height}; {_AGAIN}")
    refuse_large(width, height, name, "flow")
    whole = 12 + 8 * width * height
    if len(content) != whole:
        raise DataError(
            f"{name} has {len(content)} bytes where a flow of {width} x {height} has {whole}; "
            f"{_AGAIN}"
        )
    flow = np.frombuffer(content, "<f4", offset=12).reshape(height, width, 2).transpose(2, 0, 1)
    known = (np.abs(flow) <= _UNKNOWN).all(axis=0)
    return np.ascontiguousarray(np.where(known, flow, np.nan), dtype=np.float32)


def _read_png(content: bytes, name: str) -> UInt16[np.ndarray, "height width 3"]:
    """Return red, green and blue as stored."""
    kinds = list(_chunks(content, name))
    if kinds[:1] != [b"IHDR"] or kinds[-1] != b"IEND":
        raise DataError(f"{name} is cut short; {_AGAIN}")
    width, height, depth, colour = struct.unpack(">IIBB", content[16:26])
    if (depth, colour) != (16, 2):
        raise DataError(
            f"{name} is a PNG of {depth}-bit {_PNG_COLOURS.get(colour, 'unknown')}, but flow is "
            "stored in 16-bit RGB; a coloured picture of a flow does not hold its numbers: take "
            "the original."
        )
    refuse_large(width, height, name, "flow")
    return _by_opencv(content, name)[:, :, ::-1]


def _by_opencv(content: bytes, name: str) -> UInt16[np.ndarray, "height width 3"]:
    """Return blue, green and red."""
    try:
        import cv2
    except ImportError as error:
        raise MissingExtraError(needs("opencv-python-headless", "Reading flow PNGs")) from error
    try:
        stored = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise DataError(f"{name}: its pixels cannot be unpacked ({error.err}); {_AGAIN}") from error
    if stored is None or stored.dtype != np.uint16 or stored.ndim != 3:
        raise DataError(f"{name}: its pixels cannot be unpacked; {_AGAIN}")
    return np.asarray(stored)


def _chunks(content: bytes, name: str) -> Iterator[bytes]:
    """Yield the kind of each whole chunk of a PNG. OpenCV only prints what is wrong, if anything.

    Raises:
        DataError: a chunk's checksum is wrong.
    """
    place, kind = len(_PNG), b""
    while place + 12 <= len(content) and kind != b"IEND":
        (length,) = struct.unpack(">I", content[place : place + 4])
        kind, end = content[place + 4 : place + 8], place + 8 + length
        if end + 4 > len(content):
            return
        (check,) = struct.unpack(">I", content[end : end + 4])
        if zlib.crc32(memoryview(content)[place + 4 : end]) != check:
            raise DataError(f"{name} is damaged: a checksum is wrong; {_AGAIN}")
        yield kind
        place = end + 4
