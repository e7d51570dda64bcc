"""Where a named dataset lies, and what is said of one that is not there."""

import shutil

import pytest
from tests import miniatures

from vireo.data import DATASETS, dataset_card, find_dataset, open_split
from vireo.data.checking import check, folder_of, parts_found
from vireo.data.roots import absence, located, missing_parts, placed, variable
from vireo.errors import DataError, SettingError
from vireo.records import DatasetSpec

NAMED = sorted(name for name in DATASETS if dataset_card(name).layout)


@pytest.fixture(autouse=True)
def no_variables(monkeypatch):
    monkeypatch.delenv("VIREO_DATASETS", raising=False)
    for name in DATASETS:
        monkeypatch.delenv(variable(name), raising=False)


def test_a_dataset_lies_in_the_common_folder_or_in_its_own(tmp_path, monkeypatch):
    miniatures.dtd(tmp_path / "all/dtd")
    monkeypatch.setenv("VIREO_DATASETS", str(tmp_path / "all"))
    assert len(open_split("dtd", "test")) == 6
    first = open_split("dtd", "test").digest
    (tmp_path / "all").rename(tmp_path / "moved")
    monkeypatch.setenv("VIREO_DTD", str(tmp_path / "moved/dtd"))
    assert open_split("dtd", "test").digest == first
    miniatures.eurosat(tmp_path / "all/eurosat")
    assert len(open_split("eurosat", "test")) == 3


def test_a_root_that_is_given_comes_before_both(tmp_path, monkeypatch):
    miniatures.dtd(tmp_path / "here")
    monkeypatch.setenv("VIREO_DTD", str(tmp_path / "nowhere"))
    spec = placed(find_dataset("dtd"), tmp_path / "here")
    assert len(open_split(spec, "train")) == 12
    assert placed(find_dataset("dtd"), None) == find_dataset("dtd")
    with pytest.raises(SettingError, match=r"'digits' does not. Leave it out"):
        placed(find_dataset("digits"), tmp_path)


def test_a_folder_within_a_datasets_is_found(monkeypatch):
    monkeypatch.setenv("VIREO_PETS", "/disk/pets")
    assert located("$VIREO_DATASETS/pets/images") == "/disk/pets/images"
    assert located("$VIREO_DATASETS/dtd") == "$VIREO_DATASETS/dtd"
    assert located("/else/$WHERE") == "/else/$WHERE"


@pytest.mark.parametrize("name", NAMED)
def test_of_an_absent_dataset_everything_is_said(name, tmp_path, monkeypatch):
    """What belongs there, how to get it, its licence, and the variables; no traceback."""
    card = dataset_card(name)
    words = (card.how_to_get, card.licence, card.homepage, variable(name), *card.layout)
    for said in ("neither", str(tmp_path / name)):
        if said != "neither":
            monkeypatch.setenv("VIREO_DATASETS", str(tmp_path))
        with pytest.raises(DataError) as caught:
            open_split(name, "test")
        message = str(caught.value)
        assert message == absence(find_dataset(name))
        assert said in message
        assert all(word in message for word in words)
    (tmp_path / name).mkdir()
    assert absence(find_dataset(name)).startswith(
        f"'{name}' is not whole: {tmp_path / name} has no"
    )


@pytest.mark.parametrize("name", sorted({*miniatures.MAKERS} - {"imagenet-v2"}))
def test_a_miniature_has_all_parts(name, tmp_path, monkeypatch):
    """The layout on a card is that which the reader reads."""
    miniatures.MAKERS[name](tmp_path / name)
    monkeypatch.setenv("VIREO_DATASETS", str(tmp_path))
    assert missing_parts(dataset_card(name), tmp_path / name) == {}
    assert absence(find_dataset(name)) == ""


def test_imagenet_v2_needs_imagenet_too(tmp_path, monkeypatch):
    miniatures.imagenet_v2(tmp_path / "imagenet-v2")
    monkeypatch.setenv("VIREO_DATASETS", str(tmp_path))
    assert absence(find_dataset("imagenet-v2")).startswith("'imagenet-v2' is not here: there is no")
    miniatures.imagenet(tmp_path / "imagenet")
    assert absence(find_dataset("imagenet-v2")) == ""
    assert len(open_split("imagenet-v2", "train")) == 12


def test_what_is_made_or_ones_own_is_never_absent():
    own = DatasetSpec(name="mine", source="image-folder", options={"root": "$MY_OWN/photos"})
    assert [absence(find_dataset(name)) for name in ("digits", "rooms")] == ["", ""]
    assert absence(own) == ""


def test_ones_own_dataset_may_lie_in_the_common_folder(tmp_path, monkeypatch):
    own = DatasetSpec(name="x", source="image-folder", options={"root": "$VIREO_DATASETS/leaves"})
    with pytest.raises(DataError, match="neither VIREO_LEAVES nor VIREO_DATASETS is set"):
        open_split(own, "train")
    miniatures.save(tmp_path, "leaves/oak/1.png")
    monkeypatch.setenv("VIREO_DATASETS", str(tmp_path))
    assert len(open_split(own, "train")) == 1


def test_a_part_that_is_missing_is_said(tmp_path):
    miniatures.clevr_count(tmp_path)
    (tmp_path / "clevr/CLEVR_v1.0/scenes/CLEVR_val_scenes.json").unlink()
    train, test = check("clevr-count", tmp_path)
    assert (train.examples, train.problem) == (8, "8 examples, not 70,000")
    assert test.examples is None
    assert test.problem.endswith("has no clevr/CLEVR_v1.0/scenes/CLEVR_val_scenes.json")
    parts = parts_found(dataset_card("clevr-count"), folder_of("clevr-count", tmp_path))
    assert [part for part, there in parts.items() if not there] == [
        "clevr/CLEVR_v1.0/scenes/CLEVR_val_scenes.json"
    ]
    assert not any(parts_found(dataset_card("clevr-count"), None).values())


def test_a_check_names_the_first_and_the_last_example(tmp_path):
    written = miniatures.pets(tmp_path)["test"]
    _, test = check("pets", tmp_path)
    names = sorted(written)
    assert (test.first, test.last) == (names[0], names[-1])
    assert test.first_label == "class 0 (Abyssinian), mask 12 x 16"
    assert test.last_label == "class 1 (American Bulldog), mask 12 x 16"
    assert (test.examples, test.expected, test.size) == (9, 3669, "12 x 16")
    miniatures.thor_egomotion(tmp_path / "thor")
    train, test = check("thor-egomotion", tmp_path / "thor")
    assert train.size == "2 x 12 x 16"
    assert (test.expected, test.problem) == (None, "")  # nobody states how many there are


def test_a_check_reads_the_last_image_too(tmp_path):
    written = miniatures.pets(tmp_path)["test"]
    (tmp_path / sorted(written)[-1]).write_bytes(b"broken")
    _, test = check("pets", tmp_path)
    assert "american_bulldog_102.jpg" in test.problem


def test_a_set_of_another_size_is_warned_of_once(tmp_path, monkeypatch, capsys):
    """It is said once in a process, so this size is one that no other test has."""
    miniatures.eurosat(tmp_path / "eurosat")
    shutil.rmtree(tmp_path / "eurosat/eurosat/2750/Forest")
    monkeypatch.setenv("VIREO_DATASETS", str(tmp_path))
    for _ in range(3):
        open_split("eurosat", "train")
    message = " ".join(capsys.readouterr().err.split())
    assert message.count("'eurosat' has 8 examples in 'train', and 21,600 are published") == 1
