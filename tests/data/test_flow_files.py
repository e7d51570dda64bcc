"""Flow files of the published formats become (u, v) in pixels, or fail by name."""

import contextlib
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vireo.data.flow_files import decode_flow
from vireo.errors import DataError

RNG = np.random.default_rng(0)
STORED = RNG.integers(0, 65536, (5, 7, 3)).astype(np.uint16)
STORED[:, :, 2] = RNG.integers(0, 2, (5, 7))


def chunk(kind, data):
    check = struct.pack(">I", zlib.crc32(kind + data))
    return struct.pack(">I", len(data)) + kind + data + check


def png(stored, size=None, depth=16, colour=2, pixels=None):
    """A PNG by the book of its format: no filter, big-endian samples."""
    height, width = size or stored.shape[:2]
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in stored)
    data = zlib.compress(rows if pixels is None else pixels)
    parts = ((b"IHDR", header), (b"IDAT", data), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


def flo(flow, size=None):
    """The file of a flow [2, height, width], written value by value."""
    height, width = size or flow.shape[1:]
    content = b"PIEH" + struct.pack("<ii", width, height)
    for row in range(flow.shape[1]):
        for column in range(flow.shape[2]):
            content += struct.pack("<ff", flow[0, row, column], flow[1, row, column])
    return content


def decode(content, units_per_pixel=64.0, offset=32768.0):
    return decode_flow(content, "a.flow", units_per_pixel=units_per_pixel, offset=offset)


@pytest.mark.parametrize("units", [64, 512])
def test_a_png_of_16_bits_by_its_formula(units):
    flow = decode(png(STORED), units_per_pixel=float(units))
    assert (flow.dtype, flow.shape) == (np.float32, (2, 5, 7))
    for row in range(5):
        for column in range(7):
            red, green, blue = STORED[row, column].tolist()
            expected = [(red - 32768) / units, (green - 32768) / units]
            found = flow[:, row, column].tolist()
            assert found == expected if blue else np.isnan(found).all()


def test_another_offset():
    stored = np.full((1, 1, 3), 100, dtype=np.uint16)
    assert decode(png(stored), units_per_pixel=10.0, offset=0.0).tolist() == [[[10.0]], [[10.0]]]


def test_flo_with_unknown_places():
    flow = RNG.normal(size=(2, 3, 4)).astype(np.float32)
    flow[0, 0, 1], flow[1, 2, 3], flow[0, 1, 1] = 1.7e9, -2e9, np.nan
    found = decode(flo(flow))
    expected = flow.copy()
    expected[:, [0, 2, 1], [1, 3, 1]] = np.nan
    np.testing.assert_array_equal(found, expected)
    assert found.flags.c_contiguous


def test_what_is_no_flow_is_named_with_what_it_is():
    with pytest.raises(DataError, match=r"a\.flow is no flow file: it is empty"):
        decode(b"")
    with pytest.raises(DataError, match="no flow file: it is a web page"):
        decode(b"<html>404")
    with pytest.raises(DataError, match="git lfs pull"):
        decode(b"version https://git-lfs.github.com/spec/v1\noid sha256:00")
    with pytest.raises(DataError, match="first bytes are b'Pf"):
        decode(b"Pf\n3 4\n-1\n" + bytes(48))


def test_a_picture_of_a_flow_is_refused(encode, pixels):
    with pytest.raises(DataError, match=r"PNG of 8-bit RGB.*take the original"):
        decode(encode(pixels(0)))
    with pytest.raises(DataError, match="PNG of 16-bit grey"):
        decode(encode(STORED[:, :, 0]))


def test_size_bounds_come_before_the_pixels():
    with pytest.raises(DataError, match=r"a\.flow: the flow is too large to be honest \(60000 x"):
        decode(png(STORED, size=(60000, 60000)))
    with pytest.raises(DataError, match=r"too large to be honest \(40000 x 40000"):
        decode(flo(STORED[:2, :, :2].astype(np.float32), size=(40000, 40000)))
    with pytest.raises(DataError, match="states a size of -1 x 3"):
        decode(b"PIEH" + struct.pack("<ii", -1, 3))
    with pytest.raises(DataError, match="states a size of 0 x 0"):
        decode(b"PIEH\1\0")


def test_cut_or_damaged_files_are_named():
    whole = png(STORED)
    for end in (10, 40, len(whole) // 2, len(whole) - 6):
        with pytest.raises(DataError, match=r"a\.flow is cut short"):
            decode(whole[:end])
    spoilt = bytearray(whole)
    spoilt[60] ^= 1
    with pytest.raises(DataError, match="a checksum is wrong"):
        decode(bytes(spoilt))
    with pytest.raises(DataError, match="pixels cannot be unpacked"):
        decode(png(STORED, pixels=b"\0" * 20))
    content = flo(STORED[:2, :, :2].astype(np.float32))
    with pytest.raises(DataError, match=r"has 51 bytes where a flow of 2 x 7 has 124"):
        decode(content[:51])


@settings(max_examples=100, deadline=None)
@given(st.sampled_from([png(STORED), flo(RNG.normal(size=(2, 3, 4)))]), st.data())
def test_damage_gives_a_flow_or_a_named_error_and_nothing_else(content, data):
    spoilt = bytearray(content)
    for _ in range(data.draw(st.integers(1, 4))):
        spoilt[data.draw(st.integers(0, len(spoilt) - 1))] = data.draw(st.integers(0, 255))
    spoilt = bytes(spoilt[: data.draw(st.integers(1, len(spoilt)))])
    with contextlib.suppress(DataError):
        assert decode(spoilt).dtype == np.float32
