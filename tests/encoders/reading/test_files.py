"""Bytes to containers: which reader reads what, that both agree, and what is said of the rest."""

import argparse
import contextlib
import copy
import gzip
import io
import os
import pickle
import struct
import tarfile
import zipfile

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from tests.encoders.reading.torch_files import (
    Call,
    dump,
    records,
    save,
    storage,
    tensor,
    write_archive,
    write_records,
)
from torch import nn
from torch.testing import assert_close

from vireo.encoders.reading import archives
from vireo.encoders.reading import files as reading
from vireo.encoders.reading.files import read_file, tensors_of_module
from vireo.encoders.reading.pickles import DamageError, Inert
from vireo.errors import CheckpointError

FORMS = ("zip", "legacy")
STATE = {"conv.weight": torch.arange(6.0).reshape(2, 3), "steps": torch.tensor(3)}


def read_restricted(path, monkeypatch):
    """Read with our own reader, as if torch's refused."""

    def refuse(_):
        raise pickle.UnpicklingError("refused")

    with monkeypatch.context() as patched:
        patched.setattr(reading, "_load_by_torch", refuse)
        content = read_file(path)
    assert content.reader != "torch"
    return content


def leaves(value):
    """Every tensor in plain containers, by plain recursion."""
    if isinstance(value, torch.Tensor):
        return [value]
    children = value.values() if isinstance(value, dict) else value
    return [leaf for child in children for leaf in leaves(child)] if children != value else []


def bits(value):
    return value.detach().contiguous().reshape(-1).view(torch.uint8).tolist()


def assert_identical(found, wanted):
    assert type(found) is type(wanted)
    assert (found.dtype, found.shape, found.stride()) == (
        wanted.dtype,
        wanted.shape,
        wanted.stride(),
    )
    assert found.storage_offset() == wanted.storage_offset()
    assert found.requires_grad == wanted.requires_grad
    assert bits(found) == bits(wanted)


def sharing(tensors):
    """Which of the tensors share memory with which."""
    owners = [tensor.untyped_storage().data_ptr() for tensor in tensors]
    return [[a == b for a in owners] for b in owners]


DTYPES = (
    *(torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.complex64),
    *(torch.complex128, torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8),
    *(torch.uint16, torch.uint32, torch.uint64, torch.bool),
    *(torch.float8_e4m3fn, torch.float8_e5m2),
)


def of_dtype(dtype):
    raw = torch.arange(6 * dtype.itemsize, dtype=torch.uint8)
    return (raw % 2).bool() if dtype is torch.bool else raw.view(dtype)


def views():
    base = torch.arange(24.0).reshape(4, 6)
    return {
        "base": base,
        "column": base[:, 2],
        "transposed": base.t(),
        "strided": base[1::2, ::3],
        "expanded": base[:1, :1].expand(3, 5),
        "empty": torch.zeros(0, 3),
        "scalar": torch.tensor(2.5),
        "none": base[2:2],
        "permuted": torch.arange(24).reshape(2, 3, 4).permute(2, 0, 1),
        "last": torch.ones(2, 3, 4, 4).to(memory_format=torch.channels_last),
    }


def parameters():
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(4, 2))
    network[2].weight.requires_grad_(False)
    tensor = torch.ones(3, requires_grad=True)
    return {"p": dict(network.named_parameters()), "state": network.state_dict(), "t": tensor}


def trained():
    network = nn.Linear(3, 2)
    optimizer = torch.optim.AdamW(network.parameters())
    network(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    return {"model": network.state_dict(), "optimizer": optimizer.state_dict(), "lr": [0.1, 1]}


TREES = {"views": views, "parameters": parameters, "trained": trained}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", TREES)
def test_both_readers_give_identical_tensors(tmp_path, monkeypatch, form, name):
    content = TREES[name]()
    path = save(tmp_path / "x.pth", content, form)
    by_torch = read_file(path)
    assert (by_torch.reader, by_torch.foreign) == ("torch", ())
    own = read_restricted(path, monkeypatch)
    assert own.reader == "torch, restricted reader"
    wanted = leaves(torch.load(path, weights_only=True))
    assert len(wanted) == len(leaves(content)) > 3
    for found, theirs, oracle in zip(leaves(own.tree), leaves(by_torch.tree), wanted, strict=True):
        assert_identical(theirs, oracle)
        assert_identical(found, oracle)
    assert sharing(leaves(own.tree)) == sharing(leaves(content))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_every_dtype_is_read_bit_for_bit(tmp_path, monkeypatch, form, dtype):
    base = of_dtype(dtype)
    content = {"a": base, "b": base[1:3]}
    path = save(tmp_path / "x.pth", content, form)
    for read in (read_restricted(path, monkeypatch), read_file(path)):
        assert_identical(read.tree["a"], content["a"])
        assert_identical(read.tree["b"], content["b"])
        assert sharing([*read.tree.values()]) == [[True] * 2] * 2


@pytest.mark.parametrize("form", FORMS)
def test_a_foreign_class_beside_the_tensors_stays_inert(tmp_path, form):
    content = {"state_dict": STATE, "args": argparse.Namespace(arch="resnet50", lr=0.1)}
    read = read_file(save(tmp_path / "x", content, form))
    assert read.reader == "torch, foreign classes inert"
    assert read.foreign == ("argparse.Namespace",)
    assert read.tree["args"].state == {"arch": "resnet50", "lr": 0.1}
    assert_close(read.tree["state_dict"], STATE, rtol=0, atol=0)


def test_pickles_of_later_protocols_are_read(tmp_path):
    torch.save({"a": torch.arange(3)}, tmp_path / "x", pickle_protocol=4)
    read = read_file(tmp_path / "x")
    assert (read.reader, read.foreign) == ("torch, restricted reader", ())
    assert read.tree["a"].tolist() == [0, 1, 2]


def test_sparse_and_quantised_tensors_are_left_to_torch_or_stay_inert(tmp_path, monkeypatch):
    content = {"a": torch.eye(3).to_sparse(), "b": torch.ones(2)}
    path = save(tmp_path / "x", content, "zip")
    assert_close(read_file(path).tree["a"].to_dense(), torch.eye(3))
    own = read_restricted(path, monkeypatch)
    assert own.tree["a"].kind == "torch._utils._rebuild_sparse_tensor"
    assert_close(own.tree["b"], torch.ones(2))
    assert "torch._utils._rebuild_sparse_tensor" in own.foreign


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
        self.again = self.body[0]
        self.register_buffer("kept", torch.ones(2))
        self.register_buffer("passing", torch.ones(3), persistent=False)
        self.register_parameter("nothing", None)
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, images):
        return self.body(images) * self.scale


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.filterwarnings("ignore:Couldn't retrieve source code")
def test_a_network_that_was_saved_whole_gives_its_state_dict(tmp_path, form):
    network = Net()
    read = read_file(save(tmp_path / "x", {"model": network, "epoch": 2}, form))
    tensors = tensors_of_module(read.tree["model"])
    assert list(tensors) == list(network.state_dict())
    assert_close(tensors, dict(network.state_dict()), rtol=0, atol=0)
    assert any(name.endswith("test_files.Net") for name in read.foreign)


@pytest.mark.filterwarnings("ignore:`torch.jit")
def test_a_torchscript_archive_gives_its_state_dict(tmp_path):
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Sequential(nn.BatchNorm2d(4), nn.ReLU()))
    torch.jit.trace(network.eval(), torch.ones(1, 3, 8, 8)).save(tmp_path / "x.pt")
    read = read_file(tmp_path / "x.pt")
    assert read.reader == "torch, foreign classes inert"
    assert all(name.startswith("__torch__.") for name in read.foreign)
    assert_close(tensors_of_module(read.tree), dict(network.state_dict()), rtol=0, atol=0)


def test_what_is_no_module_has_no_tensors_by_name():
    parent = Inert(kind="omegaconf.DictConfig", state={"a": torch.ones(1)})
    parent.state["child"] = Inert(kind="omegaconf.AnyNode", state={"_parent": parent})
    assert tensors_of_module(parent) == {}


@pytest.mark.parametrize("levels", [0, 30])
def test_a_module_that_repeats_itself_without_end_is_refused(levels):
    top = Inert(kind="a.B", state={})
    module = top
    for _ in range(levels):
        module = Inert(kind="a.B", state={"_modules": {"x": module, "y": module}})
    if module is top:
        top.state["_modules"] = {"x": top}
    with pytest.raises(CheckpointError, match=r"'a\.B' holds itself"):
        tensors_of_module(module)


@pytest.mark.parametrize("name", ["x", "x" * 10_000])
def test_a_module_whose_names_grow_without_end_is_refused(name):
    module = Inert(kind="a.B", state={"_parameters": {"w": torch.ones(1)}})
    for _ in range(3):
        module = Inert(kind="a.B", state={"_modules": {f"{name}{n}": module for n in range(26)}})
    if len(name) > 1:
        with pytest.raises(CheckpointError, match="too many tensors"):
            tensors_of_module(module)
    else:
        assert len(tensors_of_module(module)) == 26**3


def test_safetensors_are_read_with_their_metadata(tmp_path):
    content = {**STATE, "half": torch.ones(2, dtype=torch.bfloat16), "empty": torch.zeros(0, 2)}
    save_file(content, tmp_path / "x", metadata={"format": "pt", "epoch": "3"})
    read = read_file(tmp_path / "x")
    assert (read.reader, read.foreign) == ("safetensors", ())
    assert read.metadata == {"format": "pt", "epoch": "3"}
    assert read.tree.keys() == content.keys()
    for name, wanted in content.items():
        assert_identical(read.tree[name], wanted)


def raw_safetensors(path, header, data):
    path.write_bytes(struct.pack("<Q", len(header)) + header + data)
    return path


def test_safetensors_whose_length_begins_like_a_pickle_are_read(tmp_path):
    header = b'{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}'.ljust(0x80)
    path = raw_safetensors(tmp_path / "x", header, np.array([1, 2], np.float32).tobytes())
    assert path.read_bytes()[:1] == b"\x80"
    read = read_file(path)
    assert (read.reader, read.tree["a"].tolist()) == ("safetensors", [1, 2])


def test_safetensors_do_not_change_with_their_file(tmp_path):
    save_file({"a": torch.ones(4)}, tmp_path / "x")
    read = read_file(tmp_path / "x").tree["a"]
    with (tmp_path / "x").open("r+b") as file:
        file.seek(-16, os.SEEK_END)
        file.write(bytes(16))
    assert read.tolist() == [1] * 4


def test_safetensors_that_describe_a_tensor_twice_are_refused(tmp_path):
    entry = b'"a":{"dtype":"%s","shape":[2],"data_offsets":[0,8]}'
    header = b"{" + entry % b"F32" + b"," + entry % b"I32" + b"}"
    with pytest.raises(CheckpointError, match="says the same thing twice"):
        read_file(raw_safetensors(tmp_path / "x", header, bytes(8)))


ARRAYS = {
    "float": np.arange(6, dtype=np.float32).reshape(2, 3),
    "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "big-endian": np.arange(4, dtype=">i4"),
    "half": np.arange(4, dtype=np.float16),
    "bool": np.array([True, False]),
    "bytes": np.arange(4, dtype=np.uint8),
    "complex": np.array([1 + 2j]),
    "zero-dimensional": np.array(3.5),
    "empty": np.zeros((0, 4), np.float32),
}


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_a_pickle_of_arrays_gives_tensors_and_numbers(tmp_path, protocol):
    scalars = {"mean": np.float64(0.5), "count": np.int64(7), "flag": np.bool_(True)}
    content = {"model": {**ARRAYS, "twice": ARRAYS["float"]}, **scalars}
    (tmp_path / "x.pkl").write_bytes(pickle.dumps(content, protocol=protocol))
    read = read_file(tmp_path / "x.pkl")
    assert (read.reader, read.foreign) == ("pickle, restricted reader", ())
    for name, array in ARRAYS.items():
        native = (
            np.ascontiguousarray(array).astype(array.dtype.newbyteorder("=")).reshape(array.shape)
        )
        assert_identical(read.tree["model"][name], torch.from_numpy(native))
    assert read.tree["model"]["twice"] is read.tree["model"]["float"]
    assert {name: read.tree[name] for name in scalars} == {"mean": 0.5, "count": 7, "flag": True}
    assert {type(read.tree[name]) for name in scalars} == {float, int, bool}


@pytest.mark.parametrize("protocol", [2, 5])
def test_arrays_of_objects_and_texts_stay_inert(tmp_path, protocol):
    content = {"a": np.array([{"x": 1}, None]), "b": np.array(["text"]), "c": np.ones(2)}
    (tmp_path / "x.pkl").write_bytes(pickle.dumps(content, protocol=protocol))
    read = read_file(tmp_path / "x.pkl")
    assert isinstance(read.tree["a"], Inert)
    assert isinstance(read.tree["b"], Inert)
    assert read.tree["c"].tolist() == [1, 1]
    assert read.foreign


@pytest.mark.parametrize(
    "change", [(b"\x00" * 15, (4,)), (b"\x00" * 16, (5,)), (b"\x00" * 16, (-4,))]
)
def test_an_array_that_lies_about_its_length_is_refused(tmp_path, change):
    content, shape = change
    array = np.zeros(4, np.float32)
    function, given, state = array.__reduce__()
    lie = (*state[:1], shape, *state[2:4], content)

    class Array:
        def __reduce__(self):
            return function, given, lie

    (tmp_path / "x.pkl").write_bytes(pickle.dumps({"a": Array()}))
    with pytest.raises(CheckpointError, match=r"damaged or tampered with: an array"):
        read_file(tmp_path / "x.pkl")


def test_a_compressed_archive_is_read(tmp_path):
    state = {"a": torch.arange(1000.0), "e": torch.zeros(0)}
    path = save(tmp_path / "x", state, "zip")
    path = write_records(tmp_path / "y", records(path), zipfile.ZIP_DEFLATED)
    read = read_file(path)
    assert_close(read.tree, state, rtol=0, atol=0)


def test_an_archive_of_the_other_byte_order_is_read(tmp_path, monkeypatch):
    state = {"a": torch.arange(4.0), "b": torch.arange(3), "c": torch.ones(2).bool()}
    parts = records(save(tmp_path / "x", state, "zip"))
    parts["byteorder"] = b"big"
    for key, letter in (("0", "f4"), ("1", "i8")):
        swapped = np.frombuffer(parts[f"data/{key}"], f"<{letter}").astype(f">{letter}")
        parts[f"data/{key}"] = swapped.tobytes()
    path = write_records(tmp_path / "y", parts)
    assert_close(read_file(path).tree, state, rtol=0, atol=0)
    assert_close(read_restricted(path, monkeypatch).tree, state, rtol=0, atol=0)


def test_an_archive_without_checksums_is_read(tmp_path, monkeypatch):
    torch.serialization.set_crc32_options(False)
    try:
        path = save(tmp_path / "x", {"a": torch.arange(3)}, "zip")
    finally:
        torch.serialization.set_crc32_options(True)
    with zipfile.ZipFile(path) as archive:
        assert {info.CRC for info in archive.infolist()} == {0}
    assert read_file(path).tree["a"].tolist() == [0, 1, 2]
    assert read_restricted(path, monkeypatch).tree["a"].tolist() == [0, 1, 2]


@pytest.mark.parametrize("foreign", [False, True])
def test_a_flipped_bit_is_found_by_its_checksum(tmp_path, foreign):
    state = {"a": torch.arange(256.0), "b": argparse.Namespace() if foreign else 1}
    path = save(tmp_path / "x", state, "zip")
    content = bytearray(path.read_bytes())
    content[content.index(torch.arange(256.0).numpy().tobytes()) + 77] ^= 1
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"'x/data/0' does not match its checksum"):
        read_file(path)


def edited(path, edit, compression=zipfile.ZIP_STORED):
    """Write an archive whose directory `edit` changes before it is written."""
    parts = {"data.pkl": dump({"a": tensor(storage())}), "data/0": bytes(16), "version": b"3\n"}
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in parts.items():
            archive.writestr(f"archive/{name}", data)
        edit(archive)
    return path


def add(name, data=b"x", mode=0, compression=zipfile.ZIP_STORED):
    def edit(archive):
        info = zipfile.ZipInfo(name)
        info.external_attr = mode << 16
        archive.writestr(info, data, compression)

    return edit


def overlap(archive):
    archive.writestr("archive/data/1", bytes(10_000))
    info = archive.getinfo("archive/data/1")
    for number in range(2, 60):
        again = copy.copy(info)
        again.filename = again.orig_filename = f"archive/data/{number}"
        archive.filelist.append(again)


def lie(**fields):
    def edit(archive):
        for name, value in fields.items():
            setattr(archive.getinfo("archive/data/0"), name, value)

    return edit


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (add("archive/../../evil"), "leads out of the archive"),
        (add("../evil"), "leads out of the archive"),
        (add("/etc/passwd"), "leads out of the archive"),
        (add("archive/..\\evil"), "leads out of the archive"),
        (add("archive/data/1", b"/etc/passwd", 0o120777), "is a link"),
        (add("archive/DATA/0"), "the same name"),
        (add("archive/data.PKL"), "the same name"),
        (add("other/data.pkl"), "without the one 'data.pkl'"),
        (add("archive/data/1", b"x", 0, zipfile.ZIP_BZIP2), "packed in another way"),
        (overlap, "larger than the file"),
        (lie(file_size=20), "two lengths"),
        (lie(compress_size=10**9, file_size=10**9), "larger than the file"),
        (lie(compress_size=2**40, file_size=2**40), "larger than the file"),
        (lie(header_offset=0), "do not agree"),
        (lie(header_offset=10**6), "broken or cut short|damaged|do not agree"),
        (lie(flag_bits=1), "encrypted"),
        (lie(CRC=1), "does not match its checksum"),
    ],
)
def test_an_archive_that_lies_is_refused(tmp_path, edit, said):
    assert_close(read_file(edited(tmp_path / "honest", lambda _: None)).tree["a"], torch.zeros(4))
    with pytest.raises(CheckpointError, match=said):
        read_file(edited(tmp_path / "x", edit))


def plain_archive(content):
    """A zip archive of a state_dict as zipfile writes it, and where its directory begins."""
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w") as archive:
        archive.writestr("archive/data.pkl", dump({"a": tensor(storage())}))
        archive.writestr("archive/version", b"3\n")
        archive.writestr("archive/data/0", torch.tensor(content).numpy().tobytes())
    return raw.getvalue(), archive.start_dir


def test_an_archive_with_two_directories_is_refused(tmp_path):
    hidden, start = plain_archive([1.0, 2.0, 3.0, 4.0])
    shown, shown_start = plain_archive([5.0, 6.0, 7.0, 8.0])
    end = bytearray(shown[-22:])
    end[16:20] = struct.pack("<I", start)
    path = tmp_path / "x"
    path.write_bytes(hidden[:-22] + shown[:-22] + end)
    with zipfile.ZipFile(path) as archive:  # the danger: zipfile and torch see different files
        assert archive.read("archive/data/0") == shown[shown.index(b"\x00\x00\xa0\x40") :][:16]
    assert torch.load(path, weights_only=True)["a"].tolist() == [1, 2, 3, 4]
    with pytest.raises(CheckpointError, match="in two places"):
        read_file(path)
    end[16:20] = struct.pack("<I", shown_start)
    path.write_bytes(shown[:-22] + end)
    assert read_file(path).tree["a"].tolist() == [5, 6, 7, 8]


def test_a_directory_of_large_archives_that_lies_elsewhere_is_refused(tmp_path):
    raw = bytearray(save(tmp_path / "x", {"a": torch.ones(4)}, "zip").read_bytes())
    locator = raw.rindex(b"PK\6\7")
    raw[locator + 8 : locator + 16] = struct.pack("<Q", 0)
    (tmp_path / "x").write_bytes(raw)
    with pytest.raises(CheckpointError, match="in two places"):
        read_file(tmp_path / "x")


def test_bytes_behind_an_archive_are_refused(tmp_path):
    path = save(tmp_path / "x", {"a": torch.ones(4)}, "zip")
    path.write_bytes(path.read_bytes() + b"more")
    with pytest.raises(CheckpointError, match="not at its end"):
        read_file(path)


def test_a_record_of_two_names_is_refused():
    info = zipfile.ZipInfo("archive/data/0")
    info.filename = "archive/data/1"  # as later Pythons do where an extra field says so
    with pytest.raises(DamageError, match="two names"):
        archives._check_names([info])


def test_storages_that_differ_in_case_are_refused_and_sources_are_not(tmp_path):
    parts = {"data.pkl": dump({"a": 1}), "version": b"3\n"}
    sources = {"code/A.py": b"1", "code/a.py": b"2"}
    assert read_file(write_records(tmp_path / "x", parts | sources)).tree == {"a": 1}
    storages = {f"data/{name}": data for name, data in sources.items()}
    with pytest.raises(CheckpointError, match="the same name"):
        read_file(write_records(tmp_path / "x", parts | storages))


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_records_of_one_name_are_refused(tmp_path):
    with pytest.raises(CheckpointError, match="the same name"):
        read_file(edited(tmp_path / "x", add("archive/data/0", bytes(16))))


def test_a_zip_bomb_is_refused_before_it_expands(tmp_path, monkeypatch):
    def never(*_):
        pytest.fail("a record was read")

    monkeypatch.setattr(archives.Archive, "_read", never)
    bomb = {"data.pkl": dump({"a": tensor(storage(elements=2**24), size=(2**24,))})}
    bomb["data/0"] = bytes(2**26)
    path = write_records(tmp_path / "x", bomb, zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 2**17
    with pytest.raises(CheckpointError, match="expand to more than 8 times the file"):
        read_file(path)


@pytest.mark.parametrize("length", [8, 400_000])
def test_a_compressed_record_of_another_length_is_refused(tmp_path, length):
    edit = lie(file_size=length)
    with pytest.raises(CheckpointError, match=r"has another length than it says|not 16"):
        read_file(edited(tmp_path / "x", edit, zipfile.ZIP_DEFLATED))


def test_a_compressed_record_that_expands_beyond_its_length_is_not_expanded(tmp_path):
    parts = {"data.pkl": dump({"a": tensor(storage())}), "data/0": bytes(2**26)}
    with zipfile.ZipFile(tmp_path / "x", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in parts.items():
            archive.writestr(f"archive/{name}", data)
        archive.getinfo("archive/data/0").file_size = 16
    with pytest.raises(CheckpointError, match="another length than it says"):
        read_file(tmp_path / "x")


def legacy(tmp_path, content):
    return bytearray(save(tmp_path / "x", content, "legacy").read_bytes())


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (b"K\x04N", b"K\x05N", "counts them in two ways"),
        (b"K\x04N", b"J\xff\xff\xff\x7fN", "counts them in two ways"),
        (b"K\x00K\x04\x85", b"K\x00K\x05\x85", "reads beyond the 4 elements"),
        (b"M\xe9\x03.", b"M\xea\x03.", "of version 1002"),
        (struct.pack("<q", 4), struct.pack("<q", 5), "counts them in two ways"),
        (struct.pack("<q", 4), struct.pack("<q", -1), "counts them in two ways"),
    ],
)
def test_a_stream_whose_numbers_disagree_is_refused(tmp_path, old, new, said):
    raw = legacy(tmp_path, {"a": torch.arange(4.0)})
    assert raw.count(old) == 1
    (tmp_path / "x").write_bytes(raw.replace(old, new))
    with pytest.raises(CheckpointError, match=said):
        read_file(tmp_path / "x")


def doubled(index):
    """Opcodes of a tuple that holds the one below twice, sixty times over."""
    pairs = (b"q%ch%c\x86" % (index + n, index + n) for n in range(60))
    return b"K\x01" + b"".join(pairs)


def stream_of(content, keys, **storages):
    """A legacy file of one pickle, whose storages have eight elements of float32."""
    head = pickle.dumps(0x1950A86A20F9469CFC6C, 2) + pickle.dumps(1001, 2) + pickle.dumps({}, 2)
    data = (struct.pack("<q", 8) + np.full(8, n, np.float32).tobytes() for n in storages.values())
    return head + content + keys + b"".join(data)


def test_a_stream_of_nested_keys_or_version_is_refused_at_once(tmp_path):
    keys = b"\x80\x02](" + doubled(0) + doubled(100) + b"e."
    (tmp_path / "x").write_bytes(stream_of(dump({}), keys))
    with pytest.raises(CheckpointError, match="are not those that its tensors use"):
        read_file(tmp_path / "x")
    version = b"\x80\x02" + doubled(0) + b"."
    raw = stream_of(dump({}), dump([])).replace(pickle.dumps(1001, 2), version)
    (tmp_path / "x").write_bytes(raw)
    with pytest.raises(CheckpointError, match="of version no number"):
        read_file(tmp_path / "x")


@pytest.mark.parametrize(
    "identities",
    [
        [(*storage("0", 8), ("v", 0, 4)), (*storage("0", 8), ("v", 4, 4))],
        [(*storage("0", 8), ("1", 4, 4)), (*storage("1", 8), None)],
        [(*storage("0", 8), None), (*storage("0", 8, torch.IntStorage), None)],
    ],
)
def test_a_storage_that_a_stream_describes_in_two_ways_is_refused(tmp_path, identities):
    names = sorted({identity[2] for identity in identities})
    content = dump([tensor(identity) for identity in identities])
    raw = stream_of(content, dump(names), **dict.fromkeys(names, 1))
    (tmp_path / "x").write_bytes(raw)
    with pytest.raises(CheckpointError, match="in two ways"):
        read_file(tmp_path / "x")
    content = dump([tensor(identity) for identity in identities[:1] * 2])
    (tmp_path / "x").write_bytes(stream_of(content, dump(["0"]), _0=1))
    assert [part.tolist() for part in read_file(tmp_path / "x").tree] == [[1] * 4] * 2


def test_a_storage_that_an_archive_gives_two_types_is_refused(tmp_path):
    content = dump([tensor(storage()), tensor(storage(kind=torch.IntStorage))])
    path = write_archive(tmp_path / "x", content, _0=bytes(16))
    with pytest.raises(CheckpointError, match="in two ways"):
        read_file(path)


def test_a_stream_that_lists_other_storages_is_refused(tmp_path):
    raw = bytes(legacy(tmp_path, {"a": torch.arange(4.0)}))
    key = raw[raw.rindex(b"X", 0, raw.rindex(b"a.")) + 5 : raw.rindex(b"a.")].partition(b"q")[0]
    cut = raw.rindex(key)
    (tmp_path / "x").write_bytes(raw[:cut] + key[::-1] + raw[cut + len(key) :])
    with pytest.raises(CheckpointError, match="are not those that its tensors use"):
        read_file(tmp_path / "x")


def tar_of(*names):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name in names:
            tar.addfile(tarfile.TarInfo(name))
    return buffer.getvalue()


def zip_of(*names):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in names:
            archive.writestr(name, b"x")
    return buffer.getvalue()


def npz():
    buffer = io.BytesIO()
    np.savez(buffer, a=np.ones(2))
    return buffer.getvalue()


S3 = b'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>AccessDenied</Code></Error>'


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "it is empty; download it again"),
        (b"\n <!DOCTYPE html><html>404</html>", "a web page; its address leads to a page"),
        (b"<HTML><body>", "a web page"),
        (b'<?xml version="1.0"?>\n<!DOCTYPE html PUBLIC "x"><html>', "a web page"),
        (S3, r"a server's answer \(AccessDenied\), not the file; check the address"),
        (b"<?xml version='1.0'?><a/>", "an XML document"),
        (b'{"message": "Not Found", "status": "404"}', r"a server's answer \(Not Found\)"),
        (b'{"error":"Repository not found"}', r"a server's answer \(Repository not found\)"),
        (b'{"error":{"code":401}}' + b" " * 8, "a server's answer"),
        (b'{"architectures": ["ResNet"]}', "a JSON file; the weights lie in another"),
        (b'[{"a": 1}, {"b": 2}]', "a JSON file"),
        (b'{"metadata": {}, "weight_map": {"a": "b"}}', "index of a checkpoint in several files"),
        (
            b"404: Not Found",
            r"neither safetensors nor a torch file, but a short text \('404: Not F",
        ),
        (b"conv1 0.1 0.2", "neither safetensors nor a torch file"),
        (b"\xff\xd8\xff\xe0" + bytes(40), "neither safetensors nor a torch file; convert it"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
            "Git-LFS pointer; run 'git",
        ),
        (gzip.compress(b"x", mtime=0), "packed with gzip; unpack it"),
        (b"BZh91AY", "packed with bzip2"),
        (b"\xfd7zXZ\x00", "packed with xz"),
        (b"\x28\xb5\x2f\xfd\x00", "packed with zstd"),
        (b"7z\xbc\xaf\x27\x1c", "a packed archive"),
        (tar_of("storages", "tensors", "pickle"), "torch's tar format from before 2017"),
        (tar_of("a/b.txt", "a/model.pth"), r"a tar archive; unpack it, .* \(a/model.pth\)"),
        (zip_of("notes.txt"), "a zip archive of other files; unpack it"),
        (zip_of("x/model.ckpt"), r"a zip archive of other files; .* \(x/model.ckpt\)"),
        (zip_of("config.json", "model.weights.h5"), "a Keras file"),
        (npz(), r"a NumPy .npz file; save its arrays by name with safetensors"),
        (b"PK\x03\x04" + bytes(60), "a broken zip archive, or cut short"),
        (b"\x93NUMPY\x01\x00", "a single NumPy array"),
        (b"\x89HDF\r\n\x1a\n", "an HDF5 file, as Keras writes"),
        (b"GGUF\x03", "a file of llama.cpp"),
        (b"\x08\x07\x12\x07pytorch\x1a\x05", "an ONNX graph; take the torch checkpoint"),
        (b"\x08\x01\x12\x9c\x01", "a TensorFlow SavedModel"),
        (b"\n\x1b\n\x05input\x12\x0bPlaceholder", "a TensorFlow graph"),
        (b'model_checkpoint_path: "model.ckpt-1"', "TensorFlow's list of checkpoints"),
        (pickle.dumps({"a": 1}, protocol=0), "a pickle of protocol 0 or 1"),
        (pickle.dumps({"a": 1}, protocol=1), "a pickle of protocol 0 or 1"),
        (b"\xff\x00\x00\x00\x00\x00\x00\x00{}", "longer than the file, so it was cut short"),
        (b"\x02\x00\x00\x00\x00\x00\x00\x00{]", "broken or cut short"),
    ],
)
def test_what_is_no_checkpoint_is_recognised(tmp_path, content, said):
    (tmp_path / "x.pth").write_bytes(content)
    with pytest.raises(CheckpointError, match=said):
        read_file(tmp_path / "x.pth")


def test_a_missing_file_a_folder_and_a_pipe_are_named(tmp_path):
    with pytest.raises(CheckpointError, match="No such file"):
        read_file(tmp_path / "nothing")
    with pytest.raises(CheckpointError, match=f"open it as run:{tmp_path}"):
        read_file(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(CheckpointError, match="a device or a pipe"):
        read_file(tmp_path / "pipe")


def write(path, tensors, form):
    if form == "safetensors":
        save_file(tensors, path)
    else:
        save(path, tensors, form)
    return path


@pytest.mark.parametrize("form", ["safetensors", *FORMS])
@pytest.mark.parametrize("share", [0.001, 0.3, 0.9, 0.9999])
def test_a_file_cut_short_is_refused(tmp_path, form, share):
    state = {f"layer{n}.weight": torch.full((64, 9), float(n)) for n in range(8)}
    whole = write(tmp_path / "whole", state, form).read_bytes()
    (tmp_path / "cut").write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(CheckpointError):
        read_file(tmp_path / "cut")


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.sampled_from(["safetensors", *FORMS]), st.booleans(), st.data())
def test_damaged_bytes_give_content_or_one_clear_error(tmp_path, form, foreign, data):
    content = {"a": torch.arange(4.0), "b": torch.ones(1, dtype=torch.int64)}
    if form != "safetensors":
        content = {"state": content, "x": argparse.Namespace(a=1) if foreign else [1, 2.0, None]}
    damaged = bytearray(write(tmp_path / "whole", content, form).read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    (tmp_path / "damaged").write_bytes(damaged)
    with contextlib.suppress(CheckpointError):
        assert isinstance(read_file(tmp_path / "damaged"), reading.Content)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.booleans(), st.data())
def test_a_damaged_pickle_in_a_sound_archive_gives_content_or_one_clear_error(
    tmp_path, foreign, data
):
    content = {"a": tensor(storage()), "b": Call(os.getenv, "HOME") if foreign else [1, "x", 2.5]}
    damaged = bytearray(dump(content))
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    path = write_archive(tmp_path / "x", bytes(damaged), _0=bytes(16))
    with contextlib.suppress(CheckpointError):
        read_file(path)
