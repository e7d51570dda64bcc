"""Examples of one or two frames in lists, as the study's authors published them.

A list states the names of an example's images below the folder, and its label.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np
from jaxtyping import UInt8

from vireo import files
from vireo.catalog import unknown
from vireo.data.decode import decode_image
from vireo.data.sources.codes import digest_integers, encode_labels
from vireo.data.sources.listing import (
    Entry,
    fingerprint,
    inside,
    list_files,
    open_folder,
    read,
)
from vireo.data.sources.source import Source, Target
from vireo.errors import DataError, SettingError, StoreError

Example = tuple[tuple[str, ...], str]
"""The names of the images, and the label."""
_STEPS_END = "_rgb.jpg"
_NUSCENES_KEYS = ("img_a", "img_b", "label")


@dataclass(frozen=True, kw_only=True)
class Layout:
    """How a list is written.

    Attributes:
        examples: takes the folder and the list's path, returns the examples in order.
        target: what the label is.
        group: takes the name of an example's first image, returns its room or drive.
    """

    examples: Callable[[Path, Path], Sequence[Example]]
    target: str
    group: Callable[[str], str]


@final
class FrameListSource(Source):
    """The examples of one list.

    Args:
        root: the folder; `$VARIABLES` are expanded.
        file: the list, below the folder.
        layout: how it is written, a name of `LAYOUTS`.
        class_names: of the codes, in order; if empty, the labels sorted.

    Raises:
        DataError: the list or an image is missing, a line is broken, a label is none of the names.
        SettingError: no such layout.
    """

    def __init__(
        self, *, root: str | Path, file: str, layout: str, class_names: Sequence[str] = ()
    ) -> None:
        if layout not in LAYOUTS:
            raise SettingError(unknown(layout, LAYOUTS, "layout of a list"))
        self._folder = open_folder(root)
        path = inside(self._folder, file)
        examples = LAYOUTS[layout].examples(self._folder, path)
        if not examples:
            raise DataError(f"{path} lists no example; get the file again.")
        self._names = [names for names, _ in examples]
        self._labels, self.class_names = encode_labels(
            [label for _, label in examples],
            class_names,
            lambda place: f"The label of example {place} ({examples[place][0][0]}) of {path}",
        )
        self.name, self.targets = self._folder.name, (LAYOUTS[layout].target,)
        self.groups = tuple(LAYOUTS[layout].group(names[0]) for names in self._names)
        self.digest = fingerprint(
            [_entry(self._folder, path, name) for names in self._names for name in names],
            layout,
            digest_integers(self._labels),
            self.class_names,
        )

    def __len__(self) -> int:
        """Return the number of examples."""
        return len(self._names)

    def frames(self, index: int) -> tuple[UInt8[np.ndarray, "height width 3"], ...]:
        """Decode the images of one example, in the list's order."""
        paths = [inside(self._folder, name) for name in self._names[index]]
        return tuple(decode_image(read(path), str(path)) for path in paths)

    def target(self, index: int, name: str) -> Target:
        """Return the class code or the count."""
        if name not in self.targets:
            raise DataError(unknown(name, self.targets, f"target of {self._folder}"))
        return int(self._labels[index])

    def label(self, index: int) -> str:
        """Return the name of the first image."""
        return self._names[index][0]


def _entry(folder: Path, file: Path, name: str) -> Entry:
    if name.startswith("/") or ".." in name.split("/"):
        raise DataError(f"{file} names '{name}', which leads outside {folder}; refused.")
    try:
        return Entry(name, (folder / name).stat().st_size)
    except OSError as error:
        raise DataError(
            f"{file} names '{name}', but {folder} has no such file ({error.strerror}); the images "
            "are not all there, unpack them again."
        ) from error


def _thor_steps(folder: Path, file: Path) -> Sequence[Example]:
    """Read "path steps" for the images path_rgb.jpg below the folder of the list's part.

    The released reader takes the images that are there and looks their labels up.
    """
    steps = dict(_pairs(file))
    part = file.name.removesuffix("_labels.txt")
    found = list_files(folder / part, (_STEPS_END,))
    names = [f"{part}/{entry.name}" for entry in found]
    for name in names:
        if name.removesuffix(_STEPS_END) not in steps:
            raise DataError(f"{folder}/{name} has no line in {file}; get the archive again.")
    return [((name,), steps[name.removesuffix(_STEPS_END)]) for name in names]


def _thor_actions(folder: Path, file: Path) -> Sequence[Example]:
    """Read "stem action" for the images stem_rgb_a.jpg and stem_rgb_b.jpg."""
    return [((f"{stem}_rgb_a.jpg", f"{stem}_rgb_b.jpg"), action) for stem, action in _pairs(file)]


def room_of(name: str) -> str:
    """Return the folder of a frame, which is its room; a frame beside others stands for itself.

    Example:
        >>> room_of("train/FloorPlan3/0001_rgb.jpg"), room_of("train/0001_rgb.jpg")
        ('train/FloorPlan3', 'train/0001_rgb.jpg')
    """
    folder = name.rpartition("/")[0]
    return folder if "/" in folder else name


def drive_of(name: str) -> str:
    """Return the drive that nuScenes names its images after; its scenes of 20 s follow each other.

    Example:
        >>> drive_of("samples/CAM_FRONT/n015-2018-07-24-11-22-45+0800__CAM_FRONT__1532402927.jpg")
        'n015-2018-07-24-11-22-45+0800'
    """
    return name.rpartition("/")[2].partition("__")[0]


def _nuscenes(folder: Path, file: Path) -> Sequence[Example]:
    """Read a JSON array of objects with img_a, img_b and label."""
    values = read_json(file)
    if not isinstance(values, list):
        raise DataError(f"{file} must be an array; it is a {type(values).__name__}.")
    return [_nuscenes_example(value, place, file) for place, value in enumerate(values)]


def _nuscenes_example(value: Any, place: int, file: Path) -> Example:
    found = [value.get(key) for key in _NUSCENES_KEYS] if isinstance(value, Mapping) else []
    if not found or not all(isinstance(text, str) for text in found):
        keys = ", ".join(_NUSCENES_KEYS)
        raise DataError(f"Entry {place} of {file} must have the texts {keys}; got {value!r:.200}.")
    first, second, label = found
    return (str(first), str(second)), str(label)


def _pairs(file: Path) -> list[tuple[str, str]]:
    try:
        lines = read(file).decode().splitlines()
    except UnicodeDecodeError as error:
        raise DataError(f"{file} is not UTF-8 text ({error.reason}); get it again.") from error
    found = []
    for number, line in enumerate(lines, start=1):
        words = line.split()
        if len(words) != 2:
            raise DataError(f"Line {number} of {file} must be a name and a label; got '{line}'.")
        found.append((words[0], words[1]))
    return found


def read_json(path: Path) -> Any:
    """Read a JSON file of a dataset.

    Raises:
        DataError: it is missing or not JSON.
    """
    try:
        return files.read_json(path)
    except (StoreError, OSError) as error:
        raise DataError(f"{path} cannot be read as JSON; get it again ({error}).") from error


LAYOUTS = {
    "nuscenes": Layout(examples=_nuscenes, target="class", group=drive_of),
    "thor-actions": Layout(examples=_thor_actions, target="class", group=room_of),
    "thor-steps": Layout(examples=_thor_steps, target="count", group=room_of),
}
