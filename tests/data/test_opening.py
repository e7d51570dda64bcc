"""Texts become specs, specs become splits, and what cannot be is said in one sentence."""

import dataclasses
import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from vireo.catalog import resolve
from vireo.data import DATASETS, dataset_card, find_dataset, open_split
from vireo.data.rooms.source import make_rooms
from vireo.digest import canonical_json
from vireo.errors import DataError, SettingError
from vireo.records import Carve, DatasetCard, DatasetSpec


@pytest.fixture
def folders(tmp_path, write, pixels):
    """Three classes of 20, 10 and 5 images in train, 3 each in test."""
    for split, sizes in {"train": (20, 10, 5), "test": (3, 3, 3)}.items():
        for name, size in zip("abc", sizes, strict=True):
            for number in range(size):
                write(tmp_path / f"{split}/{name}/{number:02d}.png", pixels(number, 4, 4))
    return tmp_path


@pytest.mark.parametrize("name", sorted(DATASETS))
def test_every_named_dataset_has_a_spec_and_a_card(name):
    spec, card = find_dataset(name), dataset_card(name)
    assert isinstance(card, DatasetCard)
    assert (spec.name, card.name) == (name, name)
    assert set(card.splits) == {*spec.splits, *spec.carve}
    assert canonical_json(spec)


def test_folders_named_after_splits_are_splits(folders):
    spec = find_dataset(f"folder:{folders}")
    assert spec.splits == {"train": {"subfolder": "train"}, "test": {"subfolder": "test"}}
    train, test = (open_split(spec, split) for split in ("train", "test"))
    assert (len(train), len(test), train.name) == (35, 9, folders.name)
    assert train.class_names == test.class_names == ("a", "b", "c")
    with pytest.raises(SettingError, match=r"Unknown split of .* 'val'.*Known: test, train"):
        open_split(spec, "val")


def test_other_folders_are_all_training(folders):
    spec = find_dataset(f"folder:{folders / 'test'}")
    assert (spec.name, dict(spec.splits)) == ("test", {"train": {}})
    assert len(open_split(spec, "train")) == 9
    with pytest.raises(SettingError, match="can cut one out of 'train' by 'carve'"):
        open_split(spec, "test")


def test_a_class_called_train_is_not_silently_all_there_is(folders, write, pixels, capsys):
    find_dataset(f"folder:{folders}")
    assert capsys.readouterr().err == ""
    write(folders / "bus/0.png", pixels(0))
    find_dataset(f"folder:{folders}")
    message = " ".join(capsys.readouterr().err.split())
    assert "only its folders train, test as splits and leaves out bus" in message
    assert "image-folder" in message


def test_paths_keep_their_variables(folders, monkeypatch):
    monkeypatch.setenv("VIREO_HERE", str(folders))
    spec = find_dataset("folder:$VIREO_HERE")
    assert spec.options == {"root": "$VIREO_HERE"}
    assert len(open_split(spec, "test")) == 9
    monkeypatch.delenv("VIREO_HERE")
    with pytest.raises(DataError, match="not set"):
        open_split(spec, "test")


def test_parquet_texts(tmp_path, encode, pixels):
    folder = tmp_path / "hub"
    folder.mkdir()
    for name, count in {"train-0": 3, "train-1": 2, "validation-0": 1}.items():
        rows = [{"bytes": encode(pixels(0)), "path": ""}] * count
        pq.write_table(pa.table({"image": rows, "label": [0] * count}), folder / f"{name}.parquet")
    for text in (folder, f"{folder}/", f"{folder}/*.parquet"):
        spec = find_dataset(f"parquet:{text}")
        assert set(spec.splits) == {"train", "val"}
        assert (len(open_split(spec, "train")), len(open_split(spec, "val"))) == (5, 1)
    one = find_dataset(f"parquet:{folder}/train-1.parquet")
    assert (one.name, len(open_split(one, "train"))) == ("hub", 2)
    assert len(open_split(f"parquet:{tmp_path}/*/train-*.parquet", "train")) == 5
    with pytest.raises(DataError, match="No file matches"):
        open_split(f"parquet:{folder}/none-*.parquet", "train")


def test_rooms_in_a_folder_of_ones_own(tmp_path):
    make_rooms(tmp_path / "mine", images={"train": 2, "dark": 1}, size=16)
    before = sorted(tmp_path.rglob("*"))
    spec = find_dataset(f"rooms:{tmp_path / 'mine'}")
    assert spec.splits == {"train": {"split": "train"}, "dark": {"split": "dark"}}
    assert (len(open_split(spec, "train")), len(open_split(spec, "dark"))) == (2, 1)
    with pytest.raises(DataError, match=r"mein is no folder of rooms: .*rooms\.json"):
        open_split(f"rooms:{tmp_path / 'mein'}", "train")
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("digitz", "Unknown dataset 'digitz'. Did you mean 'digits'"),
        ("lmdb:/x/{0..9}", r"Unknown dataset 'lmdb.*folder:\.\.\.,.*parquet:"),
        ("no.such.module:SPEC", "no module 'no"),
    ],
)
def test_texts_that_stand_for_nothing(text, message):
    with pytest.raises(SettingError, match=message):
        find_dataset(text)


def test_a_bare_path_is_met_with_the_text_to_write(tmp_path):
    with pytest.raises(SettingError, match=rf"write 'folder:{tmp_path}'"):
        find_dataset(str(tmp_path))
    with pytest.raises(DataError, match="There is no folder"):
        find_dataset(f"folder:{tmp_path}/no")
    with pytest.raises(SettingError, match="Unknown dataset"):
        dataset_card("no")


def test_a_dotted_path_is_a_dataset():
    assert find_dataset("vireo.data.datasets.digits:SPEC").name == "digits"


def test_carve_then_limit(folders):
    spec = DatasetSpec(
        name="mine",
        source="image-folder",
        options={"root": str(folders), "subfolder": "train"},
        carve={"val": Carve(fraction=0.2), "test": Carve(fraction=0.2, seed=1)},
        limit={"train": 7, "val": 100},
    )
    parts = {split: open_split(spec, split) for split in ("train", "val", "test")}
    assert {split: len(part) for split, part in parts.items()} == {"train": 7, "val": 7, "test": 7}
    names = [part.label(index) for part in parts.values() for index in range(len(part))]
    assert len(set(names)) == 21
    classes = [parts["train"].target(index, "class") for index in range(7)]
    assert classes == sorted(classes)
    assert [classes.count(code) for code in range(3)] == [4, 2, 1]
    assert {part.name for part in parts.values()} == {"mine"}


def test_splits_must_agree(folders):
    base = DatasetSpec(
        name="mine",
        source="image-folder",
        options={"root": str(folders)},
        splits={"train": {"subfolder": "train"}, "test": {"subfolder": "test"}},
    )
    clash = dataclasses.replace(base, carve={"test": Carve(fraction=0.2)})
    with pytest.raises(SettingError, match="carves 'test' out of 'train'"):
        open_split(clash, "train")
    with pytest.raises(SettingError, match=r"'limit'.*Did you mean 'train'"):
        open_split(dataclasses.replace(base, limit={"trian": 3}), "train")
    for number in range(3):
        (folders / f"test/b/{number:02d}.png").unlink()
    with pytest.raises(DataError, match=r"'train' and 'test' \(b\).*class_names"):
        open_split(base, "test")
    options = {**base.options, "class_names": ("a", "b", "c")}
    test = open_split(dataclasses.replace(base, options=options), "test")
    assert [test.target(index, "class") for index in range(6)] == [0] * 3 + [2] * 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rooot": "x"}, "Unknown option of source 'image-folder' of 'mine' 'rooot'.*'root'"),
        ({}, "needs the option 'root'"),
        ({"root": 3}, r"option 'root' .* is 3, which is not of its type \(str"),
        ({"root": "x", "classes": "yes"}, "option 'classes' .* is 'yes'"),
        ({"root": "x", "class_names": "abc"}, "option 'class_names' .* is 'abc'"),
    ],
)
def test_options_are_checked_before_anything_is_read(options, message):
    spec = DatasetSpec(name="mine", source="image-folder", options=options)
    with pytest.raises(SettingError, match=message):
        open_split(spec, "train")


def test_unknown_sources_are_named():
    with pytest.raises(SettingError, match=r"Unknown source 'image_folder'\. Did you mean"):
        open_split(DatasetSpec(name="mine", source="image_folder"), "train")


@pytest.mark.slow
def test_listing_and_opening_need_no_torch():
    code = (
        "import sys; from vireo.data import DATASETS, open_split; open_split('digits', 'test');"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_public_name_resolves():
    import vireo.data

    for name in vireo.data.__all__:
        assert getattr(vireo.data, name) is not None
    with pytest.raises(AttributeError, match="nothing"):
        _ = vireo.data.nothing
    assert resolve(DATASETS, "digits", "dataset").name == "digits"
