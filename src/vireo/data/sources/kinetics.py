"""Kinetics: clips of several frames in order, from videos, or from frames that lie in files.

Videos lie as torchvision has them, `train/CLASS/NAME.mp4` and `val/...`. Frames lie as the study's
released code has them: the publisher's `annotations/train.json` and `validate.json`, and
`train/ID[:2]/ID_*.jpg` and `validate/...`. That code takes any six of a clip's frames in the order
of the disk, then sorts; here they are spread evenly over the clip.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, final

import numpy as np
from jaxtyping import UInt8

from vireo import console
from vireo.catalog import unknown
from vireo.data.decode import decode_image
from vireo.data.sources.codes import digest_integers, encode_labels
from vireo.data.sources.frame_lists import read_json
from vireo.data.sources.listing import Entry, fingerprint, list_files, open_folder, read
from vireo.data.sources.source import Source, Target
from vireo.data.sources.videos import VIDEOS, read_frames, spread
from vireo.errors import DataError, SettingError

_PARTS = {"train": "train", "val": "validate"}

Clip = tuple[tuple[Entry, ...], str]
"""The files of a clip (its frames in order, or one video), and its class."""


@final
class KineticsSource(Source):
    """Clips and the action they show.

    Args:
        root: the folder; `$VARIABLES` are expanded.
        part: "train" or "val".
        num_frames: of an example, spread evenly over the clip. Clips of fewer are left out.
        class_names: of the codes; if empty, the classes that are there, sorted.

    Raises:
        DataError: nothing to read, or an annotation that is broken.
        SettingError: no such part, or fewer than one frame.
    """

    def __init__(
        self,
        *,
        root: str | Path,
        part: str,
        num_frames: int = 6,
        class_names: Sequence[str] = (),
    ) -> None:
        if part not in _PARTS:
            raise SettingError(unknown(part, _PARTS, "part of Kinetics"))
        if num_frames < 1:
            raise SettingError(f"A clip must have at least 1 frame; got {num_frames}.")
        self._folder, self._num_frames = open_folder(root), num_frames
        listed = self._folder / "annotations" / f"{_PARTS[part]}.json"
        clips = (
            _frame_clips(self._folder, _PARTS[part], listed, num_frames)
            if listed.is_file()
            else _video_clips(self._folder, part)
        )
        self._clips = [entries for entries, _ in clips]
        self._labels, self.class_names = encode_labels(
            [label for _, label in clips],
            class_names,
            lambda place: f"The class of '{clips[place][0][0].name}'",
        )
        self.name, self.targets = self._folder.name, ("class",)
        entries = [entry for clip in self._clips for entry in clip]
        labels = digest_integers(self._labels)
        self.digest = fingerprint(entries, "kinetics", num_frames, labels, self.class_names)

    def __len__(self) -> int:
        """Return the number of clips."""
        return len(self._clips)

    def frames(self, index: int) -> tuple[UInt8[np.ndarray, "height width 3"], ...]:
        """Decode the frames of one clip, first to last."""
        paths = [self._folder / entry.name for entry in self._clips[index]]
        if paths[0].suffix.lower() in VIDEOS:
            return read_frames(paths[0], self._num_frames)
        return tuple(decode_image(read(path), str(path)) for path in paths)

    def target(self, index: int, name: str) -> Target:
        """Return the class code."""
        if name not in self.targets:
            raise DataError(unknown(name, self.targets, f"target of {self._folder}"))
        return int(self._labels[index])

    def label(self, index: int) -> str:
        """Return the name of the video, or of the first frame."""
        return self._clips[index][0].name


def _video_clips(folder: Path, part: str) -> list[Clip]:
    entries = list_files(open_folder(folder / part), VIDEOS)
    beside = [entry.name for entry in entries if "/" not in entry.name]
    if beside:
        raise DataError(f"{folder}/{part}/{beside[0]} is in no class folder; move it into one.")
    return [
        ((Entry(f"{part}/{name}", size),), name.partition("/")[0].replace("_", " "))
        for name, size in entries
    ]


def _frame_clips(folder: Path, part: str, listed: Path, count: int) -> list[Clip]:
    labels = _annotations(listed)
    frames = _frames_of(folder, part, labels)
    whole = {name: found for name, found in sorted(frames.items()) if len(found) >= count}
    if not whole:
        raise DataError(
            f"No clip of {listed} has {count} frames in {folder / part}; extract the frames."
        )
    if len(whole) < len(labels):
        console.warn(
            f"{len(labels) - len(whole)} of the {len(labels)} clips of {listed} have fewer than "
            f"{count} frames in {folder / part} and are left out."
        )
    return [(_chosen(found, count), labels[name]) for name, found in whole.items()]


def _frames_of(folder: Path, part: str, clips: Mapping[str, str]) -> dict[str, list[Entry]]:
    """Return the frames of each clip: of files ID_*, where ID may hold underscores itself."""
    frames: dict[str, list[Entry]] = {name: [] for name in clips}
    lengths = sorted({len(name) for name in clips}, reverse=True)
    for name, size in list_files(open_folder(folder / part)):
        base = name.rpartition("/")[2]
        starts = (base[:length] for length in lengths if base[length : length + 1] == "_")
        clip = next((start for start in starts if start in frames), None)
        if clip is not None:
            frames[clip].append(Entry(f"{part}/{name}", size))
    return frames


def _chosen(frames: list[Entry], count: int) -> tuple[Entry, ...]:
    ordered = sorted(frames, key=lambda entry: _by_number(entry.name))
    return tuple(ordered[place] for place in spread(len(ordered), count))


def _by_number(name: str) -> list[tuple[int, str]]:
    """Return a key that sorts "_2" before "_10"."""
    words = re.findall(r"[0-9]+|[^0-9]+", name)
    return [(int(word), "") if word[0] in "0123456789" else (-1, word) for word in words]


def _annotations(listed: Path) -> dict[str, str]:
    values = read_json(listed)
    if not isinstance(values, Mapping):
        raise DataError(
            f"{listed} must be an object; it is a {type(values).__name__}. Get it again."
        )
    return {str(name): _label(value, str(name), listed) for name, value in values.items()}


def _label(value: Any, name: str, listed: Path) -> str:
    annotations = value.get("annotations") if isinstance(value, Mapping) else None
    label = annotations.get("label") if isinstance(annotations, Mapping) else None
    if not isinstance(label, str):
        raise DataError(f"The clip '{name}' of {listed} has no annotations.label; get it again.")
    return label
