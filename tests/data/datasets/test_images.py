"""Image-level named datasets: miniatures in the published layouts, read back file by file."""

import io
import json

import numpy as np
import pytest
import torchvision.datasets
from PIL import Image
from tests import miniatures

from vireo.data import dataset_card, find_dataset, open_split
from vireo.data.roots import placed
from vireo.data.sources.frame_lists import FrameListSource
from vireo.data.sources.per_class import PerClassSource
from vireo.data.sources.videos import read_frames, spread
from vireo.data.splits import carve_validation
from vireo.errors import DataError, SettingError

NAMES = tuple(miniatures.MAKERS)
CUT = ("caltech-101", "sun397", "eurosat")
TARGETS = {"clevr-count": "count", "thor-num-steps": "count"}
FOLDERS = {
    "imagenet-v2": "imagenetv2-matched-frequency-format-val",
    "caltech-101": "caltech101/101_ObjectCategories",
}
MULTIPLE = {"kinetics-action": 6, "thor-egomotion": 2, "nuscenes-egomotion": 2}


def read_back(source, target="class"):
    return {source.label(place): source.target(place, target) for place in range(len(source))}


@pytest.fixture
def made(tmp_path, monkeypatch):
    """Write a miniature and return its spec and what was written: made(name)."""

    def make(name):
        written = miniatures.MAKERS[name](tmp_path)
        if name == "cifar-100":
            miniatures.trust_cifar_100(monkeypatch, tmp_path)
        return placed(find_dataset(name), tmp_path), written

    return make


@pytest.mark.parametrize("name", NAMES)
def test_cards_say_what_a_person_needs(name):
    spec, card = find_dataset(name), dataset_card(name)
    assert {*spec.splits, *spec.carve} == set(card.splits)
    assert spec.options["root"] == f"$VIREO_DATASETS/{name}"
    assert card.layout
    assert all([card.licence, card.homepage, card.how_to_get, card.summary])


GROUPS = {
    "thor-num-steps": {"train/FloorPlan1", "train/FloorPlan2"},
    "thor-egomotion": {"train/FloorPlan1", "train/FloorPlan2"},
    "nuscenes-egomotion": {f"train-{number:03d}" for number in range(8)},
}


@pytest.mark.parametrize("name", sorted(GROUPS))
def test_a_validation_part_shares_no_room_and_no_drive(made, name):
    source = open_split(made(name)[0], "train")
    assert set(source.groups) == GROUPS[name]
    for place in range(len(source)):
        assert source.groups[place] in source.label(place)
    rest, held_out = carve_validation(source, 0.2, 0)
    assert {*rest.groups} | {*held_out.groups} == GROUPS[name]
    assert not {*rest.groups} & {*held_out.groups}


def test_frames_without_a_folder_of_their_own_are_cut_one_by_one(tmp_path):
    names = [f"train/{number:04d}" for number in range(10)]
    for name in names:
        miniatures.save(tmp_path, f"{name}_rgb.jpg")
    miniatures.write(tmp_path, "train_labels.txt", "".join(f"{name} 1\n" for name in names))
    source = FrameListSource(root=tmp_path, file="train_labels.txt", layout="thor-steps")
    assert [len(part) for part in carve_validation(source, 0.2, 0)] == [8, 2]


@pytest.mark.parametrize("name", sorted({*NAMES} - {*CUT, "kinetics-action"}))
def test_every_file_is_read_with_its_label(made, name):
    spec, written = made(name)
    for split, expected in written.items():
        source = open_split(spec, split)
        assert read_back(source, TARGETS.get(name, "class")) == expected
        assert {len(source.frames(place)) for place in range(len(source))} == {
            MULTIPLE.get(name, 1)
        }


@pytest.mark.parametrize("name", sorted({*NAMES} - {"cifar-100", "kinetics-action"}))
def test_images_are_those_of_the_files(made, tmp_path, name):
    spec, _ = made(name)
    source = open_split(spec, "test")
    folder = tmp_path / FOLDERS.get(name, "val" if name == "imagenet" else "")
    for place in range(len(source)):
        first = Image.open(folder / source.label(place)).convert("RGB")
        np.testing.assert_array_equal(source.frames(place)[0], np.array(first))


def test_cifar_100_has_its_pixels_and_names(made):
    spec, _ = made("cifar-100")
    source = open_split(spec, "test")
    for place in range(len(source)):
        expected = miniatures.picture(f"test{place}", (32, 32))
        np.testing.assert_array_equal(source.frames(place)[0], expected)
    assert source.class_names == tuple(f"thing {code}" for code in range(100))


def test_cifar_100_with_other_files_is_refused_unread(tmp_path):
    """The published files are pickles: others than those could run anything."""
    miniatures.cifar_100(tmp_path)
    with pytest.raises(DataError, match="no whole dataset"):
        open_split(placed(find_dataset("cifar-100"), tmp_path), "train")


@pytest.mark.parametrize("name", CUT)
def test_a_set_without_a_split_is_cut_into_disjoint_parts(made, name):
    spec, written = made(name)
    parts = {split: read_back(open_split(spec, split)) for split in ("train", "test")}
    assert not parts["train"].keys() & parts["test"].keys()
    assert parts["train"] | parts["test"] == written["all"]
    counts = np.bincount(list(parts["test"].values()))
    assert len(set(counts.tolist())) == 1  # the miniatures have as many of every class


def test_caltech_101_trains_on_thirty_of_every_folder(made, tmp_path):
    spec, _ = made("caltech-101")
    train = open_split(spec, "train")
    labels = list(read_back(train).values())
    assert np.bincount(labels).tolist() == [30, 30, 30]
    assert train.class_names == ("BACKGROUND_Google", "Faces", "accordion")
    root = tmp_path / FOLDERS["caltech-101"]
    other = PerClassSource(root=root, part="train", per_class=30, seed=1)
    few = PerClassSource(root=root, part="train", per_class=2)
    assert read_back(other) != read_back(train)
    assert read_back(few).keys() < read_back(train).keys()
    assert len({train.digest, other.digest, few.digest}) == 3


def test_a_class_that_is_gone_moves_no_other_class(made, tmp_path):
    spec, _ = made("caltech-101")
    before = read_back(open_split(spec, "test"))
    for path in (tmp_path / FOLDERS["caltech-101"] / "Faces").iterdir():
        path.unlink()
    after = read_back(open_split(spec, "test"))
    assert after.keys() == {name for name in before if not name.startswith("Faces")}
    with pytest.raises(DataError, match=r"'BACKGROUND_Google' has 32 images: 32 of every class"):
        PerClassSource(root=tmp_path / FOLDERS["caltech-101"], part="train", per_class=32)
    with pytest.raises(SettingError, match="'train' or 'test'"):
        PerClassSource(root=tmp_path, part="val")


def test_published_sizes_are_what_the_splits_give():
    """Of as many images as are published: the fractions, and 30 of 102 folders of 9,144 images."""
    for name, everything in (("sun397", 108_754), ("eurosat", 27_000)):
        card, spec = dataset_card(name), find_dataset(name)
        test = round(everything * spec.carve["test"].fraction)
        assert card.splits == {"train": everything - test, "test": test}
    assert dataset_card("caltech-101").splits == {"train": 102 * 30, "test": 9_144 - 102 * 30}


def test_imagenet_v2_has_codes_not_sorted_texts(made):
    spec, written = made("imagenet-v2")
    assert read_back(open_split(spec, "test")) == written["test"]
    assert sorted(written["test"].values()) == [0, 2, 10]


def test_dtd_trains_on_train_and_val_of_the_first_partition(made):
    spec, written = made("dtd")
    assert len(open_split(spec, "train")) == 12
    assert {name.split("_")[1][:2] for name in written["train"]} == {"00", "06"}


def test_pets_have_masks_beside_classes(made):
    spec, _ = made("pets")
    source = open_split(spec, "test")
    assert source.targets == ("class", "mask")
    assert source.class_names == ("Abyssinian", "American Bulldog", "Bengal")
    mask = source.target(0, "mask")
    assert [mask[0, 0], mask[2, 3], mask[5, 6]] == [0, 255, 1]
    with pytest.raises(DataError, match=r"Unknown target of .* 'depth'"):
        source.target(0, "depth")


@pytest.mark.parametrize(
    ("name", "attribute"), [("CIFAR100", "tgz_md5"), ("DTD", "_MD5"), ("SUN397", "_DATASET_MD5")]
)
def test_checksums_are_torchvisions(name, attribute):
    cards = [dataset_card(dataset) for dataset in NAMES]
    (card,) = [card for card in cards if card.downloader == name]
    stated = getattr(torchvision.datasets, name).__dict__[attribute]
    assert list(card.checksums.values()) == [f"md5:{stated}"]


def test_more_checksums_are_torchvisions():
    resources = torchvision.datasets.OxfordIIITPet._RESOURCES
    expected = {url.rpartition("/")[2]: f"md5:{md5}" for url, md5 in resources}
    assert dataset_card("pets").checksums == expected
    archives = torchvision.datasets.imagenet.ARCHIVE_META.values()
    assert dataset_card("imagenet").checksums == {name: f"md5:{md5}" for name, md5 in archives}
    clevr = torchvision.datasets.CLEVRClassification._MD5
    assert dataset_card("clevr-count").checksums == {"CLEVR_v1.0.zip": f"md5:{clevr}"}


def test_the_digest_follows_labels_and_files(made, tmp_path):
    spec, _ = made("clevr-count")
    first = open_split(spec, "train").digest
    assert open_split(spec, "train").digest == first
    path = tmp_path / "clevr/CLEVR_v1.0/scenes/CLEVR_train_scenes.json"
    scenes = json.loads(path.read_text())
    scenes["scenes"][0]["objects"].append({})
    path.write_text(json.dumps(scenes))
    second = open_split(spec, "train").digest
    (tmp_path / "clevr/CLEVR_v1.0/images/train/CLEVR_train_000000.png").write_bytes(b"short")
    assert len({first, second, open_split(spec, "train").digest}) == 3


def test_a_listed_file_that_is_gone_is_named(made, tmp_path):
    spec, written = made("dtd")
    gone = next(iter(written["test"]))
    (tmp_path / gone).unlink()
    with pytest.raises(DataError, match=f"{gone.rpartition('/')[2]} is listed but cannot be read"):
        open_split(spec, "test")


@pytest.mark.parametrize(("length", "count"), [(6, 6), (24, 6), (7, 6), (300, 6), (3, 6), (1, 2)])
def test_frames_are_spread_over_the_clip(length, count):
    places = spread(length, count)
    assert places == [int((k + 0.5) * length / count) for k in range(count)]
    assert places == sorted(places)
    assert places[-1] < length


def test_kinetics_videos_give_frames_in_order(made, tmp_path):
    spec, written = made("kinetics-action")
    for split, expected in written.items():
        source = open_split(spec, split)
        assert source.class_names == ("abseiling", "air drumming")
        found = {name: source.class_names[code] for name, code in read_back(source).items()}
        assert found == expected
        frames = source.frames(0)
        assert {frame.shape for frame in frames} == {(16, 32, 3)}
        levels = [frame.mean() for frame in frames]
        assert np.abs(np.array(levels) - [20, 60, 100, 140, 180, 220]).max() < 6


def test_short_and_broken_videos(tmp_path):
    miniatures.video(tmp_path / "short.mp4", 3)
    levels = [frame.mean() for frame in read_frames(tmp_path / "short.mp4", 6)]
    assert np.abs(np.array(levels) - [0, 0, 10, 10, 20, 20]).max() < 6
    whole = (tmp_path / "short.mp4").read_bytes()
    (tmp_path / "cut.mp4").write_bytes(whole[: len(whole) // 3])
    with pytest.raises(DataError, match=r"cut.mp4 cannot be read .*remove it"):
        read_frames(tmp_path / "cut.mp4", 6)


def test_kinetics_frames_are_spread_and_in_the_order_of_their_numbers(tmp_path, capsys):
    written = miniatures.kinetics_frames(tmp_path)
    spec = placed(find_dataset("kinetics-action"), tmp_path)
    for split, expected in written.items():
        source = open_split(spec, split)
        found = {name: source.class_names[code] for name, code in read_back(source).items()}
        assert found == expected
        stem = source.label(0).removesuffix("_2.jpg")
        for frame, number in zip(source.frames(0), (2, 4, 6, 8, 10, 12), strict=True):
            image = Image.open(io.BytesIO((tmp_path / f"{stem}_{number}.jpg").read_bytes()))
            np.testing.assert_array_equal(frame, np.array(image))
    assert "1 of the 4 clips" in " ".join(capsys.readouterr().err.split())


def test_kinetics_takes_as_many_clips_as_the_study():
    assert find_dataset("kinetics-action").limit == {"train": 50_000}


def test_pairs_come_first_frame_first(made, tmp_path):
    for name in ("thor-egomotion", "nuscenes-egomotion"):
        spec, _ = made(name)
        source = open_split(spec, "train")
        names = [source.label(0), source.label(0).replace("_a.jpg", "_b.jpg")]
        names[1] = names[1].replace("__a", "__b").replace("samples", "sweeps")
        for frame, file in zip(source.frames(0), names, strict=True):
            np.testing.assert_array_equal(frame, np.array(Image.open(tmp_path / file)))
        assert source.class_names == (
            miniatures.ACTIONS if name == "thor-egomotion" else miniatures.MOVES
        )


def test_broken_lists_are_named(made, tmp_path):
    spec, _ = made("thor-egomotion")
    path = tmp_path / "train_labels.txt"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines, "train/FloorPlan1/0000 Jump"]))
    with pytest.raises(DataError, match=r"The label of example 10 .*Unknown class 'Jump'"):
        open_split(spec, "train")
    path.write_text("\n".join([*lines, "MoveAhead"]))
    with pytest.raises(DataError, match=r"Line 11 of .* must be a name and a label"):
        open_split(spec, "train")
    path.write_text("../../secret MoveAhead\n")
    with pytest.raises(DataError, match="leads outside"):
        open_split(spec, "train")
    path.write_text("train/FloorPlan1/9999 MoveAhead\n")
    with pytest.raises(DataError, match=r"names 'train/FloorPlan1/9999_rgb_a.jpg', but .* no such"):
        open_split(spec, "train")
    path.write_text("")
    with pytest.raises(DataError, match="lists no example"):
        open_split(spec, "train")


def test_broken_json_lists_are_named(made, tmp_path):
    spec, _ = made("nuscenes-egomotion")
    path = tmp_path / "nuScenes_train.json"
    for text, message in {
        "[{": "cannot be read as JSON",
        "{}": "must be an array",
        '[{"img_a": "a.jpg", "label": "none"}]': "Entry 0 of .* must have the texts",
    }.items():
        path.write_text(text)
        with pytest.raises(DataError, match=message):
            open_split(spec, "train")


def test_a_thor_image_without_a_label_is_named(made, tmp_path):
    spec, _ = made("thor-num-steps")
    miniatures.save(tmp_path, "train/FloorPlan1/7777_rgb.jpg")
    with pytest.raises(DataError, match=r"7777_rgb.jpg has no line in .*train_labels.txt"):
        open_split(spec, "train")


def test_clips_that_are_annotated_wrongly_are_named(tmp_path):
    miniatures.kinetics_frames(tmp_path)
    spec = placed(find_dataset("kinetics-action"), tmp_path)
    miniatures.write(tmp_path, "annotations/train.json", '{"abcdefghijk": {"annotations": {}}}')
    with pytest.raises(DataError, match=r"'abcdefghijk' of .* has no annotations.label"):
        open_split(spec, "train")
    miniatures.write(
        tmp_path, "annotations/train.json", '{"00000000000": {"annotations": {"label": "yoga"}}}'
    )
    with pytest.raises(DataError, match=r"No clip of .* has 6 frames"):
        open_split(spec, "train")
