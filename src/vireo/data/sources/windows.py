"""Folders of frames, and the short sequences that are cut out of them.

The frames of one folder are one clip, in the order of the numbers in their names: "frame-9.jpg"
comes before "frame-10.jpg", padded or not.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from vireo.errors import DataError


class Window(NamedTuple):
    """Some frames of one clip.

    Attributes:
        clip: folder of the frames, relative; "" where they lie at the top.
        keys: of the frames, in time.
    """

    clip: str
    keys: tuple[str, ...]


def split_clips(keys: Sequence[str]) -> Mapping[str, tuple[str, ...]]:
    """Group names by their folder, each group in the order of time, groups in order of name.

    Example:
        >>> split_clips(["b/10", "a/2", "b/9"])
        {'a': ('a/2',), 'b': ('b/9', 'b/10')}
    """
    clips: dict[str, list[str]] = {}
    for key in sorted(keys, key=_in_time):
        clips.setdefault(key.rpartition("/")[0], []).append(key)
    return {clip: tuple(clips[clip]) for clip in sorted(clips, key=_in_time)}


def windows(
    clips: Mapping[str, Sequence[str]], *, frames: int, stride: int, every: int
) -> list[Window]:
    """Return all sequences of `frames` frames, `stride` apart, that start `every` frames.

    Raises:
        DataError: a number is below 1, or every clip is too short.
    """
    for name, value in (("frames", frames), ("stride", stride), ("every", every)):
        if value < 1:
            raise DataError(f"'{name}' must be at least 1; got {value}.")
    found = list(_windows(clips, (frames - 1) * stride + 1, stride, every))
    if not found:
        longest = max(clips, key=lambda clip: len(clips[clip]))
        raise DataError(
            f"No clip is long enough for {frames} frames {stride} apart: the longest, "
            f"'{longest or '.'}', has {len(clips[longest])} frames; lower 'frames' or 'stride'."
        )
    return found


def _windows(
    clips: Mapping[str, Sequence[str]], span: int, stride: int, every: int
) -> Iterator[Window]:
    for clip, keys in clips.items():
        for start in range(0, len(keys) - span + 1, every):
            yield Window(clip, tuple(keys[start : start + span : stride]))


def _in_time(key: str) -> list[tuple[int, str]]:
    """Compare runs of digits as numbers; equal numbers, by how they are written."""
    parts = re.split(r"([0-9]+)", key)
    return [(int(part), part) if place % 2 else (0, part) for place, part in enumerate(parts)]
