"""Sequences of frames: which frames, in which order, of which class."""

import itertools
import math
from collections import Counter

import numpy as np
import pytest

from vireo.data.sources.frame_sequence import FrameSequenceSource
from vireo.errors import DataError, SettingError


@pytest.fixture
def film(tmp_path, write):
    """Two clips, whose frames are grey levels: 12 from 0, and 7 from 100. Names are not padded."""
    for clip, first, count in (("b/one", 0, 12), ("a/two", 100, 7)):
        for number in range(count):
            level = np.full((3, 4, 3), first + number, dtype=np.uint8)
            write(tmp_path / f"{clip}/frame-{number + 5}.color.png", level)
    return tmp_path


def levels(source, index):
    return [int(frame[0, 0, 0]) for frame in source.frames(index)]


def everything(source):
    return [levels(source, index) for index in range(len(source))]


def test_frames_follow_each_other_as_numbers_do(film):
    source = FrameSequenceSource(root=film, images="*.color.png", frames=3, stride=2)
    assert everything(source) == [[100, 102, 104], [0, 2, 4], [5, 7, 9]]
    assert source.targets == source.class_names == ()
    assert source.label(1) == "b/one/frame-5.color.png .. b/one/frame-9.color.png"
    close = FrameSequenceSource(root=film, frames=3, stride=2, every=1)
    expected = [[s, s + 2, s + 4] for s in (100, 101, 102, *range(8))]
    assert everything(close) == expected
    assert close.digest != source.digest


def test_a_single_frame_is_a_sequence(film):
    assert everything(FrameSequenceSource(root=film, images="a", frames=1, every=3)) == [
        [100],
        [103],
        [106],
    ]


@pytest.mark.parametrize(
    ("orders", "frames", "classes"),
    [
        ("reversal", 4, 2),
        ("permutation", 3, 6),
        ("permutation", 2, 2),
        ("permutation-either-way", 3, 3),
    ],
)
def test_the_order_is_the_target_and_every_block_has_each_once(film, orders, frames, classes):
    options = {"root": film, "frames": frames, "orders": orders}
    source = FrameSequenceSource(**options, every=1)
    again = FrameSequenceSource(**options, every=1)
    in_time = FrameSequenceSource(root=film, frames=frames, every=1)
    assert (source.targets, len(source.class_names)) == (("order",), classes)
    targets = [source.target(index, "order") for index in range(len(source))]
    assert targets == [again.target(index, "order") for index in range(len(source))]
    for start in range(0, len(source) - classes, classes):
        assert sorted(targets[start : start + classes]) == list(range(classes))
    for index, target in enumerate(targets):
        name = source.class_names[target]
        time = levels(in_time, index)
        if orders == "reversal":
            expected = time if name == "forward" else time[::-1]
        else:
            expected = [time[int(place) - 1] for place in name.split("-")]
        assert levels(source, index) == expected


def test_orders_and_their_reverses_are_as_many_as_they_should_be(film):
    for frames in (3, 4, 5):
        options = {"root": film, "images": "b", "frames": frames, "every": 1}
        full = FrameSequenceSource(**options, orders="permutation").class_names
        half = FrameSequenceSource(**options, orders="permutation-either-way").class_names
        every = {"-".join(p) for p in itertools.permutations("12345"[:frames])}
        assert set(full) == every
        assert len(half) == math.factorial(frames) // 2
        assert {*half, *(name[::-1] for name in half)} == every


def test_the_class_is_the_first_folder(film):
    source = FrameSequenceSource(root=film, frames=2, classes=True)
    assert (source.targets, source.class_names) == (("class",), ("a", "b"))
    codes = [source.target(index, "class") for index in range(len(source))]
    assert Counter(codes) == {0: 3, 1: 6}
    fixed = FrameSequenceSource(root=film, frames=2, classes=True, class_names=("z", "b", "a"))
    assert Counter(fixed.target(index, "class") for index in range(9)) == {2: 3, 1: 6}
    with pytest.raises(DataError, match=r"class folder of 'b/one/.*Unknown class 'b'"):
        FrameSequenceSource(root=film, frames=2, classes=True, class_names=("a", "c"))


def test_what_cannot_be_is_refused(film):
    with pytest.raises(DataError, match=r"for 7 frames 2 apart.*'b/one', has 12 frames"):
        FrameSequenceSource(root=film, frames=7, stride=2)
    with pytest.raises(DataError, match="'stride' must be at least 1; got 0"):
        FrameSequenceSource(root=film, stride=0)
    with pytest.raises(SettingError, match="Unknown choice for 'orders' 'reverse'"):
        FrameSequenceSource(root=film, orders="reverse")
    with pytest.raises(SettingError, match="needs 2 frames to 5; got 6"):
        FrameSequenceSource(root=film, frames=6, orders="permutation")
    with pytest.raises(SettingError, match="needs 3 frames to 5; got 2"):
        FrameSequenceSource(root=film, frames=2, orders="permutation-either-way")
    with pytest.raises(SettingError, match="needs 2 frames; got 1"):
        FrameSequenceSource(root=film, frames=1, orders="reversal")
    with pytest.raises(SettingError, match="leave out 'classes'"):
        FrameSequenceSource(root=film, orders="reversal", classes=True)
