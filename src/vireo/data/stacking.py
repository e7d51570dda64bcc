"""Decoded examples to the tensors of a batch: one rule of resizing, one of padding, for all kinds.

Whatever the engine, worker count or machine: images are resized by Pillow's antialiased bilinear
filter on 8-bit pixels, aspect not kept; label codes, depths and flow by the nearest pixel centre;
what has the size already is not touched. Pillow's filter is integer arithmetic and so gives the
same bytes on every machine, which the keys of stored features rely on; torch's 8-bit kernels are
chosen by processor. A flow that is resized points as far in the new pixels as it did in the old.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Int64, UInt8
from PIL import Image
from torch import Tensor

from vireo.data.sources.source import Target
from vireo.errors import DataError

Size = tuple[int, int]
Frames = tuple[UInt8[np.ndarray, "_ _ 3"], ...]

_KINDS = ((0, "iub"), (0, "f"), (1, "f"), (2, "iub"), (2, "f"), (3, "f"))
"""Dimensions of a target, and the kinds of its numbers as NumPy abbreviates them."""


def resize_image(
    image: UInt8[np.ndarray, "_ _ 3"], size: Size
) -> UInt8[np.ndarray, "height width 3"]:
    """Resize to `size` (height, width) by the rule of this module."""
    if image.shape[:2] == size:
        return image
    height, width = size
    return np.array(Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR))


def resize_nearest(values: np.ndarray, size: Size) -> np.ndarray:
    """Take, for each pixel of `size`, the value whose pixel holds its centre.

    Args:
        values: [..., height, width].
        size: the new height and width.
    """
    rows, columns = (
        (np.arange(new) * 2 + 1) * old // (2 * new)
        for new, old in zip(size, values.shape[-2:], strict=True)
    )
    nearest: np.ndarray = values[..., rows[:, None], columns[None, :]]
    return nearest


@dataclass(frozen=True, kw_only=True)
class Stack:
    """The examples of one batch, decoded.

    Attributes:
        labels: their names, for messages.
        frames: of each.
        size: height and width that all are resized to; None keeps each at its own and pads at the
            right and below, black and never valid, to the largest.
        ignore_index: mask code that is not valid.
    """

    labels: tuple[str, ...]
    frames: tuple[Frames, ...]
    size: Size | None
    ignore_index: int

    def images(self) -> UInt8[Tensor, "batch frames 3 height width"]:
        """Stack the frames, channels last in memory.

        Raises:
            DataError: an example has another number of frames than the first.
        """
        num_frames = len(self.frames[0])
        images = np.zeros((len(self.frames), num_frames, *self._canvas(), 3), dtype=np.uint8)
        for place, frames in enumerate(self.frames):
            if len(frames) != num_frames:
                raise DataError(
                    f"'{self.labels[place]}' has {len(frames)} frames where '{self.labels[0]}' has "
                    f"{num_frames}; make them equal."
                )
            for number, frame in enumerate(frames):
                fitted = frame if self.size is None else resize_image(frame, self.size)
                height, width = fitted.shape[:2]
                images[place, number, :height, :width] = fitted
        return torch.from_numpy(images).permute(0, 1, 4, 2, 3)

    def sizes(self) -> Int64[Tensor, "batch 2"]:
        """Return the height and width of each first frame within its padding."""
        return torch.tensor([self._size_of(frames) for frames in self.frames])

    def target(
        self, name: str, values: Sequence[Target]
    ) -> tuple[Tensor, Bool[Tensor, "..."] | None]:
        """Stack one target of the examples; see `Batch` for the shapes.

        Raises:
            DataError: a value is of no known kind, of another kind or length than the first, or a
                map that is not of its image's shape.
        """
        named = [f"'{name}' of '{label}'" for label in self.labels]
        arrays = _same_kind([np.asarray(value) for value in values], named)
        if arrays[0].ndim >= 2:
            return self._maps(arrays, named)
        if arrays[0].dtype.kind != "f":
            return torch.tensor([int(array) for array in arrays], dtype=torch.int64), None
        numbers = torch.from_numpy(np.stack(arrays).astype(np.float32).reshape(len(arrays), -1))
        return _masked(numbers)

    def _maps(
        self, arrays: list[np.ndarray], named: list[str]
    ) -> tuple[Tensor, Bool[Tensor, "..."]]:
        measured = arrays[0].dtype.kind == "f"
        channels = arrays[0].shape[:-2] if arrays[0].ndim == 3 else (1,) * measured
        shape = (len(arrays), *channels, *self._canvas())
        stacked = (
            np.full(shape, np.nan, dtype=np.float32)
            if measured
            else np.full(shape, self.ignore_index, dtype=np.int64)
        )
        for place, fitted in enumerate(self._fitted(arrays, named)):
            height, width = fitted.shape[-2:]
            stacked[place, ..., :height, :width] = fitted
        maps = torch.from_numpy(stacked)
        return _masked(maps) if measured else (maps, maps != self.ignore_index)

    def _fitted(self, arrays: list[np.ndarray], named: list[str]) -> Iterator[np.ndarray]:
        for array, frames, what in zip(arrays, self.frames, named, strict=True):
            seen, size = frames[0].shape[:2], self._size_of(frames)
            _check_aspect(array.shape[-2:], seen, what)
            resized = resize_nearest(array, size)
            if array.ndim == 3 and len(array) == 2 and size != seen:
                yield scale_flow(resized, size[0] / seen[0], size[1] / seen[1])
            else:
                yield resized

    def _size_of(self, frames: Frames) -> Size:
        height, width, _ = frames[0].shape
        return self.size or (height, width)

    def _canvas(self) -> Size:
        shapes = [frame.shape for frames in self.frames for frame in frames]
        return self.size or (max(shape[0] for shape in shapes), max(shape[1] for shape in shapes))


def scale_flow(flow: np.ndarray, height_ratio: float, width_ratio: float) -> np.ndarray:
    """Return what a flow [2, height, width] in pixels is in pixels of an image resized so."""
    ratios = np.array([width_ratio, height_ratio], dtype=np.float32)  # u lies along the width
    return flow * ratios[:, None, None]


def _masked(values: Tensor) -> tuple[Tensor, Bool[Tensor, "..."]]:
    """Mark as valid where all numbers of the second axis are finite; the others become 0."""
    valid = values.isfinite().all(dim=1, keepdim=True)
    return values.where(valid, 0.0), valid


def _same_kind(arrays: list[np.ndarray], named: list[str]) -> list[np.ndarray]:
    """Refuse values of no kind, and values that differ in kind or in their number of channels."""
    first = _kind(arrays[0])
    for array, what in zip(arrays, named, strict=True):
        if _kind(array) is None:
            raise DataError(
                f"The target {what} must be a number, several floating point numbers, or a map of "
                f"[height, width] or floating point [channels, height, width]; got {_say(array)}."
            )
        if _kind(array) != first:
            raise DataError(
                f"The target {what} is {_say(array)}, but {named[0]} is {_say(arrays[0])}; make "
                "them alike."
            )
    return arrays


def _kind(array: np.ndarray) -> tuple[int, str, tuple[int, ...]] | None:
    """Return dimensions, sort of numbers, and what of the shape all examples share."""
    shared = array.shape[:-2] if array.ndim >= 2 else array.shape
    kinds = ((*kind, shared) for kind in _KINDS)
    return next((k for k in kinds if array.ndim == k[0] and array.dtype.kind in k[1]), None)


def _say(array: np.ndarray) -> str:
    return f"{array.dtype} of shape {list(array.shape)}" if array.ndim else str(array.dtype)


def _check_aspect(dense: tuple[int, ...], image: tuple[int, ...], what: str) -> None:
    """Refuse a map that is not of the image's shape, as after turning one of the two."""
    (height, width), (rows, columns) = dense, image
    if abs(height * columns - width * rows) > max(height * columns, width * rows) * 0.02:
        raise DataError(
            f"The target {what} is {width} x {height} but its image {columns} x {rows}: another "
            "shape, so they do not lie on each other; export them alike (a turned photograph?)."
        )
