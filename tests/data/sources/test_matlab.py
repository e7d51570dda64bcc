"""MATLAB files: what SciPy writes, and reads, is what is read here; nothing else gets through."""

import struct
import zlib

import numpy as np
import pytest
from scipy.io import loadmat, savemat
from scipy.io.matlab import MatlabObject

from vireo.data.sources.matlab_file import read_variable
from vireo.errors import DataError

PLAIN = {
    "doubles": np.arange(6.0).reshape(2, 3),
    "deep": np.arange(24.0).reshape(2, 3, 4),
    "bytes": np.array([[250, 3]], dtype=np.uint8),
    "small": np.array([[-5], [7]], dtype=np.int16),
    "large": np.array([[2**40]], dtype=np.int64),
    "single": np.array([[0.5, -1.25]], dtype=np.float32),
    "logical": np.array([[True, False]]),
    "none": np.zeros((0, 0)),
}


def structs(*rows):
    array = np.zeros((1, len(rows)), dtype=[(field, object) for field in rows[0]])
    for place, row in enumerate(rows):
        array[0, place] = tuple(row.values())
    return array


@pytest.mark.parametrize("compressed", [False, True])
def test_numbers_and_texts_are_those_that_scipy_reads(tmp_path, compressed):
    path = tmp_path / "a.mat"
    savemat(path, {**PLAIN, "name": "Zürich ☃"}, do_compression=compressed)
    theirs = loadmat(path)
    for name in PLAIN:
        ours = read_variable(path, name)
        assert ours.dtype == np.float64
        np.testing.assert_array_equal(ours, theirs[name].astype(np.float64))
        np.testing.assert_array_equal(ours, PLAIN[name].astype(np.float64))
    assert read_variable(path, "name") == theirs["name"].item() == "Zürich ☃"


@pytest.mark.parametrize("compressed", [False, True])
def test_structs_are_lists_in_order_with_structs_within(tmp_path, compressed):
    inner = structs({"x": 1.0, "longer_name": "one"}, {"x": np.eye(2), "longer_name": ""})
    path = tmp_path / "a.mat"
    value = structs({"id": "A", "frames": inner}, {"id": "B", "frames": np.zeros((0, 0))})
    savemat(path, {"other": 1.0, "video": value}, do_compression=compressed)
    first, second = read_variable(path, "video")
    assert (first["id"], second["id"]) == ("A", "B")
    assert [frame["longer_name"] for frame in first["frames"]] == ["one", ""]
    np.testing.assert_array_equal(first["frames"][0]["x"], [[1.0]])
    np.testing.assert_array_equal(first["frames"][1]["x"], np.eye(2))
    assert second["frames"].size == 0


def test_files_of_the_other_byte_order(tmp_path):
    """Written by hand, as SciPy writes only its machine's order: a big-endian 1 x 2 of int16."""

    def element(kind, content):
        return struct.pack(">II", kind, len(content)) + content + bytes(-len(content) % 8)

    flags = element(6, struct.pack(">II", 10, 0))
    shape = element(5, struct.pack(">ii", 1, 2))
    small_name = struct.pack(">I", 1 << 16 | 1) + b"n\0\0\0"
    matrix = flags + shape + small_name + element(3, struct.pack(">hh", 258, -2))
    header = b"MATLAB 5.0".ljust(124) + struct.pack(">H", 0x0100) + b"MI"
    path = tmp_path / "a.mat"
    path.write_bytes(header + element(14, matrix))
    np.testing.assert_array_equal(read_variable(path, "n"), [[258, -2]])
    np.testing.assert_array_equal(loadmat(path)["n"], [[258, -2]])


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (MatlabObject(structs({"a": 1.0}), "handle"), "an object"),
        (structs({"a": MatlabObject(structs({"a": 1.0}), "handle")}), "an object"),
        (np.array([[1, "two"]], dtype=object), "a cell array"),
        (np.array([1 + 2j]), "complex"),
        (np.array(["ab", "cd"]), "several rows"),
    ],
)
def test_what_is_no_plain_data_is_refused(tmp_path, value, message):
    path = tmp_path / "a.mat"
    savemat(path, {"x": value, "y": 1.0})
    with pytest.raises(DataError, match=rf"a\.mat.*{message}"):
        read_variable(path, "x")
    np.testing.assert_array_equal(read_variable(path, "y"), [[1.0]])
    with pytest.raises(DataError, match="no variable 'z'"):
        read_variable(path, "z")


def test_structs_that_lie_too_deep_are_refused(tmp_path):
    value = 1.0
    for _ in range(12):
        value = structs({"a": value})
    savemat(tmp_path / "a.mat", {"x": value})
    with pytest.raises(DataError, match="too deep"):
        read_variable(tmp_path / "a.mat", "x")


def test_a_bomb_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("vireo.data.sources.matlab_file._LARGEST", 1 << 20)
    packed = zlib.compress(bytes(1 << 22))
    header = b"MATLAB 5.0".ljust(124) + struct.pack("<H", 0x0100) + b"IM"
    path = tmp_path / "a.mat"
    path.write_bytes(header + struct.pack("<II", 15, len(packed)) + packed)
    with pytest.raises(DataError, match="larger than 1 MiB"):
        read_variable(path, "x")


@pytest.mark.parametrize("compressed", [False, True])
def test_damage_anywhere_is_a_data_error_or_harmless(tmp_path, compressed):
    path = tmp_path / "a.mat"
    inner = structs({"x": np.ones((3, 2)), "y": "one"}, {"x": 2.0, "y": "two"})
    savemat(path, {"video": structs({"id": "A", "frames": inner})}, do_compression=compressed)
    whole, rng, refused = path.read_bytes(), np.random.default_rng(0), 0
    for place in range(128, len(whole), 3):
        broken = whole[:place] + bytes([whole[place] ^ rng.integers(1, 256)]) + whole[place + 1 :]
        for content in (broken, whole[:place]):
            path.write_bytes(content)
            try:
                read_variable(path, "video")
            except DataError:
                refused += 1
    assert refused > (len(whole) - 128) / 6
