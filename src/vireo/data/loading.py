"""Examples to batches for probing and analysis: decode, resize, stack. Nothing here is random."""

import contextlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch.utils.data import Dataset

from vireo.data.batch import Batch
from vireo.data.sources.source import Source
from vireo.data.stacking import Size, Stack
from vireo.data.workers import load_items
from vireo.errors import VireoError


def load_batches(  # noqa: PLR0913
    source: Source,
    *,
    size: Size,
    target: str | None,
    batch_size: int,
    indices: Sequence[int] | None = None,
    workers: int = 0,
    ignore_index: int = 255,
    resize: bool = True,
) -> Iterator[Batch]:
    """Yield every example once, in the order of `indices`, the last batch as it is.

    The kind of a target follows from its array: an integer is a class or count, floating point
    numbers are measures of the image; integers in two dimensions are a mask, floating point in two
    a depth map, in three [channels, height, width] of which two channels are a flow in pixels.
    Images are stored channels last.

    Args:
        source: of the examples.
        size: height and width of all images and dense targets, if they are resized.
        target: which target; None for images alone.
        batch_size: examples a batch.
        indices: which examples; None for all.
        workers: processes that decode; 0 decodes here.
        ignore_index: mask code that is not valid.
        resize: False keeps each image at its own resolution and pads images and targets at the
            right and below to the largest of the batch: black, and never valid.

    Raises:
        DataError: a file is missing or broken (the same sentence with and without workers), or a
            worker died.
    """
    order = list(range(len(source))) if indices is None else [int(index) for index in indices]
    batches = _Batches(source, order, size if resize else None, target, batch_size, ignore_index)
    if workers == 0 or len(batches) < 2:
        return (batches.load(number) for number in range(len(batches)))
    return _load_in_workers(batches, min(workers, len(batches)))


@dataclass(frozen=True)
class _Batches(Dataset[Batch | VireoError]):
    """Batches by number; an error becomes a value, so that it survives the way out of a worker."""

    source: Source
    order: list[int]
    size: Size | None
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
        stack = Stack(
            labels=tuple(self.source.label(index) for index in chosen),
            frames=tuple(self.source.frames(index) for index in chosen),
            size=self.size,
            ignore_index=self.ignore_index,
        )
        target, valid = None, None
        if self.target is not None:
            values = [self.source.target(index, self.target) for index in chosen]
            target, valid = stack.target(self.target, values)
        return Batch(
            images=stack.images(),
            target=target,
            valid=valid,
            index=torch.tensor(chosen, dtype=torch.int64),
            sizes=None if self.size else stack.sizes(),
        )


def _load_in_workers(batches: _Batches, workers: int) -> Iterator[Batch]:
    # what a source reads once is read here, and shared with the workers by the fork
    batches.source.frames(batches.order[0])
    loaded = load_items(batches, range(len(batches)), workers=workers)
    with contextlib.closing(loaded):
        for batch in loaded:
            if isinstance(batch, VireoError):
                raise batch
            yield batch
