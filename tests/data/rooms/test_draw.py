"""Drawn worlds: reproducible, apart between splits, disjoint objects, varied and balanced."""

import itertools
import math

import numpy as np
import pytest
from scipy.stats import chi2_contingency

from vireo.data.rooms.draw import draw_scene, footprint_radius
from vireo.data.rooms.facts import facts_of
from vireo.data.rooms.world import SHAPES, TEXTURES, RoomsSettings
from vireo.errors import SettingError


@pytest.fixture(scope="module")
def scenes():
    return [draw_scene(RoomsSettings(), "train", index) for index in range(400)]


def test_a_draw_depends_on_seed_split_index_and_attempt_alone():
    same = draw_scene(RoomsSettings(size=32, shadows=False), "train", 3)
    assert draw_scene(RoomsSettings(size=64), "train", 3) == same
    others = [
        draw_scene(RoomsSettings(seed=1), "train", 3),
        draw_scene(RoomsSettings(), "val", 3),
        draw_scene(RoomsSettings(), "train", 4),
        draw_scene(RoomsSettings(), "train", 3, attempt=1),
    ]
    assert all(first != second for first, second in itertools.combinations([same, *others], 2))


def test_splits_share_no_world(scenes):
    settings = RoomsSettings()
    seen = {scene[0].extent for scene in scenes}
    assert len(seen) == len(scenes)
    for split in ("val", "test"):
        assert seen.isdisjoint(draw_scene(settings, split, k)[0].extent for k in range(100))


def test_objects_stand_apart_on_the_floor_of_their_room(scenes):
    for world, camera in scenes:
        width, length, height = world.extent
        for solid in world.solids:
            x, y, z = solid.centre
            radius = footprint_radius(solid)
            assert radius < x < width - radius
            assert radius < y < length - radius
            assert z == solid.half[2]
            assert 2 * z < height - 0.5 <= world.lights[0].position[2]
            assert math.dist((x, y), camera.position[:2]) > radius + 0.5
        for one, two in itertools.combinations(world.solids, 2):
            apart = math.dist(one.centre[:2], two.centre[:2])
            assert apart > footprint_radius(one) + footprint_radius(two)


def test_cameras_are_inside_and_see_floor(scenes):
    for world, camera in scenes:
        assert all(
            0 < place < side for place, side in zip(camera.position, world.extent, strict=True)
        )
        assert camera.pitch - camera.field_of_view / 2 < math.radians(-20)


def test_neither_colour_nor_texture_gives_the_shape_away(scenes):
    solids = [solid for world, _ in scenes for solid in world.solids]
    texture = np.zeros((len(SHAPES), len(TEXTURES)))
    colour = np.zeros((len(SHAPES), 3))
    for solid in solids:
        texture[SHAPES.index(solid.shape), TEXTURES.index(solid.surface.texture)] += 1
        colour[SHAPES.index(solid.shape), int(np.argmax(solid.surface.colours[0]))] += 1
    assert chi2_contingency(texture).pvalue > 0.01
    assert chi2_contingency(colour).pvalue > 0.01


def test_labels_are_balanced_and_frames_are_not_flat():
    settings = RoomsSettings(size=32, samples=1)
    frames = facts_of(settings, "train", range(300))
    shares = np.bincount(frames["count"], minlength=7) / 300
    assert shares[0] == 0
    assert len(shares) == 7
    assert shares[1:].min() > 0.03
    assert shares.max() < 0.35
    assert (np.bincount(frames["nearest"], minlength=3) / 300).min() > 0.2
    assert frames["image"].std((1, 2, 3, 4)).min() > 8
    assert 0.2 < frames["walkable"].mean() < 0.6
    assert 0.03 < (frames["instances"] > 0).mean() < 0.3
    assert frames["depth"].min() > 0.3


def test_a_frame_without_an_object_is_drawn_again():
    settings = RoomsSettings(size=16, samples=1, max_objects=1, visible=0.02)
    frames = facts_of(settings, "train", range(24))
    assert frames["attempt"].max() > 0
    assert frames["count"].tolist() == [1] * 24
    again = int(frames["attempt"].argmax())
    alone = facts_of(settings, "train", range(again, again + 1))
    assert all(np.array_equal(alone[name][0], frames[name][again]) for name in frames)


def test_settings_bound_what_is_drawn():
    settings = RoomsSettings(
        min_objects=3, max_objects=9, clutter=0, lights=1, textures=("dots", "plain")
    )
    worlds = [draw_scene(settings, "train", index)[0] for index in range(60)]
    assert max(len(world.solids) for world in worlds) == 9
    assert all(len(world.lights) == 1 and not world.panels for world in worlds)
    used = {surface.texture for world in worlds for surface in world.faces}
    assert used == {"dots", "plain"}


def test_a_studio_is_grey_with_objects_of_one_bright_colour():
    settings = RoomsSettings(style="studio", clutter=0)
    for world, _ in (draw_scene(settings, "train", index) for index in range(20)):
        assert not world.panels
        assert all(len({*face.colours[0], *face.colours[1]}) == 1 for face in world.faces)
        for solid in world.solids:
            first, second = solid.surface.colours
            assert first == second
            assert math.sqrt(min(first)) <= 0.4 * math.sqrt(max(first)) + 1e-9


def test_light_object_size_and_reach_are_settings():
    """The draws stay the same: only what the setting names changes."""
    usual, _ = draw_scene(RoomsSettings(), "train", 3)
    dusk, _ = draw_scene(RoomsSettings(brightness=0.25, tint=0.0), "train", 3)
    assert dusk.ambient == pytest.approx(usual.ambient / 4)
    assert dusk.solids == usual.solids
    for lamp, dim in zip(usual.lights, dusk.lights, strict=True):
        assert dim.position == lamp.position
        assert dim.colour == pytest.approx([lamp.colour[1] / 4] * 3)
    large, camera = draw_scene(RoomsSettings(object_size=1.5, reach=3.0), "train", 3)
    assert large.solids[0].shape == usual.solids[0].shape
    assert large.solids[0].half == pytest.approx([1.5 * side for side in usual.solids[0].half])
    assert math.dist(large.solids[0].centre[:2], camera.position[:2]) <= 3.0


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("size", 4),
        ("sequence", "film"),
        ("camera", "drone"),
        ("style", "baroque"),
        ("object_size", 2.0),
        ("reach", 1.0),
        ("brightness", 0.0),
        ("tint", -1.0),
        ("min_objects", 0),
        ("min_objects", 7),
        ("max_objects", 33),
        ("clutter", -1),
        ("lights", 0),
        ("textures", ()),
        ("textures", ("tartan",)),
        ("samples", 0),
        ("clearance", -0.1),
        ("visible", 0.0),
    ],
)
def test_impossible_settings_are_refused(option, value):
    with pytest.raises(SettingError, match="must be"):
        RoomsSettings(**{option: value})


def test_settings_that_never_show_an_object_are_an_error(monkeypatch):
    monkeypatch.setattr("vireo.data.rooms.facts._MOST_ATTEMPTS", 1)
    settings = RoomsSettings(size=16, samples=1, max_objects=1, visible=0.05)
    with pytest.raises(SettingError, match="lower visible"):
        facts_of(settings, "train", range(8))
