"""The class of a motion between two poses, and which pairs of frames are examples."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vireo.data.sources.camera_motion import CameraMotionSource
from vireo.data.sources.poses import MOTIONS, motion, motion_name, read_pose
from vireo.errors import DataError, SettingError

CLASSES = {"metres": 0.1, "degrees": 5.0, "motions": MOTIONS}


def turned(axis, degrees):
    """The rotation around one axis of a right-handed frame, from sines and cosines."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    pose = np.eye(4)
    first, second = [(1, 2), (2, 0), (0, 1)][axis]
    pose[first, first], pose[second, second] = c, c
    pose[second, first], pose[first, second] = s, -s
    return pose


def shifted(x=0.0, y=0.0, z=0.0):
    pose = np.eye(4)
    pose[:3, 3] = x, y, z
    return pose


MOVED = {
    "right": shifted(x=0.2),
    "left": shifted(x=-0.2),
    "down": shifted(y=0.2),
    "up": shifted(y=-0.2),
    "ahead": shifted(z=0.2),
    "back": shifted(z=-0.2),
    "look-up": turned(0, 10),
    "look-down": turned(0, -10),
    "turn-right": turned(1, 10),
    "turn-left": turned(1, -10),
    "roll-right": turned(2, 10),
    "roll-left": turned(2, -10),
    "none": turned(1, 4.9) @ shifted(x=0.09),
}


@pytest.mark.parametrize("name", MOVED)
@pytest.mark.parametrize("start", [np.eye(4), turned(1, 130) @ turned(0, 40) @ shifted(3, 1, -2)])
def test_each_motion_by_its_name_wherever_the_camera_starts(name, start):
    parts = motion(start, start @ MOVED[name])
    assert motion_name(parts, **CLASSES) == name


SEEN = {  # where a point straight ahead of the first camera, or above it, lies for the second
    "turn-right": (0, 0, 1, 0, -1),
    "turn-left": (0, 0, 1, 0, 1),
    "look-up": (0, 0, 1, 1, 1),
    "look-down": (0, 0, 1, 1, -1),
    "roll-right": (0, -1, 0, 0, -1),
    "roll-left": (0, -1, 0, 0, 1),
    "right": (0, 0, 1, 0, -1),
    "down": (0, 0, 1, 1, -1),
    "ahead": (0, 0, 1, 2, -1),
}


@pytest.mark.parametrize("name", SEEN)
def test_names_are_what_a_person_sees(name):
    """Turning right moves what is ahead to the left; looking up moves it down; and so on."""
    x, y, z, axis, sign = SEEN[name]
    point = np.array([x, y, z, 1.0])
    seen = np.linalg.inv(MOVED[name]) @ point
    assert np.sign((seen - point)[axis]) == sign


@settings(max_examples=50, deadline=None)
@given(*[st.floats(-1, 1)] * 3, st.integers(0, 2), st.floats(-90, 90))
def test_a_motion_is_undone_by_its_inverse(x, y, z, axis, degrees):
    start = turned(2, 20) @ turned(1, 70) @ shifted(1, 2, 3)
    step = turned(axis, degrees) @ shifted(x, y, z)
    there, back = motion(start, start @ step), motion(start @ step, start)
    np.testing.assert_allclose(there[3:], -back[3:], atol=1e-9)
    np.testing.assert_allclose(np.linalg.norm(there[:3]), np.linalg.norm([x, y, z]), atol=1e-9)
    turn = turned(axis, degrees)[:3, :3]
    np.testing.assert_allclose(there[:3], turn @ [x, y, z], atol=1e-9)
    np.testing.assert_allclose(back[:3], [-x, -y, -z], atol=1e-9)


def test_the_largest_in_units_of_its_threshold_decides_among_those_asked_for():
    parts = np.array([0.0, 0.15, 0.3, 0.0, -8.0, 1.0])
    assert motion_name(parts, metres=0.1, degrees=5.0, motions=MOTIONS) == "ahead"
    assert motion_name(parts, metres=0.1, degrees=2.0, motions=MOTIONS) == "turn-left"
    few = ("left", "down", "none")
    assert motion_name(parts, metres=0.1, degrees=2.0, motions=few) == "down"
    assert motion_name(parts, metres=0.2, degrees=2.0, motions=few) == "none"
    assert motion_name(parts, metres=0.2, degrees=2.0, motions=("left", "down")) is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 2 3", "p holds 3 numbers; a pose has 16"),
        ("one two", "p is no text of numbers"),
        ("\udcff", "p is no text of numbers"),
        ("2 0 0 0 0 2 0 0 0 0 2 0", "p is no camera pose"),
        ("-1 0 0 0 0 1 0 0 0 0 1 0", "p is no camera pose"),
        ("1 0 0 0 0 1 0 0 0 0 1 0 0 0 0 2", "p is no camera pose"),
    ],
)
def test_what_is_no_pose_is_named(text, message):
    with pytest.raises(DataError, match=message):
        read_pose(text.encode(errors="surrogateescape"), "p")


def test_poses_of_three_rows_and_unknown_ones():
    pose = read_pose(b"1 0 0 7\n0 1 0 8\n0, 0, 1, 9\n", "p")
    assert np.array_equal(pose, shifted(7, 8, 9))
    assert read_pose(b"-inf " * 16, "p") is None


@pytest.fixture
def walk(tmp_path, write):
    """Frame n of clip c shows n; clip "a" goes 0.1 m ahead a frame, clip "b" turns right by 3."""
    for clip, step in (("a", shifted(z=0.1)), ("b", turned(1, 3))):
        pose = turned(0, 30)
        for number in range(6):
            write(tmp_path / f"{clip}/f-{number}.color.png", np.full((2, 3, 3), number, np.uint8))
            rows = "\n".join(" ".join(f"{x:.9f}" for x in row) for row in pose)
            (tmp_path / f"{clip}/f-{number}.pose.txt").write_text(rows)
            pose = pose @ step
    return tmp_path


def open_walk(walk, **options):
    return CameraMotionSource(
        root=walk, images="*.color.png", poses="*.pose.txt", **{"stride": 2, **options}
    )


def named(source):
    return [source.class_names[source.target(n, "egomotion")] for n in range(len(source))]


def shown(source):
    return [tuple(int(frame[0, 0, 0]) for frame in source.frames(n)) for n in range(len(source))]


def test_pairs_within_a_clip_and_their_classes(walk):
    source = open_walk(walk)
    assert named(source) == ["ahead"] * 4 + ["turn-right"] * 4
    assert shown(source) == [(0, 2), (1, 3), (2, 4), (3, 5)] * 2
    assert source.label(5) == "b/f-1.color.png to b/f-3.color.png"
    assert named(open_walk(walk, degrees=7)) == ["ahead"] * 4 + ["none"] * 4
    spaced = open_walk(walk, every=3)
    assert shown(spaced) == [(0, 2), (3, 5)] * 2
    assert len({source.digest, spaced.digest, open_walk(walk, degrees=7).digest}) == 3


def test_both_ways_and_classes_that_are_not_asked_for(walk):
    both = open_walk(walk, both_ways=True)
    assert named(both)[:4] == ["ahead", "back"] * 2
    assert shown(both)[:3] == [(0, 2), (2, 0), (1, 3)]
    turns = open_walk(walk, both_ways=True, motions=("turn-left", "turn-right"))
    assert named(turns) == ["turn-right", "turn-left"] * 4


def test_balanced_keeps_the_rarest_and_spreads_the_others(walk):
    options = {"motions": ("none", "turn-right"), "every": 1, "stride": 1}
    assert Counter(named(open_walk(walk, **options, degrees=2.5)))["none"] == 5
    for number in (4, 5):
        for kind in ("color.png", "pose.txt"):
            (walk / f"b/f-{number}.{kind}").unlink()
    source = open_walk(walk, **options, degrees=2.5, balanced=True)
    assert Counter(named(source)) == {"none": 3, "turn-right": 3}
    assert shown(source) == [(0, 1), (1, 2), (3, 4), (0, 1), (1, 2), (2, 3)]


def test_frames_without_a_pose_are_in_no_pair(walk):
    (walk / "a/f-2.pose.txt").write_text("-inf " * 16)
    assert shown(open_walk(walk))[:2] == [(1, 3), (3, 5)]


def test_what_cannot_be_is_refused(walk):
    with pytest.raises(DataError, match=r"No pair of frames of .* is left: none moves by 9 m"):
        open_walk(walk, metres=9, degrees=90, motions=("ahead", "back"))
    with pytest.raises(DataError, match="'balanced' met a class without pairs"):
        open_walk(walk, balanced=True)
    with pytest.raises(SettingError, match="Unknown motion 'forward'"):
        open_walk(walk, motions=("forward", "none"))
    for motions in ((), ("left",), ("left", "left")):
        with pytest.raises(SettingError, match="two names or more, each once"):
            open_walk(walk, motions=motions)
    with pytest.raises(SettingError, match=r"above 0 and finite; got 0\.0 and 4\.0"):
        open_walk(walk, metres=0)
    (walk / "a/f-2.pose.txt").write_text("1 2")
    with pytest.raises(DataError, match=r"a/f-2\.pose\.txt holds 2 numbers"):
        open_walk(walk)
    (walk / "a/f-2.pose.txt").unlink()
    with pytest.raises(DataError, match=r"'a/f-2\.color\.png' has no partner"):
        open_walk(walk)


def test_other_pairs_of_the_same_classes_are_other_examples(tmp_path, write):
    """Features are stored by the digest: 0.15 m ahead, then 0.3 m, then a turn, one pair of each
    class kept; the first pair counts only where 0.1 m is enough."""
    steps = (np.eye(4), shifted(z=0.15), shifted(z=0.3), turned(1, 10))
    pose = np.eye(4)
    for number, step in enumerate(steps):
        pose = pose @ step
        write(tmp_path / f"f-{number}.color.png", np.full((2, 3, 3), number, np.uint8))
        rows = "\n".join(" ".join(f"{x:.9f}" for x in row) for row in pose)
        (tmp_path / f"f-{number}.pose.txt").write_text(rows)
    options = {"motions": ("ahead", "turn-right"), "stride": 1, "balanced": True}
    near, far = (open_walk(tmp_path, metres=metres, **options) for metres in (0.1, 0.2))
    assert named(near) == named(far) == ["ahead", "turn-right"]
    assert shown(near) == [(0, 1), (2, 3)]
    assert shown(far) == [(1, 2), (2, 3)]
    assert near.digest != far.digest
