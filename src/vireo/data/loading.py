"""Examples to batches for probing and analysis: decode, resize, stack. Nothing here is random.

One rule of resizing, whatever the engine, worker count or machine: images by Pillow's antialiased
bilinear filter on 8-bit pixels, aspect not kept; label codes and depths by the nearest pixel
centre; what has the size already is not touched. Pillow's filter is integer arithmetic and so gives
the same bytes on every machine, which the keys of stored features rely on; torch's 8-bit kernels
are chosen by processor.
"""

import contextlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from vireo.data.batch import Batch
from vireo.data.sources.source import Source, Target
from vireo.data.workers import load_items
from vireo.errors import DataError, VireoError

Size = tuple[int, int]


def load_batches(  # noqa: PLR0913
    source: Source,
    *,
    size: Size,
    target: str | None,
    batch_size: int,
    indices: Sequence[int] | None = None,
    workers: int = 0,
    ignore_index: int = 255,
) -> Iterator[Batch]:
    """Yield every example once, in the order of `indices`, the last batch as it is.

    The kind of a target follows from its array: an integer is a class or count, integers in two
    dimensions a mask, floating point in two dimensions a depth map. Images are stored channels
    last.

    Args:
        source: of the examples.
        size: height and width of all images and dense targets.
        target: which target; None for images alone.
        batch_size: examples a batch.
        indices: which examples; None for all.
        workers: processes that decode; 0 decodes here.
        ignore_index: mask code that is not valid.

    Raises:
        DataError: a file is missing or broken (the same sentence with and without workers), or a
            worker died.
    """
    order = list(range(len(source))) if indices is None else [int(index) for index in indices]
    batches = _Batches(source, order, size, target, batch_size, ignore_index)
    if workers == 0 or len(batches) < 2:
        return (batches.load(number) for number in range(len(batches)))
    return _load_in_workers(batches, min(workers, len(batches)))


def resize_image(
    image: UInt8[np.ndarray, "_ _ 3"], size: Size
) -> UInt8[np.ndarray, "height width 3"]:
    """Resize to `size` (height, width) by the rule of this module."""
    if image.shape[:2] == size:
        return image
    height, width = size
    return np.array(Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR))


def resize_nearest(values: np.ndarray, size: Size) -> np.ndarray:
    """Take, for each pixel of `size`, the value whose pixel holds its centre."""
    rows, columns = (
        (np.arange(new) * 2 + 1) * old // (2 * new)
        for new, old in zip(size, values.shape, strict=True)
    )
    nearest: np.ndarray = values[rows[:, None], columns[None, :]]
    return nearest


@dataclass(frozen=True)
class _Batches(Dataset[Batch | VireoError]):
    """Batches by number; an error becomes a value, so that it survives the way out of a worker."""

    source: Source
    order: list[int]
    size: Size
    target: str | None
    batch_size: int
    ignore_index: int

    def __len__(self) -> int:
        return math.ceil(len(self.order) / self.batch_size)

    def __getitem__(self, number: int) -> Batch | VireoError:
        try:
            return self.load(number)
        except VireoError as error:
            return error

    def load(self, number: int) -> Batch:
        """Decode and stack one batch."""
        chosen = self.order[number * self.batch_size : (number + 1) * self.batch_size]
        decoded = [self.source.frames(index) for index in chosen]
        target, valid = self._targets(chosen, [frames[0].shape for frames in decoded])
        return Batch(
            images=self._stack(chosen, decoded),
            target=target,
            valid=valid,
            index=torch.tensor(chosen, dtype=torch.int64),
        )

    def _stack(
        self, chosen: list[int], decoded: list[tuple[UInt8[np.ndarray, "_ _ 3"], ...]]
    ) -> UInt8[Tensor, "batch frames 3 height width"]:
        num_frames = len(decoded[0])
        images = np.empty((len(chosen), num_frames, *self.size, 3), dtype=np.uint8)
        for place, frames in enumerate(decoded):
            if len(frames) != num_frames:
                raise DataError(
                    f"'{self.source.label(chosen[place])}' has {len(frames)} frames where "
                    f"'{self.source.label(chosen[0])}' has {num_frames}; make them equal."
                )
            for number, frame in enumerate(frames):
                images[place, number] = resize_image(frame, self.size)
        return torch.from_numpy(images).permute(0, 1, 4, 2, 3)

    def _targets(
        self, chosen: list[int], shapes: list[tuple[int, ...]]
    ) -> tuple[Tensor | None, Tensor | None]:
        if self.target is None:
            return None, None
        found = [self.source.target(index, self.target) for index in chosen]
        if isinstance(found[0], np.ndarray) and found[0].ndim == 2:
            return self._dense(chosen, found, shapes)
        if not all(isinstance(value, int | np.integer) for value in found):
            raise DataError(
                f"Target '{self.target}' of '{self.source.label(chosen[0])}' must be a whole "
                f"number or a map of height x width; got {type(found[0]).__name__}."
            )
        return torch.tensor([int(value) for value in found], dtype=torch.int64), None

    def _dense(
        self, chosen: list[int], found: list[Target], shapes: list[tuple[int, ...]]
    ) -> tuple[Tensor, Tensor]:
        maps = [np.asarray(values) for values in found]
        for index, values, shape in zip(chosen, maps, shapes, strict=True):
            _check_aspect(values.shape, shape, f"'{self.target}' of '{self.source.label(index)}'")
        stacked = np.stack([resize_nearest(values, self.size) for values in maps])
        if np.issubdtype(stacked.dtype, np.floating):
            metres = torch.from_numpy(stacked.astype(np.float32))[:, None]
            return metres.nan_to_num(0.0, 0.0, 0.0), metres.isfinite()
        codes = torch.from_numpy(stacked.astype(np.int64))
        return codes, codes != self.ignore_index


def _load_in_workers(batches: _Batches, workers: int) -> Iterator[Batch]:
    # what a source reads once is read here, and shared with the workers by the fork
    batches.source.frames(batches.order[0])
    loaded = load_items(batches, range(len(batches)), workers=workers)
    with contextlib.closing(loaded):
        for batch in loaded:
            if isinstance(batch, VireoError):
                raise batch
            yield batch


def _check_aspect(dense: tuple[int, ...], image: tuple[int, ...], what: str) -> None:
    """Refuse a map that is not of the image's shape, as after turning one of the two."""
    (height, width), (rows, columns) = dense[:2], image[:2]
    if abs(height * columns - width * rows) > max(height * columns, width * rows) * 0.02:
        raise DataError(
            f"The target {what} is {width} x {height} but its image {columns} x {rows}: another "
            "shape, so they do not lie on each other; export them alike (a turned photograph?)."
        )
