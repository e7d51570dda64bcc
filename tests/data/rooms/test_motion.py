"""Camera moves: labels recomputed from poses alone, no clue in a single frame, no collision."""

import dataclasses
import itertools
import math

import numpy as np
import pytest
from tests.oracles.rooms import outline, rotation, surface_inside

from vireo.data.rooms.body import BODY_RADIUS
from vireo.data.rooms.draw import draw_scene
from vireo.data.rooms.motion import ACTIONS, GESTURES, Offset, draw_shot, move_camera
from vireo.data.rooms.world import Camera, RoomsSettings

PAIR, CLIP = RoomsSettings(sequence="egomotion"), RoomsSettings(sequence="clip")
FLOW = RoomsSettings(sequence="flow")


@pytest.fixture(scope="module")
def pairs():
    return [draw_shot(PAIR, "train", index) for index in range(40)]


@pytest.fixture(scope="module")
def clips():
    return [draw_shot(CLIP, "train", index) for index in range(40)]


def axes(camera):
    """Directions of view, to the left and up, by rotation matrices."""
    turn = rotation(camera.yaw, (0, 0, 1)) @ rotation(-camera.pitch, (0, 1, 0))
    return turn.T


def relative(first, second):
    """Metres ahead and to the left on the level, metres up; degrees to the left and up."""
    offset = np.array(second.position) - np.array(first.position)
    ahead, left = axes(dataclasses.replace(first, pitch=0.0))[:2]
    seen = axes(dataclasses.replace(first, pitch=0.0)) @ axes(second)[0]
    yaw, pitch = math.atan2(seen[1], seen[0]), math.asin(seen[2]) - first.pitch
    return np.array(
        [offset @ ahead, offset @ left, offset[2], math.degrees(yaw), math.degrees(pitch)]
    )


def test_the_action_of_egomotion_follows_from_its_two_poses(pairs):
    for shot in pairs:
        ahead, left, rise, yaw, pitch = relative(*shot.cameras)
        assert max(abs(left), abs(rise)) < 0.03
        if ahead > 0.15:
            name = "ahead"
        elif abs(yaw) > 2:
            name = "left" if yaw > 0 else "right"
        else:
            name = "up" if pitch > 0 else "down"
        assert list(ACTIONS)[shot.action] == name
        moves = (ahead > 0.15, abs(yaw) > 2, abs(pitch) > 2)
        assert sum(moves) == 1


def gesture(cameras):
    """Name a gesture from poses: what moves most, and whether it goes one way or to and fro."""
    track = np.array([relative(cameras[0], camera) for camera in cameras])
    spread = np.ptp(track, axis=0) / np.array([0.1, 0.1, 0.1, 4.0, 4.0])
    axis = int(spread.argmax())
    assert np.sort(spread)[-2] < 1 < spread[axis]
    steps = np.diff(track[:, axis])
    if (steps > 0).all() or (steps < 0).all():
        names = {0: ("ahead", "back"), 1: ("step-left", "step-right")}
        names |= {3: ("pan-left", "pan-right"), 4: ("tilt-up", "tilt-down")}
        return names[axis][int(steps[0] < 0)]
    return {3: "shake", 4: "nod"}[axis]


def test_the_gesture_of_a_clip_follows_from_its_six_poses(clips):
    assert len(GESTURES) >= 8
    for shot in clips:
        assert len(shot.cameras) == 6
        assert gesture(shot.cameras) == list(GESTURES)[shot.action]


def test_moves_are_balanced_and_small_enough_to_follow(pairs, clips):
    for shots, moves in ((pairs, ACTIONS), (clips, GESTURES)):
        shares = np.bincount([shot.action for shot in shots], minlength=len(moves)) / len(shots)
        assert len(shares) == len(moves)
        assert 0.2 / len(moves) < shares.min() <= shares.max() < 2.2 / len(moves)
    for shot in (draw_shot(FLOW, "train", index) for index in range(10)):
        assert (np.abs(relative(*shot.cameras)) < (0.3, 0.15, 0.1, 10, 7)).all()


@pytest.mark.parametrize(
    ("move", "reverse"),
    [("ahead", "back"), ("pan-left", "pan-right"), ("tilt-up", "tilt-down")],
)
def test_the_reverse_of_a_gesture_is_another_gesture_through_the_same_poses(clips, move, reverse):
    """So no frame by itself, and no bag of frames, tells which of the two it was."""
    for shot in clips:
        if list(GESTURES)[shot.action] == move:
            assert gesture(shot.cameras[::-1]) == reverse


def test_the_body_touches_nothing_on_the_way(pairs, clips):
    for shot in [*pairs[:15], *clips[:15]]:
        edges = np.concatenate([outline(solid) for solid in shot.world.solids])
        for here, there in itertools.pairwise(shot.cameras):
            for share in np.linspace(0, 1, 5):
                place = (1 - share) * np.array(here.position) + share * np.array(there.position)
                assert np.hypot(*(edges - place[:2]).T).min() > BODY_RADIUS - 1e-3
                assert not any(surface_inside(solid, place[:2]) for solid in shot.world.solids)
                walls = np.minimum(place, np.array(shot.world.extent) - place)
                assert walls[:2].min() > BODY_RADIUS
                assert walls[2] > 0.3


def test_worlds_of_sequences_are_those_of_single_frames_and_apart_between_splits(pairs):
    for index in range(10):
        assert pairs[index].world == draw_scene(RoomsSettings(), "train", index)[0]
    seen = {shot.world.extent for shot in pairs}
    assert seen.isdisjoint(draw_shot(PAIR, "test", index).world.extent for index in range(20))


def test_a_move_is_along_the_cameras_own_heading():
    """Worked example: looking along y, ahead is y and left is -x."""
    camera = Camera(position=(2.0, 2.0, 1.0), yaw=math.pi / 2, pitch=-0.3, field_of_view=1.0)
    moved = move_camera(camera, Offset(ahead=1.0, left=0.5, rise=0.1, yaw=20.0, pitch=10.0))
    assert moved.position == pytest.approx((1.5, 3, 1.1))
    assert (moved.yaw, moved.pitch) == pytest.approx(
        (math.pi / 2 + math.pi / 9, -0.3 + math.pi / 18)
    )
    assert moved.field_of_view == camera.field_of_view


def test_a_room_without_place_for_a_move_is_drawn_again(monkeypatch):
    asked = []

    def first_is_refused(world, _cameras):
        asked.append(world.extent)
        return len(set(asked)) > 1

    monkeypatch.setattr("vireo.data.rooms.motion._is_free", first_is_refused)
    shot = draw_shot(PAIR, "train", 0)
    assert shot.world == draw_scene(PAIR, "train", 0, attempt=1)[0]
