"""The source of rooms: cached once, verified, read back exactly; folders made for `rooms:DIR`."""

import pickle

import numpy as np
import pytest
import torch
from PIL import Image

from vireo.data import dataset_card, find_dataset
from vireo.data.datasets import DATASETS
from vireo.data.rooms import facts, frames
from vireo.data.rooms.body import steps_ahead
from vireo.data.rooms.render import render
from vireo.data.rooms.sheet import contact_sheet
from vireo.data.rooms.source import RoomsSource, make_rooms, read_card
from vireo.data.rooms.world import SURFACES, TEXTURES, RoomsSettings
from vireo.errors import DataError, SettingError, StoreError
from vireo.files import read_json, write_json

SMALL = {"size": 16, "samples": 1}


def small(root, **options):
    return RoomsSource(root=str(root), **{"images": 6, **SMALL, **options})


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return small(tmp_path_factory.mktemp("cache"))


def test_targets_have_their_kinds(source):
    assert len(source) == 6
    (image,) = source.frames(2)
    assert (image.shape, image.dtype) == ((16, 16, 3), np.uint8)
    for name in source.targets:
        value = source.target(2, name)
        if name in ("count", "nearest", "steps", "texture"):
            assert type(value) is int
        else:
            kind = np.float32 if name == "depth" else np.uint8
            assert (value.shape, value.dtype) == ((16, 16), kind)
            assert value.flags.writeable
    assert source.class_names == SURFACES
    assert source.label(2) == "train/000002"


def test_targets_agree_with_each_other(source):
    for index in range(len(source)):
        instances, mask = source.target(index, "instances"), source.target(index, "mask")
        foreground, walkable = (source.target(index, name) for name in ("foreground", "walkable"))
        np.testing.assert_array_equal(foreground, instances > 0)
        np.testing.assert_array_equal(foreground, mask >= SURFACES.index("box"))
        assert (mask[walkable == 1] == SURFACES.index("floor")).all()
        assert 1 <= source.target(index, "count") <= len(np.unique(instances[instances > 0]))


def test_an_unknown_target_is_named(source):
    with pytest.raises(DataError, match="Did you mean 'depth'"):
        source.target(0, "dept")


def test_a_scene_renders_to_its_frame(source):
    for index in range(len(source)):
        shot = source.shot(index)
        again = render([shot.world], shot.cameras, RoomsSettings(**SMALL))
        np.testing.assert_array_equal(again.image[0], source.frames(index)[0])
        np.testing.assert_array_equal(again.depth[0], source.target(index, "depth"))


def test_frames_are_rendered_once(tmp_path, monkeypatch):
    first = small(tmp_path)
    monkeypatch.setattr(facts, "render", None)
    again = small(tmp_path)
    assert again.digest == first.digest
    np.testing.assert_array_equal(again.frames(5)[0], first.frames(5)[0])


def test_a_failed_rendering_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(facts, "render", None)
    with pytest.raises(TypeError):
        small(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_digest_covers_what_decides_the_frames_and_no_path(tmp_path, source):
    options = [
        {},
        {"split": "val"},
        {"images": 5},
        {"seed": 1},
        {"size": 8},
        {"shadows": False},
        {"textures": ("plain",)},
    ]
    sources = [small(tmp_path, **option) for option in options]
    assert sources[0].digest == source.digest
    assert len({one.digest for one in sources}) == len(options)
    fewer = sources[2]
    for index in range(5):
        np.testing.assert_array_equal(fewer.frames(index)[0], source.frames(index)[0])


@pytest.mark.parametrize("name", ["image.npy", "depth.npy"])
def test_a_changed_file_is_found(tmp_path, name):
    small(tmp_path)
    (path,) = tmp_path.glob(f"*/{name}")
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match=f"{name} is missing or not as it was written; delete"):
        small(tmp_path)


def test_a_missing_file_is_found(tmp_path):
    small(tmp_path)
    next(tmp_path.glob("*/count.npy")).unlink()
    with pytest.raises(DataError, match=r"count\.npy is missing"):
        small(tmp_path)
    next(tmp_path.glob("*/split.json")).write_text("[1]")
    with pytest.raises(DataError, match="not a manifest"):
        small(tmp_path)
    next(tmp_path.glob("*/split.json")).unlink()
    with pytest.raises(DataError, match="no split of rooms"):
        small(tmp_path)


def test_two_that_render_at_once_do_not_disturb_each_other(tmp_path, monkeypatch, source):
    """While the first renders, a second finishes: the first takes what is there."""
    original, calls = frames.facts_of, []

    def interrupted(*arguments):
        calls.append(1)
        if len(calls) == 1:
            small(tmp_path)
        return original(*arguments)

    monkeypatch.setattr(frames, "facts_of", interrupted)
    first = small(tmp_path)
    assert len(calls) == 2
    np.testing.assert_array_equal(first.frames(0)[0], source.frames(0)[0])
    assert len(list(tmp_path.iterdir())) == 1


def test_batches_do_not_show(tmp_path, monkeypatch, source):
    monkeypatch.setattr(facts, "_RAYS", 2 * 16 * 16)
    batched = small(tmp_path)
    for index in range(6):
        np.testing.assert_array_equal(batched.frames(index)[0], source.frames(index)[0])
        assert batched.target(index, "count") == source.target(index, "count")


def test_threads_do_not_show_and_torch_keeps_its_own(tmp_path, monkeypatch, source):
    monkeypatch.setattr(facts, "_RAYS", 16 * 16)
    torch.set_num_threads(3)
    try:
        threaded = small(tmp_path)
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(1)
    for index in range(6):
        np.testing.assert_array_equal(threaded.frames(index)[0], source.frames(index)[0])
        np.testing.assert_array_equal(
            threaded.target(index, "depth"), source.target(index, "depth")
        )


def test_a_worker_gets_the_folder_and_not_the_frames(source):
    content = pickle.dumps(source)
    assert len(content) < 3000
    copy = pickle.loads(content)
    np.testing.assert_array_equal(copy.target(3, "depth"), source.target(3, "depth"))


def test_the_default_folder_is_the_users_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    RoomsSource(images=2, **SMALL)
    assert len(list((tmp_path / "vireo" / "rooms").iterdir())) == 1
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    RoomsSource(images=2, **SMALL)
    assert len(list((tmp_path / "home" / ".cache" / "vireo" / "rooms").iterdir())) == 1


def test_bad_options_are_refused(tmp_path, monkeypatch):
    monkeypatch.delenv("VIREO_NOWHERE", raising=False)
    with pytest.raises(SettingError, match="Did you mean 'lights'"):
        small(tmp_path, light=2)
    with pytest.raises(SettingError, match="size must be a int; got '64'"):
        small(tmp_path, size="64")
    with pytest.raises(SettingError, match="'extra' needs a number of images"):
        small(tmp_path, split="extra", images=None)
    with pytest.raises(SettingError, match="at least 1; got 0"):
        small(tmp_path, images=0)
    with pytest.raises(DataError, match="not set"):
        small("$VIREO_NOWHERE/rooms")
    assert list(tmp_path.iterdir()) == []


def test_a_made_folder_is_read_by_its_name_alone(tmp_path, source, monkeypatch):
    folder = tmp_path / "made"
    assert make_rooms(folder, images={"train": 6, "test": 2}, **SMALL) == folder
    card = read_card(folder)
    assert card.images == {"train": 6, "test": 2}
    assert card.settings == RoomsSettings(**SMALL)
    monkeypatch.setattr(facts, "render", None)
    train, test = (RoomsSource(root=str(folder), split=split) for split in ("train", "test"))
    assert (len(train), len(test)) == (6, 2)
    assert train.digest == source.digest
    np.testing.assert_array_equal(train.frames(4)[0], source.frames(4)[0])
    assert len(RoomsSource(root=str(folder), images=6, size=16)) == 6
    make_rooms(folder, images={"train": 6, "test": 2}, **SMALL)  # all there: nothing is rendered


def test_a_made_folder_says_what_it_does_not_have(tmp_path):
    make_rooms(tmp_path, images={"train": 2}, **SMALL)
    with pytest.raises(DataError, match="Unknown split 'val'"):
        RoomsSource(root=str(tmp_path), split="val")
    with pytest.raises(SettingError, match="another size"):
        RoomsSource(root=str(tmp_path), size=32)
    with pytest.raises(SettingError, match="has 2 images of train; got 3"):
        RoomsSource(root=str(tmp_path), images=3)
    with pytest.raises(DataError, match="other rooms than asked for"):
        make_rooms(tmp_path, images={"train": 3}, **SMALL)
    with pytest.raises(StoreError, match="outside"):
        make_rooms(tmp_path, images={"../other": 1}, **SMALL)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"renderer": 0}, "rendered by version 0"),
        ({"images": 3}, "not a card"),
        ({"settings": {"sizes": 3}}, "not a card"),
        ({"images": {"train": "many"}}, "not a card"),
    ],
)
def test_a_broken_card_is_refused(tmp_path, change, message):
    make_rooms(tmp_path, images={"train": 1}, **SMALL)
    path = tmp_path / "rooms.json"
    write_json(path, {**read_json(path), **change})
    with pytest.raises(DataError, match=message):
        read_card(tmp_path)


def test_a_folder_without_a_card_is_no_folder_of_rooms(tmp_path):
    with pytest.raises(DataError, match="no folder of rooms"):
        read_card(tmp_path)


def test_a_contact_sheet_shows_frames(tmp_path, source):
    path = contact_sheet(source, tmp_path / "sheet.png", count=3)
    with Image.open(path) as sheet:
        pixels = np.asarray(sheet)
    assert pixels.shape == (3 * 132, 5 * 132, 3)
    shown = pixels[132 : 132 + 128 : 8, 0:128:8]
    np.testing.assert_array_equal(shown, source.frames(2)[0])


@pytest.mark.parametrize("name", [name for name in DATASETS if name.startswith("rooms")])
def test_a_dataset_and_its_card_agree(name, tmp_path):
    spec, card = find_dataset(name), dataset_card(name)
    assert {split: options["images"] for split, options in spec.splits.items()} == card.splits
    assert spec.name == card.name == name
    options = {**spec.options, **spec.splits["test"], "images": 2, **SMALL}
    one = RoomsSource(root=str(tmp_path), **options)
    assert len(one) == 2
    assert one.class_names == card.class_names
    values = [one.target(1, target) for target in one.targets]
    assert len(values) > 0
    path = contact_sheet(one, tmp_path / "sheet.png")
    with Image.open(path) as sheet:
        assert sheet.height == 2 * 132


@pytest.fixture(scope="module")
def sequences(tmp_path_factory):
    root = tmp_path_factory.mktemp("sequences")
    return {kind: small(root, sequence=kind, images=3) for kind in ("flow", "egomotion", "clip")}


def test_sequences_are_the_renderings_of_their_cameras(sequences):
    for kind, number in {"flow": 2, "egomotion": 2, "clip": 6}.items():
        source = sequences[kind]
        for index in range(3):
            shot, images = source.shot(index), source.frames(index)
            assert len(images) == len(shot.cameras) == number
            again = render([shot.world] * number, shot.cameras, RoomsSettings(**SMALL)).image
            np.testing.assert_array_equal(np.stack(images), again)


def test_sequences_have_their_targets(sequences):
    flow = sequences["flow"].target(0, "flow")
    assert (flow.shape, flow.dtype) == ((2, 16, 16), np.float32)
    np.testing.assert_array_equal(np.isnan(flow[0]), np.isnan(flow[1]))
    assert np.isfinite(flow).any()
    for kind in ("egomotion", "clip"):
        source = sequences[kind]
        for index in range(3):
            code = source.target(index, "class")
            assert type(code) is int
            assert code == source.shot(index).action
            assert code < len(source.class_names)
    assert sequences["flow"].class_names == ()


def test_steps_and_texture_follow_from_the_world(source):
    for index in range(len(source)):
        shot = source.shot(index)
        assert source.target(index, "steps") == steps_ahead(shot.world, shot.cameras[0])
        assert TEXTURES[source.target(index, "texture")] == shot.world.faces[4].texture


def test_a_camera_before_a_wall_may_show_no_object(tmp_path):
    source = small(tmp_path, camera="approach", images=16, size=8)
    assert "nearest" not in source.targets
    assert min(source.target(index, "count") for index in range(16)) == 0
    with pytest.raises(DataError, match="nearest"):
        source.target(0, "nearest")


def test_only_what_is_asked_for_is_rendered(tmp_path):
    small(tmp_path, images=1)
    small(tmp_path, images=1, sequence="flow")
    found = {folder: {path.stem for path in folder.glob("*.npy")} for folder in tmp_path.iterdir()}
    assert sorted(len(names) for names in found.values()) == [2, 10]
    assert {"image", "flow"} in found.values()
