"""EgoHands: frames of first-person videos, and the outlines of up to four hands in each.

The published archive has `_LABELLED_SAMPLES/VIDEO/frame_NNNN.jpg` and one `metadata.mat`, whose
struct array `video` has a `video_id` and a struct array `labelled_frames` of `frame_num` and the
corners of `myleft`, `myright`, `yourleft` and `yourright`, x and y, empty where a hand is not seen.

References:
    Bambach, Lee, Crandall, Yu 2015, Lending a hand: detecting hands and recognizing activities in
    complex egocentric interactions.
"""

import functools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, final

import numpy as np
from jaxtyping import Float64, UInt8

from vireo.catalog import unknown
from vireo.data.decode import decode_image
from vireo.data.sources.listing import Entry, fingerprint, list_files, open_folder, read
from vireo.data.sources.matlab import numbers_of, structs_of, text_of, whole_number_of
from vireo.data.sources.matlab_file import read_variable
from vireo.data.sources.polygons import inside_polygon
from vireo.data.sources.source import Source, Target
from vireo.digest import digest_file
from vireo.errors import DataError

HANDS = ("own left", "own right", "other's left", "other's right")
_FIELDS = ("myleft", "myright", "yourleft", "yourright")
_DRAWN = (4, 3, 1, 2)
"""Codes from back to front: the wearer's own hands are nearer to his camera."""
_SAMPLES = "_LABELLED_SAMPLES"
_FARTHEST = 1e6
_PIXEL_ONE = 1.0
"""MATLAB's coordinate of the first pixel's centre."""

Corners = Float64[np.ndarray, "_ 2"]


class _Frame(NamedTuple):
    """A labelled frame: its file, and the corners of each hand in the order of `HANDS`."""

    entry: Entry
    hands: tuple[Corners, ...]


@final
class EgoHandsSource(Source):
    """Frames with a mask: 0 for background, then `HANDS`.

    Args:
        root: the unpacked archive; `$VARIABLES` are expanded.
        videos: names of the videos to take, in this order; empty means all.

    Raises:
        DataError: the file of outlines is missing or not as published, a video is not in it, or a
            frame that it lists is not there.
    """

    def __init__(self, *, root: str | Path, videos: Sequence[str] = ()) -> None:
        self._folder = open_folder(root)
        outlines = self._folder / "metadata.mat"
        if not outlines.is_file():
            raise DataError(f"There is no {outlines}, the outlines of the hands; unpack it there.")
        found = {
            f"{_SAMPLES}/{name}": Entry(f"{_SAMPLES}/{name}", size)
            for name, size in list_files(open_folder(self._folder / _SAMPLES), (".jpg",))
        }
        contents = digest_file(outlines)
        labelled = _labelled_frames(outlines, contents, videos)
        self._frames = [_found(frame, found, outlines) for frame in labelled]
        self.name = self._folder.name
        self.targets = ("mask",)
        self.class_names = ("background", *HANDS)
        self._sizes: dict[int, tuple[int, int]] = {}
        entries = [frame.entry for frame in self._frames]
        self.digest = fingerprint(entries, "egohands", contents)

    def __len__(self) -> int:
        """Return the number of frames."""
        return len(self._frames)

    def frames(self, index: int) -> tuple[UInt8[np.ndarray, "height width 3"], ...]:
        """Decode one frame."""
        path = self._folder / self._frames[index].entry.name
        image = decode_image(read(path), str(path))
        height, width, _ = image.shape
        self._sizes[index] = (height, width)
        return (image,)

    def target(self, index: int, name: str) -> Target:
        """Fill the outlines of one frame."""
        if name not in self.targets:
            raise DataError(unknown(name, self.targets, f"target of {self._folder}"))
        if index not in self._sizes:
            self.frames(index)
        mask = np.zeros(self._sizes[index], dtype=np.uint8)
        for code in _DRAWN:
            corners = self._frames[index].hands[code - 1] - _PIXEL_ONE
            mask[inside_polygon(corners, mask.shape)] = code
        return mask

    def label(self, index: int) -> str:
        """Return the frame's name relative to the folder."""
        return self._frames[index].entry.name


def _labelled_frames(outlines: Path, contents: str, wanted: Sequence[str]) -> Iterator[_Frame]:
    videos = _videos(outlines, contents)
    for name in wanted or sorted(videos):
        if name not in videos:
            raise DataError(f"{outlines}: {unknown(name, videos, 'video')}")
        where = f"Video {name} in {outlines}"
        for number, frame in enumerate(
            structs_of(videos[name], ("frame_num", *_FIELDS), f"'labelled_frames' of {where}")
        ):
            yield _frame(name, frame, f"labelled frame {number + 1} of {where}")


@functools.lru_cache(maxsize=1)  # it takes a second, and a study opens every split many times
def _videos(outlines: Path, contents: str) -> Mapping[str, Any]:
    """Return the labelled frames of each video; `contents` is a hash of the file."""
    structs = structs_of(
        read_variable(outlines, "video"), ("video_id", "labelled_frames"), f"{outlines}: 'video'"
    )
    where = f"A 'video_id' of {outlines}"
    return {text_of(video["video_id"], where): video["labelled_frames"] for video in structs}


def _frame(video: str, frame: Any, where: str) -> _Frame:
    number = whole_number_of(frame["frame_num"], f"'frame_num' of {where}")
    hands = tuple(_corners(frame[field], f"'{field}' of {where}") for field in _FIELDS)
    return _Frame(Entry(f"{_SAMPLES}/{video}/frame_{number:04d}.jpg", 0), hands)


def _corners(value: Any, where: str) -> Corners:
    corners = numbers_of(value, where)
    if not corners.size:
        return np.zeros((0, 2))
    if corners.ndim != 2 or corners.shape[1] != 2 or (np.abs(corners) > _FARTHEST).any():
        raise DataError(
            f"{where} must be the x and y of corners in pixels; got an array of shape "
            f"{list(corners.shape)} up to {np.abs(corners).max():g}. Download metadata.mat again."
        )
    return corners


def _found(frame: _Frame, found: dict[str, Entry], outlines: Path) -> _Frame:
    name = frame.entry.name
    if name not in found:
        raise DataError(
            f"{outlines} has outlines of {name}, but there is no such file beside it; unpack the "
            "whole archive."
        )
    return _Frame(found[name], frame.hands)
