"""Files are found in a fixed order, matched by name, and broken trees are named."""

import os

import pytest

from vireo.data.sources.listing import Entry, fingerprint, list_files, open_folder, read
from vireo.data.sources.matching import match
from vireo.errors import DataError


def touch(path, content=b"x"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def test_names_are_sorted_relative_and_hidden_ones_skipped(tmp_path):
    for name in ("b/2.JPG", "b/10.png", "a.jpeg", ".hidden.jpg", ".git/x.jpg", "notes.txt"):
        touch(tmp_path / name, b"xy")
    touch(tmp_path / "__MACOSX/b/2.jpg")
    assert list_files(tmp_path) == [Entry("a.jpeg", 2), Entry("b/10.png", 2), Entry("b/2.JPG", 2)]


def test_a_folder_without_images_says_what_it_has(tmp_path):
    with pytest.raises(DataError, match="it is empty"):
        list_files(tmp_path)
    touch(tmp_path / "shard-000.tar")
    with pytest.raises(DataError, match=r"holds no image .*it holds shard-000\.tar"):
        list_files(tmp_path)


def test_links_to_folders_are_followed_but_not_in_circles(tmp_path):
    touch(tmp_path / "data/a/1.jpg")
    (tmp_path / "data/b").symlink_to(tmp_path / "data/a")
    (tmp_path / "data/a/up").symlink_to(tmp_path / "data")
    assert [entry.name for entry in list_files(tmp_path / "data")] == ["a/1.jpg", "b/1.jpg"]


def test_a_broken_link_is_named(tmp_path):
    (tmp_path / "gone.jpg").symlink_to(tmp_path / "nowhere.jpg")
    with pytest.raises(DataError, match=r"gone\.jpg cannot be read"):
        list_files(tmp_path)


def test_a_missing_folder_and_an_unset_variable_are_data_errors(tmp_path, monkeypatch):
    monkeypatch.delenv("VIREO_NOWHERE", raising=False)
    with pytest.raises(DataError, match="There is no folder"):
        open_folder(tmp_path / "no")
    with pytest.raises(DataError, match="not set"):
        open_folder("$VIREO_NOWHERE/x")
    with pytest.raises(DataError, match=r"x\.jpg cannot be read \(No such file"):
        read(tmp_path / "x.jpg")


def test_a_fingerprint_knows_names_sizes_order_and_facts():
    a, b = Entry("a", 1), Entry("b", 2)
    prints = [
        fingerprint([a, b], "x"),
        fingerprint([b, a], "x"),
        fingerprint([a, b], "y"),
        fingerprint([a], "x"),
        fingerprint([a, Entry("b", 3)], "x"),
        fingerprint([a, Entry("c", 2)], "x"),
    ]
    assert len(set(prints)) == len(prints)


def test_names_that_are_no_text_are_refused(tmp_path):
    name = os.fsdecode(b"\xff\xfe.jpg")
    try:
        touch(tmp_path / name)
    except OSError:
        pytest.skip("this file system refuses such names")
    with pytest.raises(DataError, match="not UTF-8"):
        fingerprint(list_files(tmp_path))


@pytest.mark.parametrize(
    ("images", "partners", "names"),
    [
        ("rgb", "label", [("rgb/{}.jpg", "label/{}.png")]),
        ("rgb/", "label/*_ids.png", [("rgb/{}.jpg", "label/{}_ids.png")]),
        ("*.color.jpg", "*.depth.png", [("{}.color.jpg", "{}.depth.png")]),
        ("in/frame-*.jpg", "in/depth-*.png", [("in/frame-{}.jpg", "in/depth-{}.png")]),
        ("*/a.jpg", "*/b.png", [("{}/a.jpg", "{}/b.png")]),
        ("in/s*/a.jpg", "in/s*/m/b.png", [("in/s{}/a.jpg", "in/s{}/m/b.png")]),
        ("*.c.jpg", "*.d.png", [("s1/{}.c.jpg", "s1/{}.d.png"), ("s2/{}.c.jpg", "s2/{}.d.png")]),
    ],
)
def test_pairs_by_folder_and_by_pattern(tmp_path, images, partners, names):
    for left, right in names:
        for number in ("10", "2"):
            touch(tmp_path / left.format(number))
            touch(tmp_path / right.format(number), b"xyz")
    pairs = match(tmp_path, (images, partners))
    expected = sorted(
        (left.format(n), right.format(n)) for left, right in names for n in ("10", "2")
    )
    assert [tuple(entry.name for entry in p.entries) for p in pairs] == expected
    assert {tuple(entry.size for entry in p.entries) for p in pairs} == {(1, 3)}


def test_missing_and_double_partners_are_named(tmp_path):
    touch(tmp_path / "rgb/1.jpg")
    touch(tmp_path / "rgb/2.jpg")
    touch(tmp_path / "mask/1.png")
    with pytest.raises(DataError, match=r"'rgb/2\.jpg' has no partner '2' in 'mask' \(1 such"):
        match(tmp_path, ("rgb", "mask"))
    touch(tmp_path / "mask/2.png")
    touch(tmp_path / "mask/3.png")
    with pytest.raises(DataError, match=r"'mask/3\.png' has no partner '3' in 'rgb'"):
        match(tmp_path, ("rgb", "mask"))
    touch(tmp_path / "rgb/3.jpg")
    touch(tmp_path / "rgb/3.png")
    with pytest.raises(DataError, match="are both '3'"):
        match(tmp_path, ("rgb", "mask"))
    (tmp_path / "rgb/3.png").unlink()
    with pytest.raises(DataError, match="no file matches"):
        match(tmp_path, ("rgb", "mask/*.left.png"))
    with pytest.raises(DataError, match="one star"):
        match(tmp_path, ("*/rgb/*.png", "mask"))
    with pytest.raises(DataError, match="outside"):
        match(tmp_path / "rgb", ("../mask", "../mask"))
