"""A label file that changes makes another dataset, though its name and size stay."""

import shutil

import numpy as np
import pytest
from PIL import Image
from tests import miniatures_pixels

from vireo.data import find_dataset, open_split
from vireo.data.cache import cache_folder
from vireo.data.roots import placed
from vireo.data.sources import contents
from vireo.data.sources.contents import digest_contents
from vireo.data.sources.image_mask import ImageMaskSource
from vireo.errors import DataError

LABELS = {
    "cityscapes": (miniatures_pixels.cityscapes, "gtFine/train/aachen/*labelIds.png"),
    "pets": (miniatures_pixels.pets, "oxford-iiit-pet/annotations/trimaps/Abyssinian_1.png"),
    "nyu": (miniatures_pixels.nyu, "train/walkable/*.png"),
    "taskonomy-depth": (miniatures_pixels.taskonomy, "depth_zbuffer/cosmos/*.png"),
    "thor-depth": (miniatures_pixels.thor_depth, "train/*/*depth.jpg"),
    "kitti-flow": (miniatures_pixels.kitti_flow, "training/flow_occ/000000_10.png"),
}


def change_a_byte(path):
    """Change the file and keep its size; no image has to be left, for none is decoded."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("name", sorted(LABELS))
def test_labels_that_change_change_the_digest(name, tmp_path):
    make, pattern = LABELS[name]
    make(tmp_path / "a")
    spec = placed(find_dataset(name), tmp_path / "a")
    before = open_split(spec, "train").digest
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    assert open_split(placed(find_dataset(name), tmp_path / "b"), "train").digest == before
    change_a_byte(next((tmp_path / "a").glob(pattern)))
    assert open_split(spec, "train").digest != before


@pytest.fixture
def masks(tmp_path):
    for number in range(4):
        for kind in ("images", "masks"):
            path = tmp_path / f"{kind}/{number}.png"
            path.parent.mkdir(exist_ok=True)
            Image.fromarray(np.full((4, 4), number, dtype=np.uint8)).save(path)
    return tmp_path


def digest_of(folder):
    return ImageMaskSource(root=folder, images="images", masks="masks").digest


@pytest.fixture
def read(monkeypatch):
    """The names of the files whose contents are read."""
    names, real = [], contents.digest_file
    monkeypatch.setattr(
        contents, "digest_file", lambda path: (names.append(path.name), real(path))[1]
    )
    return names


@pytest.fixture
def settled(monkeypatch):
    """A clock on which every file has rested for long."""
    monkeypatch.setattr(contents, "_SETTLED_NS", -(10**12))


def test_labels_are_read_once(masks, read, settled):
    first = digest_of(masks)
    assert sorted(read) == ["0.png", "1.png", "2.png", "3.png"]
    assert digest_of(masks) == first
    assert len(read) == 4
    change_a_byte(masks / "masks/2.png")
    changed = digest_of(masks)
    assert (read[4:], changed != first) == (["2.png"], True)
    change_a_byte(masks / "masks/2.png")  # back to what it was
    assert (digest_of(masks), read[5:]) == (first, ["2.png"])


def test_a_file_that_takes_the_place_of_another_is_read(masks, read, settled):
    """As `mv` and unpacking do, which keep the time that is shown."""
    digest_contents(masks / "masks", ["1.png"])
    other = masks / "other.png"
    shutil.copy2(masks / "masks/1.png", other)
    change_a_byte(other)
    shutil.copystat(masks / "masks/1.png", other)
    other.replace(masks / "masks/1.png")
    digest_contents(masks / "masks", ["1.png"])
    assert read == ["1.png", "1.png"]


def test_what_was_just_written_is_not_remembered(masks, read):
    for _ in range(2):
        digest_of(masks)
    assert len(read) == 8
    assert not cache_folder("labels").exists()


def test_one_folder_holds_several_kinds_of_labels(masks, read, settled):
    for names in (["0.png"], ["1.png", "2.png"], ["0.png", "2.png"]):
        digest_contents(masks / "masks", names)
    assert read == ["0.png", "1.png", "2.png"]
    assert len(list(cache_folder("labels").iterdir())) == 1


def test_a_broken_memory_is_made_again(masks, settled):
    first = digest_of(masks)
    (memory,) = cache_folder("labels").iterdir()
    memory.write_bytes(b"PK nonsense")
    assert digest_of(masks) == first


def test_a_memory_that_cannot_be_written_is_done_without(
    masks, settled, tmp_path, monkeypatch, capsys
):
    first = digest_of(masks)
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert digest_of(masks) == first
    assert "Hashes of labels are not kept" in " ".join(capsys.readouterr().err.split())


def test_a_label_that_is_gone_is_named(masks):
    with pytest.raises(DataError, match=r"label file .*9\.png cannot be read \(No such file"):
        digest_contents(masks / "masks", ["9.png"])
    (masks / "masks/8.png").mkdir()
    with pytest.raises(DataError, match=r"label file .*8\.png cannot be read \(Is a directory"):
        digest_contents(masks / "masks", ["8.png"])
