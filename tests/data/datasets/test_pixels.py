"""Pixel-level named datasets: miniatures in the published layouts, read back number by number."""

import dataclasses

import cv2
import numpy as np
import pytest
from PIL import Image
from tests import miniatures_pixels as miniatures
from torchvision.datasets import Cityscapes

from vireo.data import dataset_card, find_dataset, open_split
from vireo.data.roots import missing_parts
from vireo.data.sources.taskonomy import TaskonomySource, kept_buildings
from vireo.data.sources.thor_depth import ThorDepthSource
from vireo.data.splits import carve_validation
from vireo.errors import DataError, SettingError
from vireo.tasks import find_task

PUBLISHED = {
    "cityscapes": ("deeplabv3+", 20, 100),
    "pets-segmentation": ("deeplabv3+", 2, 100),
    "egohands": ("deeplabv3+", 5, 25),
    "nyu-walkable": ("deeplabv3+", 2, 100),
    "nyu-depth": ("unet", 1, 250),
    "thor-depth": ("unet", 1, 50),
    "taskonomy-depth": ("unet", 1, 50),
    "kitti-flow": ("siamese-unet", 2, 250),
}
"""Head, outputs and epochs: the study's Tables 1 and 2 and its Appendix A."""
NAMES = ("cityscapes", "egohands", "kitti-flow", "nyu", "taskonomy-depth", "thor-depth")


def placed(name, root):
    spec = find_dataset(name)
    return dataclasses.replace(spec, options={**spec.options, "root": str(root)})


def examples(source):
    return {source.label(index): index for index in range(len(source))}


@pytest.mark.parametrize("name", NAMES)
def test_cards_say_what_a_person_needs(name):
    spec, card = find_dataset(name), dataset_card(name)
    assert {*spec.splits, *spec.carve} == set(card.splits)
    assert spec.options["root"] == f"$VIREO_DATASETS/{name}"
    assert card.layout
    assert all([card.licence, card.homepage, card.how_to_get, card.summary])


@pytest.mark.parametrize("name", PUBLISHED)
def test_tasks_are_those_of_the_study(name):
    task = find_task(name)
    assert (task.head, task.outputs, task.epochs) == PUBLISHED[name]
    assert (task.learning_rate, task.max_steps, task.floor) == (3e-4, None, None)
    full = name in ("cityscapes", "egohands", "kitti-flow")
    assert task.crop == ((513, 513) if full else None)
    assert full or task.input_size == (224, 224)
    # a mirrored left hand is a right one
    assert (task.mirror, task.scale) == ((0.5, (0.5, 2)) if name == "cityscapes" else (0, (1, 1)))
    assert task.similar_pretraining == (("taskonomy",) if name == "taskonomy-depth" else ())


@pytest.mark.parametrize("name", NAMES)
def test_cards_describe_the_published_layout(name, tmp_path):
    maker = getattr(miniatures, name.replace("-", "_").replace("taskonomy_depth", "taskonomy"))
    maker(tmp_path, *([("CARDS_OFFICE_B_S",)] if name == "egohands" else []))
    card = dataset_card(name)
    assert missing_parts(card, tmp_path) == {}
    assert {*missing_parts(card, tmp_path / "elsewhere")} == {*card.layout}


def test_cityscapes_has_the_train_ids_that_torchvision_states(tmp_path):
    truth, spec = miniatures.cityscapes(tmp_path), placed("cityscapes", tmp_path)
    official = {row.id: row.train_id for row in Cityscapes.classes}
    for split, count in (("train", 4), ("test", 2)):
        source = open_split(spec, split)
        assert len(source) == count
        for name, index in examples(source).items():
            expected = [
                [0 if official[code] in (255, -1) else official[code] + 1 for code in row]
                for row in truth[name].tolist()
            ]
            np.testing.assert_array_equal(source.target(index, "mask"), expected)
            image = np.array(Image.open(tmp_path / name))
            np.testing.assert_array_equal(source.frames(index)[0], image)
    scored = sorted((row.train_id, row.name) for row in Cityscapes.classes if row.train_id < 255)
    assert source.class_names == ("background", *(name for code, name in scored if code >= 0))


def test_a_cityscapes_image_without_its_labels_is_named(tmp_path):
    miniatures.cityscapes(tmp_path)
    (tmp_path / "gtFine/val/frankfurt/frankfurt_000001_000019_gtFine_labelIds.png").unlink()
    with pytest.raises(DataError, match=r"frankfurt_000001_000019_leftImg8bit.png' has no partner"):
        open_split(placed("cityscapes", tmp_path), "test")


def test_pets_have_the_animal_as_1_and_no_border(tmp_path):
    truth, spec = miniatures.pets(tmp_path), placed("pets", tmp_path)
    meaning = {1: 1, 2: 0, 3: 255}
    for split, count in (("train", 6), ("test", 4)):
        source = open_split(spec, split)
        assert len(source) == count
        for name, index in examples(source).items():
            expected = [[meaning[code] for code in row] for row in truth[name].tolist()]
            np.testing.assert_array_equal(source.target(index, "mask"), expected)


def test_nyu_has_metres_and_what_is_not_0_is_walkable(tmp_path):
    truth, spec = miniatures.nyu(tmp_path), placed("nyu", tmp_path)
    for split, count in (("train", 5), ("test", 3)):
        source = open_split(spec, split)
        assert len(source) == count
        for name, index in examples(source).items():
            metres, walkable = truth[f"{split}/{name}"].values()
            depth = source.target(index, "depth")
            np.testing.assert_array_equal(np.isnan(depth), metres == 0)
            np.testing.assert_array_equal(depth[metres > 0], metres[metres > 0])
            np.testing.assert_array_equal(source.target(index, "walkable"), walkable == 255)
    (tmp_path / "train/walkable/0007.png").unlink()
    with pytest.raises(DataError, match="0007"):
        open_split(spec, "train")


def test_taskonomy_has_metres_of_512_and_no_building_in_both_parts(tmp_path):
    truth, spec = miniatures.taskonomy(tmp_path), placed("taskonomy-depth", tmp_path)
    seen = {}
    for split in ("train", "test"):
        source = open_split(spec, split)
        for name, index in examples(source).items():
            stored = truth.pop(name)
            expected = [
                [np.nan if number == 65535 else number / 512 for number in row]
                for row in stored.tolist()
            ]
            np.testing.assert_array_equal(source.target(index, "depth"), expected)
            assert seen.setdefault(name.split("/")[1], split) == split
    assert not truth
    assert sorted(seen.values()) == ["test", "train", "train"]


def test_taskonomy_in_folders_of_its_parts_is_left_as_it_is_divided(tmp_path):
    miniatures.taskonomy(tmp_path / "train")
    miniatures.taskonomy(tmp_path / "test")
    for part in ("train", "test"):
        assert len(TaskonomySource(root=tmp_path, part=part)) == 9
    with pytest.raises(SettingError, match="'val'"):
        TaskonomySource(root=tmp_path, part="val")


@pytest.mark.parametrize(
    ("name", "make", "groups"),
    [
        ("taskonomy-depth", miniatures.taskonomy, {*miniatures.BUILDINGS} - {"almena"}),
        ("thor-depth", miniatures.thor_depth, {f"FloorPlan{n}" for n in range(1, 6)}),
    ],
)
def test_a_validation_part_shares_no_building_and_no_room(name, make, groups, tmp_path):
    make(tmp_path)
    train = open_split(placed(name, tmp_path), "train")
    assert {*train.groups} == groups
    assert all(train.groups[place] in train.label(place) for place in range(len(train)))
    rest, held_out = carve_validation(train, 0.2, 0)
    assert {*rest.groups} | {*held_out.groups} == groups
    assert not {*rest.groups} & {*held_out.groups}


def test_a_tenth_of_many_buildings_is_kept(tmp_path):
    names = [f"building {number}" for number in range(57)]
    kept = kept_buildings(names)
    assert len(kept) == 5
    assert kept == kept_buildings(names[::-1])
    miniatures.taskonomy(tmp_path)
    for building in ("almena", "cosmos"):
        for path in tmp_path.glob(f"*/{building}/*"):
            path.unlink()
    with pytest.raises(DataError, match="at least 2 buildings"):
        TaskonomySource(root=tmp_path, part="train")


def test_taskonomy_depth_of_8_bits_is_refused(tmp_path):
    miniatures.taskonomy(tmp_path)
    source = TaskonomySource(root=tmp_path, part="test")
    name = source.label(0).replace("rgb", "depth_zbuffer")
    miniatures.save(tmp_path / name, np.full((16, 16), 9, dtype=np.uint8))
    with pytest.raises(DataError, match=r"8 bits a pixel.* has 16"):
        source.target(0, "depth")


def test_thor_depth_is_the_grey_level_in_metres(tmp_path):
    truth, spec = miniatures.thor_depth(tmp_path), placed("thor-depth", tmp_path)
    source = open_split(spec, "test")
    assert (len(open_split(spec, "train")), len(source)) == (5, 3)
    for name, index in examples(source).items():
        grey, depth = truth[name], source.target(index, "depth")
        np.testing.assert_array_equal(np.isnan(depth), grey == 0)
        expected = grey[grey > 0] / 255 * 19.9
        np.testing.assert_allclose(depth[grey > 0], expected, atol=2.01 * 19.9 / 255)


def test_thor_depth_in_colour_is_refused(tmp_path):
    miniatures.thor_depth(tmp_path)
    source = ThorDepthSource(root=tmp_path / "test", white=10)
    path = tmp_path / "test" / source.label(1).replace("rgb", "depth")
    miniatures.save(path, np.full((24, 24, 3), [200, 30, 30], dtype=np.uint8))
    with pytest.raises(DataError, match="colours"):
        source.target(1, "depth")
    with pytest.raises(DataError, match="'white'"):
        ThorDepthSource(root=tmp_path / "test", white=0)


def test_kitti_has_u_and_v_where_valid_and_its_last_tenth_is_tested(tmp_path):
    truth, spec = miniatures.kitti_flow(tmp_path), placed("kitti-flow", tmp_path)
    parts = {split: examples(open_split(spec, split)) for split in ("train", "test")}
    assert [*parts["train"], *parts["test"]] == sorted(truth)
    assert len(parts["test"]) == 1
    for split, names in parts.items():
        source = open_split(spec, split)
        for name, index in names.items():
            u, v, valid = truth[name]
            flow = source.target(index, "flow")
            np.testing.assert_array_equal(np.isfinite(flow).all(0), valid > 0)
            np.testing.assert_array_equal(flow[:, valid > 0], np.stack([u, v])[:, valid > 0])
            first, second = source.frames(index)
            np.testing.assert_array_equal(first, Image.open(tmp_path / name))
            later = name.replace("_10", "_11")
            np.testing.assert_array_equal(second, Image.open(tmp_path / later))


def test_kitti_flow_of_8_bits_is_refused(tmp_path):
    miniatures.kitti_flow(tmp_path)
    path = tmp_path / "training/flow_occ/000003_10.png"
    cv2.imwrite(str(path), np.ones((37, 124, 3), dtype=np.uint8))
    source = open_split(placed("kitti-flow", tmp_path), "train")
    with pytest.raises(DataError, match=r"000003_10\.png"):
        source.target(3, "flow")
    (tmp_path / "training/image_2/000004_11.png").unlink()
    with pytest.raises(DataError, match=r"000004_10\.png' has no partner"):
        open_split(placed("kitti-flow", tmp_path), "train")
