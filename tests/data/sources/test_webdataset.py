"""Tar shards: read by offset, indexed once, never unpacked."""

import io
import multiprocessing
import tarfile

import numpy as np
import pytest

from vireo.data import find_dataset, open_split
from vireo.data.cache import cache_folder
from vireo.data.sources import tar_index
from vireo.data.sources.webdataset import WebDatasetSource
from vireo.errors import DataError


def write_shard(path, members, mode="w", form=tarfile.PAX_FORMAT):
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, mode, format=form) as archive:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


@pytest.fixture
def shards(tmp_path, pixels, encode):
    """Two shards of three examples, one with a name too long for the plain tar header."""
    for shard in range(2):
        members = []
        for place in range(3):
            number = 3 * shard + place
            key = f"train/{'deep/' * 40}{number:06d}" if place == 1 else f"{number:06d}"
            members += [
                (f"{key}.jpg", encode(pixels(number))),
                (f"{key}.cls", str(number % 2).encode()),
                (f"{key}.n.txt", str(10 + number).encode()),
            ]
        write_shard(tmp_path / f"data/train-{shard:06d}.tar", members)
    return tmp_path / "data"


@pytest.mark.parametrize("path", ["*.tar", "train-{000000..000001}.tar"])
def test_examples_are_numbered_through_the_shards(shards, path, pixels):
    source = WebDatasetSource(root=shards, path=path, targets={"class": "cls", "count": "n.txt"})
    assert len(source) == 6
    for index in (5, 0, 4, 3):
        assert np.array_equal(source.frames(index)[0], pixels(index))
        assert source.target(index, "class") == index % 2
        assert source.target(index, "count") == 10 + index
    assert source.label(3) == "train-000001.tar:000003.jpg"


def test_labels_are_found_and_named(shards, tmp_path):
    (shards / "names.txt").write_text("cat\ndog\n")
    source = WebDatasetSource(root=shards, path="*.tar", class_file="names.txt")
    assert (source.targets, source.class_names) == (("class",), ("cat", "dog"))
    spec = find_dataset(f"webdataset:{shards}")
    assert (spec.name, list(spec.splits)) == ("data", ["train"])
    assert len(open_split(spec, "train")) == 6


def test_the_index_is_kept_and_follows_the_file(shards, monkeypatch, pixels, encode):
    first = WebDatasetSource(root=shards, path="*.tar").digest
    scans = []
    scan = tar_index._scan
    monkeypatch.setattr(tar_index, "_scan", lambda *args: scans.append(args) or scan(*args))
    assert WebDatasetSource(root=shards, path="*.tar").digest == first
    assert scans == []
    write_shard(shards / "train-000001.tar", [("a.jpg", encode(pixels(9))), ("a.cls", b"1")])
    changed = WebDatasetSource(root=shards, path="*.tar")
    assert [args[0].name for args in scans] == ["train-000001.tar"]
    assert (len(changed), changed.digest != first) == (4, True)


def test_a_broken_index_is_made_again(shards):
    WebDatasetSource(root=shards, path="*.tar")
    for stored in cache_folder("shards").iterdir():
        stored.write_bytes(b"PK nonsense")
    assert len(WebDatasetSource(root=shards, path="*.tar")) == 6


def test_a_cache_that_cannot_be_written_is_done_without(shards, tmp_path, monkeypatch, capsys):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert len(WebDatasetSource(root=shards, path="*.tar")) == 6
    assert "not kept" in capsys.readouterr().err


def test_forked_processes_share_the_files_without_harm(shards, pixels):
    source = WebDatasetSource(root=shards, path="*.tar")
    source.frames(0)
    with multiprocessing.get_context("fork").Pool(2) as pool:
        sums = pool.map(_Sum(source), list(range(6)) * 20)
    assert sums == [int(pixels(number).sum()) for number in range(6)] * 20


class _Sum:
    def __init__(self, source):
        self.source = source

    def __call__(self, index):
        return int(self.source.frames(index)[0].sum())


def test_names_in_an_archive_lead_nowhere(tmp_path, encode, pixels):
    image = encode(pixels(0))
    path = tmp_path / "x.tar"
    with tarfile.open(path, "w") as archive:
        for name in ("../../outside.jpg", "/etc/passwd.jpg"):
            info = tarfile.TarInfo(name)
            info.size = len(image)
            archive.addfile(info, io.BytesIO(image))
        link = tarfile.TarInfo("link.jpg")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    source = WebDatasetSource(root=tmp_path, path="x.tar")
    assert [source.label(index) for index in range(len(source))] == [
        "x.tar:../../outside.jpg",
        "x.tar:/etc/passwd.jpg",
    ]
    assert np.array_equal(source.frames(1)[0], pixels(0))
    assert {path.name for path in tmp_path.iterdir()} <= {"x.tar", "cache"}


def one(**parts):
    return [(f"a.{extension.replace('_', '.')}", content) for extension, content in parts.items()]


@pytest.mark.parametrize(
    ("members", "options", "said"),
    [
        ([], {}, "holds no files"),
        (one(txt=b"1"), {}, r"no image among \.txt"),
        ([*one(jpg=b"x"), ("b.png", b"y")], {}, r"'b' has no file '\.jpg' \(it has \.png\)"),
        ([*one(jpg=b"x"), ("a.jpg", b"y")], {}, r"has 'a\.jpg' twice"),
        (one(jpg=b"x", cls=b"1" * 5000), {}, "the label of 'a' has 5000 bytes"),
        (one(jpg=b"x", cls=b""), {}, "is blank"),
        (one(jpg=b"x", n=b"few"), {"targets": {"count": "n"}}, "must be a whole number"),
        (one(jpg=b"x"), {"targets": {"count": "n"}}, r"'a' has no file '\.n'"),
        (one(jpg=b"x", cls=b"0"), {"class_file": "none.txt"}, "class names in .* cannot be read"),
    ],
)
def test_what_a_shard_must_have(tmp_path, members, options, said):
    write_shard(tmp_path / "x.tar", members)
    with pytest.raises(DataError, match=said):
        WebDatasetSource(root=tmp_path, path="x.tar", **options)


def test_broken_cut_and_packed_shards_are_refused(shards, tmp_path, encode, pixels):
    whole = (shards / "train-000000.tar").read_bytes()
    for share, name in ((0.4, "cut.tar"), (0.02, "start.tar")):
        (tmp_path / name).write_bytes(whole[: int(len(whole) * share)])
        with pytest.raises(DataError, match=r"cut short|not a whole tar"):
            WebDatasetSource(root=tmp_path, path=name)
    (tmp_path / "no.tar").write_bytes(b"<html>" * 200)
    with pytest.raises(DataError, match=r"not a whole tar file .*; copy it again"):
        WebDatasetSource(root=tmp_path, path="no.tar")
    write_shard(tmp_path / "packed.tar", one(jpg=encode(pixels(0))), mode="w:gz")
    with pytest.raises(DataError, match="unpack it"):
        WebDatasetSource(root=tmp_path, path="packed.tar")


def test_a_shard_cut_after_it_was_opened_is_named(shards):
    source = WebDatasetSource(root=shards, path="*.tar")
    path = shards / "train-000001.tar"
    path.write_bytes(path.read_bytes()[:600])
    with pytest.raises(DataError, match=r"train-000001\.tar was cut short"):
        source.frames(5)
