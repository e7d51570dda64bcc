"""Every kind of image file becomes the array that is promised, or fails by name."""

import contextlib
import io
import struct
import warnings
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from vireo.data.decode import decode_depth, decode_image, decode_mask
from vireo.errors import DataError

RNG = np.random.default_rng(0)
RGB = RNG.integers(0, 256, (7, 11, 3), dtype=np.uint8)


def encode(image, kind="PNG", **options):
    if isinstance(image, np.ndarray):
        image = Image.fromarray(image)
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "PPM"])
def test_lossless_colour_is_kept(kind):
    assert np.array_equal(decode_image(encode(RGB, kind), "x"), RGB)


def test_jpeg_is_decoded_in_full():
    content = encode(RGB, "JPEG", quality=75)
    expected = np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))
    assert np.array_equal(decode_image(content, "x"), expected)


def test_an_image_may_be_written_into():
    assert decode_image(encode(RGB), "x").flags.writeable


def test_grey_is_repeated():
    grey = RGB[:, :, 0]
    assert np.array_equal(decode_image(encode(grey), "x"), np.stack([grey] * 3, axis=2))


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_grey_of_16_bits_is_scaled_not_clipped(kind):
    grey = np.array([[0, 128, 129, 257, 32768, 65535]], dtype=np.uint16)
    expected = [round(value / 257) for value in grey[0].tolist()]
    assert decode_image(encode(grey, kind), "x")[0, :, 1].tolist() == expected


def test_black_and_white_of_one_bit():
    bits = Image.fromarray(RGB[:, :, 0] > 127)
    assert np.array_equal(
        decode_image(encode(bits), "x")[:, :, 0], (RGB[:, :, 0] > 127) * np.uint8(255)
    )


def test_transparent_pixels_show_white():
    alpha = RNG.integers(0, 256, (7, 11, 1)).astype(np.uint8)
    alpha[0] = 0
    share = alpha / 255
    expected = RGB * share + 255 * (1 - share)
    decoded = decode_image(encode(np.concatenate([RGB, alpha], axis=2)), "x")
    assert np.abs(decoded - expected).max() <= 1
    assert (decoded[0] == 255).all()


@pytest.mark.parametrize("kind", ["PNG", "GIF"])
def test_a_transparent_palette_entry_shows_white(kind):
    palette = Image.fromarray(np.array([[0, 1, 2]], dtype=np.uint8), mode=None).convert("P")
    palette.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90])
    decoded = decode_image(encode(palette, kind, transparency=1), "x")
    assert decoded[0].tolist() == [[10, 20, 30], [255, 255, 255], [70, 80, 90]]


def test_grey_with_alpha_and_colour_key():
    grey = np.array([[[100, 255], [100, 0]]], dtype=np.uint8)
    assert decode_image(encode(grey), "x")[0, :, 0].tolist() == [100, 255]
    keyed = encode(RGB, transparency=tuple(RGB[2, 3].tolist()))
    decoded = decode_image(keyed, "x")
    assert decoded[2, 3].tolist() == [255, 255, 255]
    assert np.array_equal(decoded[:2], RGB[:2])


@pytest.mark.parametrize("kind", ["TIFF", "JPEG"])
def test_cmyk_as_adobe_inverts_it(kind):
    inks = np.tile(np.array([200, 30, 0, 60], dtype=np.uint8), (16, 16, 1))
    content = encode(Image.frombytes("CMYK", (16, 16), inks.tobytes()), kind)
    assert (b"Adobe" in content) == (kind == "JPEG")
    expected = [(255 - ink) * (255 - 60) / 255 for ink in (200, 30, 0)]
    assert np.abs(decode_image(content, "x")[8, 8] - expected).max() <= 3


STORED = {  # EXIF orientation: how a camera that reports it stores what should be seen
    1: lambda seen: seen,
    2: np.fliplr,
    3: lambda seen: np.rot90(seen, 2),
    4: np.flipud,
    5: lambda seen: seen.transpose(1, 0, 2),
    6: lambda seen: np.rot90(seen, 1),
    7: lambda seen: np.rot90(seen, 2).transpose(1, 0, 2),
    8: lambda seen: np.rot90(seen, -1),
}


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_a_turned_photograph_is_upright(orientation, kind):
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = np.ascontiguousarray(STORED[orientation](RGB))
    assert np.array_equal(decode_image(encode(stored, kind, exif=exif), "x"), RGB)


def test_damaged_exif_does_not_cost_the_photograph():
    content = encode(RGB, "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff" + b"\xff" * 40)
    assert decode_image(content, "x").shape == RGB.shape


def test_the_first_frame_of_an_animation():
    first, second = (Image.fromarray(np.full((4, 5), level, np.uint8)) for level in (10, 200))
    content = encode(first, "GIF", save_all=True, append_images=[second])
    assert (decode_image(content, "x") == 10).all()


def test_empty_and_foreign_files_are_named():
    with pytest.raises(DataError, match=r"a\.jpg is empty"):
        decode_image(b"", "a.jpg")
    with pytest.raises(DataError, match=r"a\.jpg is not an image .*web page"):
        decode_image(b"\n<!DOCTYPE html><html>404</html>", "a.jpg")
    with pytest.raises(DataError, match=r"a\.jpg.*git lfs pull"):
        decode_image(b"version https://git-lfs.github.com/spec/v1\noid sha256:00", "a.jpg")
    with pytest.raises(DataError, match=r"a\.jpg.*first bytes are b'%!PS"):
        decode_image(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "a.jpg")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP", "TIFF"])
def test_a_truncated_file_is_named(kind):
    content = encode(RNG.integers(0, 256, (64, 64, 3), dtype=np.uint8), kind)
    with pytest.raises(DataError, match=r"b\.img: the image is damaged or cut short"):
        decode_image(content[: len(content) // 2], "b.img")


def png_header(width, height):
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    check = struct.pack(">I", zlib.crc32(b"IHDR" + header))
    start = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + b"IHDR" + header + check
    return start + struct.pack(">I", 4) + b"IDAT" + bytes(8)


@pytest.mark.parametrize("side", [10_000, 60_000])
@pytest.mark.parametrize("filters", ["error", "ignore"])
def test_a_decompression_bomb_is_refused_before_it_unpacks(side, filters):
    with warnings.catch_warnings():
        warnings.simplefilter(filters)
        with pytest.raises(DataError, match=r"bomb\.png: the image is too large"):
            decode_image(png_header(side, side), "bomb.png")


def test_floating_point_is_no_image():
    content = encode(np.ones((3, 3), np.float32), "TIFF")
    with pytest.raises(DataError, match="floating point"):
        decode_image(content, "x")


SEEDS = [
    encode(RGB),
    encode(RGB, "JPEG"),
    encode(RGB, "GIF"),
    encode(RGB, "TIFF"),
    encode(RGB, "BMP"),
    encode(RGB, "WEBP"),
]


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(SEEDS), st.data())
def test_damage_gives_an_image_or_a_named_error_and_nothing_else(content, data):
    spoilt = bytearray(content)
    for _ in range(data.draw(st.integers(1, 4))):
        spoilt[data.draw(st.integers(0, len(spoilt) - 1))] = data.draw(st.integers(0, 255))
    spoilt = bytes(spoilt[: data.draw(st.integers(1, len(spoilt)))])
    with contextlib.suppress(DataError):
        assert decode_image(spoilt, "odd.img").dtype == np.uint8


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_mask_codes_are_kept(dtype):
    codes = RNG.integers(0, np.iinfo(dtype).max + 1, (5, 6)).astype(dtype)
    assert np.array_equal(decode_mask(encode(codes), "m"), codes)


def test_a_palette_mask_keeps_indices_not_colours():
    codes = np.array([[0, 1, 255], [3, 2, 1]], dtype=np.uint8)
    mask = Image.fromarray(codes).convert("P")
    mask.putpalette(RNG.integers(0, 256, 768).tolist())
    assert np.array_equal(decode_mask(encode(mask), "m"), codes)


def test_a_mask_of_one_bit_is_zero_and_one():
    bits = RGB[:, :, 0] > 127
    assert np.array_equal(decode_mask(encode(bits), "m"), bits.astype(np.uint8))


def test_colour_and_lossy_masks_are_refused_with_advice():
    with pytest.raises(DataError, match=r"m\.png has colours \(mode RGB\).*palette PNG"):
        decode_mask(encode(RGB), "m.png")
    with pytest.raises(DataError, match=r"m\.jpg is a JPEG mask.*save it as PNG"):
        decode_mask(encode(RGB[:, :, 0], "JPEG"), "m.jpg")


def test_depth_in_millimetres_with_invalid_codes():
    stored = np.array([[0, 1500, 65535]], dtype=np.uint16)
    depth = decode_depth(encode(stored), "d", 0.001, (0.0, 65535.0))
    assert depth.dtype == np.float32
    assert np.isnan(depth[0, [0, 2]]).all()
    assert depth[0, 1] == np.float32(1.5)


def test_depth_in_floating_point_metres():
    stored = np.array([[0.5, np.nan, -1.0, np.inf]], dtype=np.float32)
    depth = decode_depth(encode(stored, "TIFF"), "d", 1.0, (-1.0,))
    assert depth[0, 0] == np.float32(0.5)
    assert np.isnan(depth[0, 1:]).all()


def test_a_coloured_depth_map_is_refused():
    with pytest.raises(DataError, match=r"d\.png has colours"):
        decode_depth(encode(RGB), "d.png", 1.0, ())
    with pytest.raises(DataError, match=r"d\.png is a palette image"):
        decode_depth(encode(Image.fromarray(RGB).convert("P")), "d.png", 1.0, ())


def low_bit_png(depth, codes):
    """A grey PNG of one row with less than 8 bits a pixel, which Pillow reads and never writes."""

    def chunk(kind, data):
        check = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + check

    bits = "".join(format(code, f"0{depth}b") for code in codes)
    row = int(bits.ljust(-len(bits) // 8 * -8, "0"), 2).to_bytes(-(-len(bits) // 8), "big")
    header = struct.pack(">IIBBBBB", len(codes), 1, depth, 0, 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(b"\0" + row)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_codes_of_few_bits_are_as_stored_not_stretched_to_255(depth):
    codes = list(range(2**depth))
    assert decode_mask(low_bit_png(depth, codes), "m").tolist() == [codes]


@pytest.mark.parametrize("highest", [1, 20, 255, 256, 4095, 65535])
@pytest.mark.parametrize("kind", [2, 5])
def test_codes_of_a_pgm_are_as_stored_whatever_its_highest(highest, kind):
    codes = np.unique(np.linspace(0, highest, 50).astype(int))
    values = codes.astype(">u2" if highest > 255 else "u1").tobytes()
    body = values if kind == 5 else " ".join(map(str, codes)).encode()
    content = b"P%d %d 1 %d\n%s\n" % (kind, len(codes), highest, body)
    assert decode_mask(content, "m").tolist() == [codes.tolist()]
    depth = decode_depth(content, "d", 0.001, (0.0,))
    np.testing.assert_allclose(depth[0, 1:], codes[1:] / 1000, rtol=1e-6)


@pytest.mark.parametrize(
    ("kind", "options"),
    [("TIFF", {"compression": "jpeg"}), ("JPEG2000", {"irreversible": True})],
)
def test_masks_in_other_lossy_files_are_refused(kind, options):
    with pytest.raises(DataError, match=r"lossy compression changes label codes; save it as PNG"):
        decode_mask(encode(RGB[:, :, 0], kind, **options), "m")
