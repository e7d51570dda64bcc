"""EgoHands: outlines of hands to masks, and outlines that are broken or hostile."""

import contextlib
import io

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat
from scipy.io.matlab import MatlabObject
from tests import miniatures_pixels as miniatures

from vireo.data.datasets import egohands
from vireo.data.sources.egohands import HANDS, EgoHandsSource
from vireo.errors import DataError


def inside(corners, row, column) -> bool:
    """Whether a ray from one pixel's centre crosses the outline an odd number of times."""
    x, y, crossings = column + 1.0, row + 1.0, 0  # MATLAB counts pixels from 1
    for (x0, y0), (x1, y1) in zip(corners, [*corners[1:], corners[0]], strict=True):
        if (y0 > y) != (y1 > y) and x < x0 + (y - y0) / (y1 - y0) * (x1 - x0):
            crossings += 1
    return crossings % 2 == 1


def test_egohands_has_the_hand_whose_outline_a_pixel_lies_in(tmp_path):
    videos = ("CHESS_OFFICE_B_S", "CARDS_COURTYARD_H_S", "CHESS_OFFICE_S_B")
    truth = miniatures.egohands(tmp_path, videos, frames=2)
    source = EgoHandsSource(root=tmp_path, videos=videos[:2])
    assert [source.label(index).split("/")[1] for index in range(4)] == [
        video for video in videos[:2] for _ in range(2)
    ]
    assert source.class_names == egohands.CARD.class_names == ("background", *HANDS)
    for index in range(4):
        name = source.label(index)
        mask = source.target(index, "mask")
        assert mask.shape == source.frames(index)[0].shape[:2] == (36, 64)
        for row, column in np.ndindex(mask.shape):
            own_left, own_right, left, right = (
                len(corners) > 0 and inside(corners.tolist(), row, column)
                for corners in truth[name]
            )
            # the wearer's hands are in front
            expected = 2 if own_right else 1 if own_left else 3 if left else 4 if right else 0
            assert mask[row, column] == expected
    assert EgoHandsSource(root=tmp_path, videos=videos[1:]).digest != source.digest


def test_egohands_lists_divide_the_48_videos_evenly():
    assert len(set(egohands.VIDEOS)) == 48
    parts = (egohands.TRAIN, egohands.VAL, egohands.TEST)
    assert [len(part) for part in parts] == [36, 4, 8]
    assert sorted(video for part in parts for video in part) == sorted(egohands.VIDEOS)
    assert list(egohands.VIDEOS) == sorted(egohands.VIDEOS)
    games = [video.rsplit("_", 2)[0] for video in egohands.TEST]
    assert {game.split("_")[0] for game in games} == {"CARDS", "CHESS", "JENGA", "PUZZLE"}


HAND = np.array([[3.0, 3.0], [30.0, 3.0], [3.0, 30.0]])


def write_metadata(root, **changes):
    """One video of one frame with one hand, and what a test does to it."""
    fields = dict.fromkeys(miniatures.HAND_FIELDS, HAND)
    frame = {"frame_num": 5.0, **fields, **changes.get("frame", {})}
    labelled = miniatures.struct_array([frame], tuple(frame))
    video = {"video_id": "A", "labelled_frames": labelled, **changes.get("video", {})}
    miniatures.save(root / "_LABELLED_SAMPLES/A/frame_0005.jpg", np.zeros((9, 9, 3), np.uint8))
    value = miniatures.struct_array([video], tuple(video))
    savemat(root / "metadata.mat", {"video": changes.get("value", value)})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({}, ""),
        ({"value": np.ones((2, 2))}, "an array of numbers of shape"),
        ({"video": {"video_id": 3.0}}, "'video_id' .* not a text"),
        ({"video": {"labelled_frames": "none"}}, "'labelled_frames' .* not an array of structs"),
        ({"frame": {"frame_num": 5.5}}, "not one whole number"),
        ({"frame": {"frame_num": 6.0}}, "frame_0006.jpg, but there is no such file"),
        ({"frame": {"myleft": "left"}}, "'myleft' .* not numbers"),
        ({"frame": {"myleft": np.ones((3, 3))}}, r"'myleft' .* x and y .* shape \[3, 3\]"),
        ({"frame": {"yourleft": HAND * 1e9}}, "'yourleft' .* up to 3e"),
        ({"frame": {"yourright": HAND * np.nan}}, "'yourright' .* not finite"),
        ({"video": {"video_id": "../../etc"}}, "no such file"),
    ],
)
def test_outlines_that_are_not_as_published_are_refused(tmp_path, changes, message):
    write_metadata(tmp_path, **changes)
    if message:
        with pytest.raises(DataError, match=message):
            EgoHandsSource(root=tmp_path)
    else:
        assert len(EgoHandsSource(root=tmp_path)) == 1


@pytest.mark.parametrize("field", ["value", "frame"])
def test_matlab_objects_are_refused(tmp_path, field):
    plain = miniatures.struct_array([{"a": 1.0}], ("a",))
    thing = MatlabObject(plain, "handle")
    write_metadata(tmp_path, **{field: thing if field == "value" else {"myright": thing}})
    with pytest.raises(DataError, match="it holds an object"):
        EgoHandsSource(root=tmp_path)


def test_broken_and_missing_outlines_are_named(tmp_path):
    write_metadata(tmp_path)
    path = tmp_path / "metadata.mat"
    whole = path.read_bytes()
    with pytest.raises(DataError, match=r"Unknown video 'B'"):
        EgoHandsSource(root=tmp_path, videos=("B",))
    savemat(path, {"another": 1.0})
    with pytest.raises(DataError, match="no variable 'video'"):
        EgoHandsSource(root=tmp_path)
    hdf5 = b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\x00\x02IM"
    for content in (b"", b"<!doctype html>" * 20, whole[:200], whole[:-40], hdf5 + bytes(400)):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"metadata\.mat"):
            EgoHandsSource(root=tmp_path)
    path.unlink()
    with pytest.raises(DataError, match="outlines of the hands"):
        EgoHandsSource(root=tmp_path)


def test_damage_anywhere_in_the_outlines_is_a_data_error_or_harmless(tmp_path):
    write_metadata(tmp_path)
    path = tmp_path / "metadata.mat"
    whole, rng = path.read_bytes(), np.random.default_rng(7)
    for place in rng.integers(0, len(whole), 300):
        path.write_bytes(whole[:place] + bytes([rng.integers(256)]) + whole[place + 1 :])
        with contextlib.suppress(DataError):
            assert len(EgoHandsSource(root=tmp_path)) == 1


def test_images_that_are_no_images_are_named(tmp_path):
    write_metadata(tmp_path)
    buffer = io.BytesIO()
    Image.fromarray(np.zeros((9, 9, 3), np.uint8)).save(buffer, "JPEG")
    (tmp_path / "_LABELLED_SAMPLES/A/frame_0005.jpg").write_bytes(buffer.getvalue()[:300])
    with pytest.raises(DataError, match=r"frame_0005\.jpg"):
        EgoHandsSource(root=tmp_path).target(0, "mask")
    with pytest.raises(DataError, match="flavour"):
        EgoHandsSource(root=tmp_path).target(0, "flavour")
