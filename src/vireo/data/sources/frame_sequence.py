"""Sequences of frames out of folders: in time with the class of the clip, or out of order.

References:
    Misra et al., "Shuffle and Learn", ECCV 2016, and Lee et al., "Unsupervised Representation
    Learning by Sorting Sequences", ICCV 2017, for the order of frames as a task. The latter counts
    an order and its reverse as one class, since many motions look alike backwards.
"""

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import final

import numpy as np
from jaxtyping import UInt8

from vireo import seeding
from vireo.catalog import unknown
from vireo.data.decode import decode_image
from vireo.data.sources.codes import encode_labels
from vireo.data.sources.listing import fingerprint, open_folder, read
from vireo.data.sources.matching import find
from vireo.data.sources.source import Source, Target
from vireo.data.sources.windows import split_clips, windows
from vireo.errors import DataError, SettingError

Order = tuple[int, ...]

_ORDERS = ("time", "reversal", "permutation", "permutation-either-way")
_MOST_FRAMES = 5


@final
class FrameSequenceSource(Source):
    """Several frames of a clip an example; the frames of one folder are one clip.

    With `orders` the target is "order": in which of the orders the frames are given. Among as many
    examples that follow each other as there are orders, each occurs once, so that all parts of a
    dataset cut by time are balanced.

    Args:
        root: the folder; `$VARIABLES` are expanded.
        images: a folder or one-star pattern below the root (see `matching`); "" is the root.
        frames: how many an example has.
        stride: frames from one to the next.
        every: frames from the start of an example to that of the next; 0 means that examples share
            no frame.
        orders: "time" gives frames as they follow each other; "reversal" forward or backward;
            "permutation" any of the n! orders; "permutation-either-way" one of the n!/2 that are
            left where an order and its reverse are the same class.
        classes: the first folder of a clip is its class, the target "class".
        class_names: fixes the codes of "class".

    Raises:
        DataError: there are no frames or too few, or a class is unknown.
        SettingError: an unknown order, or orders of clips in classes.
    """

    def __init__(  # noqa: PLR0913
        self,
        *,
        root: str | Path,
        images: str = "",
        frames: int = 2,
        stride: int = 1,
        every: int = 0,
        orders: str = "time",
        classes: bool = False,
        class_names: Sequence[str] = (),
    ) -> None:
        self._folder = open_folder(root)
        self._orders = _orders(orders, frames)
        self._files = find(self._folder, images)
        every = every or (frames - 1) * stride + 1
        clips = split_clips(list(self._files))
        self._windows = windows(clips, frames=frames, stride=stride, every=every)
        self.name = self._folder.name
        self.targets: tuple[str, ...] = ()
        self.class_names: tuple[str, ...] = ()
        if classes and orders != "time":
            raise SettingError(f"'orders' = '{orders}' shuffles frames; leave out 'classes'.")
        if classes:
            self._set_classes(class_names)
        elif orders != "time":
            self.targets = ("order",)
            self.class_names = _names(orders, self._orders)
        facts = (frames, stride, every, orders, classes, self.class_names)
        entries = [self._files[key] for clip in clips.values() for key in clip]
        self.digest = fingerprint(entries, "frame-sequence", *facts)

    def __len__(self) -> int:
        """Return the number of sequences."""
        return len(self._windows)

    def frames(self, index: int) -> tuple[UInt8[np.ndarray, "height width 3"], ...]:
        """Decode the frames of one example, in its order."""
        keys = self._windows[index].keys
        paths = [self._folder / self._files[keys[place]].name for place in self._order(index)]
        return tuple(decode_image(read(path), str(path)) for path in paths)

    def target(self, index: int, name: str) -> Target:
        """Return the order of the frames, or the class of the clip."""
        if name not in self.targets:
            raise DataError(unknown(name, self.targets, f"target of {self._folder}"))
        return self._draw(index) if name == "order" else int(self._codes[index])

    def label(self, index: int) -> str:
        """Return the names of the earliest and the last frame."""
        keys = self._windows[index].keys
        return f"{self._files[keys[0]].name} .. {self._files[keys[-1]].name}"

    def _set_classes(self, class_names: Sequence[str]) -> None:
        def where(place: int) -> str:
            return f"In {self._folder}, the class folder of '{self.label(place)}'"

        labels = [window.clip.partition("/")[0] for window in self._windows]
        self.targets = ("class",)
        self._codes, self.class_names = encode_labels(labels, class_names, where)

    def _order(self, index: int) -> Order:
        return self._orders[self._draw(index)]

    def _draw(self, index: int) -> int:
        block, place = divmod(index, len(self._orders))
        draws = seeding.generator("frame-sequence", "order", 0, block).permutation(
            len(self._orders)
        )
        return int(draws[place])


def _orders(kind: str, frames: int) -> tuple[Order, ...]:
    if kind not in _ORDERS:
        raise SettingError(unknown(kind, _ORDERS, "choice for 'orders'"))
    forward = tuple(range(frames))
    if kind == "time":
        return (forward,)
    most = frames if kind == "reversal" else _MOST_FRAMES
    fewest = 3 if kind == "permutation-either-way" else 2
    if not fewest <= frames <= most:
        raise SettingError(
            f"'orders' = '{kind}' needs {fewest} frames{f' to {most}' if most == 5 else ''}; got "
            f"{frames}."
        )
    if kind == "reversal":
        return (forward, forward[::-1])
    everything = itertools.permutations(forward)
    either_way = kind == "permutation-either-way"
    return tuple(order for order in everything if not either_way or order[0] < order[-1])


def _names(kind: str, orders: tuple[Order, ...]) -> tuple[str, ...]:
    if kind == "reversal":
        return ("forward", "backward")
    return tuple("-".join(str(place + 1) for place in order) for order in orders)
