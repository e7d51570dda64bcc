"""Two frames of a camera that moves, and which way it moved, from its poses."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, final

import numpy as np
from jaxtyping import UInt8

from vireo.catalog import unknown
from vireo.data.decode import decode_image
from vireo.data.sources.codes import digest_integers
from vireo.data.sources.listing import EXTENSIONS, Entry, fingerprint, open_folder, read
from vireo.data.sources.matching import match
from vireo.data.sources.poses import MOTIONS, Pose, motion, motion_name, read_pose
from vireo.data.sources.source import Source, Target
from vireo.data.sources.windows import split_clips, windows
from vireo.errors import DataError, SettingError


class _Example(NamedTuple):
    first: str
    second: str
    code: int


@final
class CameraMotionSource(Source):
    """Pairs of frames with the target "egomotion": the largest part of the motion between them.

    A motion along an axis of the first camera is measured in units of `metres`, one around it in
    units of `degrees`; the largest decides, and below 1 the class is "none". A pair with a frame
    whose pose is not known is left out.

    Args:
        root: the folder; `$VARIABLES` are expanded. The frames of one folder are one clip.
        images, poses: folders or one-star patterns below the root (see `matching`), as
            "*.color.jpg" and "*.pose.txt" of 7-Scenes. A pose file holds a camera-to-world matrix,
            the camera's axes to the right, down and ahead.
        stride: frames from the first to the second.
        every: frames from one pair to the next.
        metres, degrees: the smallest motion that counts.
        motions: the classes, of `poses.MOTIONS`; others are not looked for. Without "none", pairs
            below the thresholds are left out.
        both_ways: every pair is taken backwards too, so that opposite motions are about equally
            many.
        balanced: keep of every class only as many pairs, evenly over time, as the rarest has.

    Raises:
        DataError: a file or partner is missing, a pose is none, or no pair is left.
        SettingError: an unknown motion, or a threshold that is not above 0.
    """

    def __init__(  # noqa: PLR0913
        self,
        *,
        root: str | Path,
        images: str,
        poses: str,
        stride: int = 10,
        every: int = 1,
        metres: int | float = 0.1,
        degrees: int | float = 4.0,
        motions: Sequence[str] = MOTIONS,
        both_ways: bool = False,
        balanced: bool = False,
    ) -> None:
        self._folder = open_folder(root)
        self.name, self.targets = self._folder.name, ("egomotion",)
        self.class_names = tuple(motions)
        self._metres, self._degrees = float(metres), float(degrees)
        _check(self.class_names, self._metres, self._degrees)
        matches = match(self._folder, (images, poses), (*EXTENSIONS, ".txt"))
        self._files = {found.key: found.entries[0] for found in matches}
        known = {found.key: self._pose(found.entries[1]) for found in matches}
        self._examples: list[_Example] = []
        for window in windows(split_clips(list(known)), frames=2, stride=stride, every=every):
            for first, second in (window.keys, window.keys[::-1])[: 1 + both_ways]:
                code = self._code(known[first], known[second])
                if code is not None:
                    self._examples.append(_Example(first, second, code))
        if balanced:
            self._examples = _balanced(self._examples, len(self.class_names))
        if not self._examples:
            raise DataError(
                f"No pair of frames of {self._folder} is left: none moves by {metres} m or "
                f"{degrees} degrees, or 'balanced' met a class without pairs; change 'stride', the "
                "thresholds or 'motions'."
            )
        codes = np.array([example.code for example in self._examples], dtype=np.int64)
        entries = [entry for found in matches for entry in found.entries]
        # the pairs themselves: other thresholds may choose others with the same codes
        pairs = [(example.first, example.second) for example in self._examples]
        facts = (pairs, self.class_names, digest_integers(codes))
        self.digest = fingerprint(entries, "camera-motion", *facts)

    def __len__(self) -> int:
        """Return the number of pairs."""
        return len(self._examples)

    def frames(self, index: int) -> tuple[UInt8[np.ndarray, "height width 3"], ...]:
        """Decode the two frames."""
        pair = self._examples[index][:2]
        paths = [self._folder / self._files[key].name for key in pair]
        return tuple(decode_image(read(path), str(path)) for path in paths)

    def target(self, index: int, name: str) -> Target:
        """Return the place of the motion in `class_names`."""
        if name not in self.targets:
            raise DataError(unknown(name, self.targets, f"target of {self._folder}"))
        return self._examples[index].code

    def label(self, index: int) -> str:
        """Return the names of the two frames."""
        first, second, _ = self._examples[index]
        return f"{self._files[first].name} to {self._files[second].name}"

    def _pose(self, entry: Entry) -> Pose | None:
        path = self._folder / entry.name
        return read_pose(read(path), str(path))

    def _code(self, first: Pose | None, second: Pose | None) -> int | None:
        if first is None or second is None:
            return None
        name = motion_name(
            motion(first, second),
            metres=self._metres,
            degrees=self._degrees,
            motions=self.class_names,
        )
        return None if name is None else self.class_names.index(name)


def _check(motions: tuple[str, ...], metres: float, degrees: float) -> None:
    for name in motions:
        if name not in MOTIONS:
            raise SettingError(unknown(name, MOTIONS, "motion"))
    if len(set(motions)) < max(len(motions), 2):
        raise SettingError(
            f"'motions' must be two names or more, each once; got {', '.join(motions) or 'none'}."
        )
    if not (0 < metres < math.inf and 0 < degrees < math.inf):
        raise SettingError(
            f"'metres' and 'degrees' must be above 0 and finite; got {metres} and {degrees}."
        )


def _balanced(examples: list[_Example], num_classes: int) -> list[_Example]:
    """Keep as many of each class as the rarest has, evenly spaced, in their order."""
    members = [[n for n, e in enumerate(examples) if e.code == code] for code in range(num_classes)]
    count = min(len(found) for found in members)
    kept = {found[place * len(found) // count] for found in members for place in range(count)}
    return [examples[number] for number in sorted(kept)]
