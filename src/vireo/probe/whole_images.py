"""Answers for images at their own resolution: in one piece, or in overlapping windows.

A task with a crop is trained on crops and tested on whole images, every one of its pixels once.
Images are not padded to each other: padding would reach into means and convolutions. An image goes
through in one piece where the memory it takes, computed from sizes alone, is within a bound; else
in windows of the crop's size, placed evenly, each overlapping the next by a third at least, whose
predictions (logits, metres, pixels of flow) are averaged. A plain transformer always has windows:
its positions belong to the grid it is trained on, and attention grows with the square of it. A
window larger than the image is padded at the right and below, as crops are in training, and what
is answered there is cut off.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64, UInt8
from torch import Tensor
from torch.nn import functional as F

from vireo.data import Batch
from vireo.encoders.pyramid import is_plain
from vireo.probe.examples import Part
from vireo.probe.frozen import Frozen, features_of, to_device
from vireo.probe.pixels import load
from vireo.records import EncoderCard, Task
from vireo.tasks.heads import Head

PIECE_BYTES = 4 << 30
"""Images that take more are answered in windows."""
_COPIES = 4
"""Of every map in float32 while a layer works: its input and output, and the decoder's."""

Images = UInt8[Tensor, "batch frames 3 height width"]


@dataclass(frozen=True, kw_only=True)
class Predicted:
    """What heads predict for images of one size, on the device.

    Attributes:
        predictions: of each head, float32 [batch, outputs, height, width].
        index: rows of the examples in their source.
    """

    predictions: tuple[Tensor, ...]
    target: Tensor
    valid: Bool[Tensor, "..."]
    index: Int64[np.ndarray, " batch"]


def predict_whole(
    frozen: Frozen, part: Part, heads: Sequence[Head], places: Int64[np.ndarray, " rows"]
) -> Iterator[Predicted]:
    """Yield every head's predictions for places of a part, in their order.

    Neighbours of one size go through together, as many as the bound on memory allows.
    """
    assert frozen.task.crop is not None
    device, most = frozen.compute.torch_device, piece_pixels(frozen.encoder.card, frozen.task)
    for batch in load(frozen, part.source, part.rows[places], resize=False):
        for alike, (height, width) in _alike(batch, most):
            assert batch.target is not None
            assert batch.valid is not None
            images = to_device(batch.images[alike, :, :, :height, :width].contiguous(), device)
            yield Predicted(
                predictions=tuple(predict(frozen, heads, images)),
                target=to_device(batch.target[alike, ..., :height, :width].contiguous(), device),
                valid=to_device(batch.valid[alike, ..., :height, :width].contiguous(), device),
                index=batch.index[alike].numpy(),
            )


def piece_pixels(card: EncoderCard, task: Task) -> int:
    """Return how many pixels the bound on memory allows at once: of one image, or of several."""
    strides = card.native_strides or card.strides
    taps = sum(c / stride**2 for c, stride in zip(card.channels, strides, strict=True))
    floats = task.frames * (3 + taps) + task.outputs
    return int(PIECE_BYTES // (4 * _COPIES * floats))


def predict(frozen: Frozen, heads: Sequence[Head], images: Images) -> list[Tensor]:
    """Return each head's predictions for images of one size, float32."""
    card, (height, width) = frozen.encoder.card, images.shape[-2:]
    plain = is_plain(card.native_strides or card.strides)
    if plain or height * width > piece_pixels(card, frozen.task):
        return predict_windows(frozen, heads, images)
    return predict_piece(frozen, heads, images)


def predict_piece(frozen: Frozen, heads: Sequence[Head], images: Images) -> list[Tensor]:
    """Return each head's predictions, the images going through in one piece."""
    height, width = images.shape[-2:]
    frames = features_of(frozen, images)
    with frozen.compute.autocast():
        return [head(frames, (height, width)).float() for head in heads]


def predict_windows(frozen: Frozen, heads: Sequence[Head], images: Images) -> list[Tensor]:
    """Return each head's predictions, averaged over the windows that a pixel is in."""
    assert frozen.task.crop is not None
    (rows, columns), (height, width) = frozen.task.crop, images.shape[-2:]
    padded = F.pad(images, (0, max(0, columns - width), 0, max(0, rows - height)))
    size, device = padded.shape[-2:], images.device
    totals = [torch.zeros(len(images), frozen.task.outputs, *size, device=device) for _ in heads]
    tops, lefts = window_starts(size[0], rows), window_starts(size[1], columns)
    for top, left in itertools.product(tops, lefts):
        window = (..., slice(top, top + rows), slice(left, left + columns))
        for total, answer in zip(totals, predict_piece(frozen, heads, padded[window]), strict=True):
            total[window] += answer
    times = _times(tops, rows, size[0])[:, None] * _times(lefts, columns, size[1])
    return [(total / times.to(device))[..., :height, :width] for total in totals]


def window_starts(length: int, side: int) -> list[int]:
    """Return where windows of `side` begin along an axis: evenly, a third overlapping at least.

    Example:
        >>> window_starts(513, 513), window_starts(1024, 513)
        ([0], [0, 255, 511])
    """
    rest = length - side
    steps = min(rest, -(-3 * rest // (2 * side)))
    return [rest * step // steps for step in range(steps + 1)] if steps else [0]


def _times(starts: Sequence[int], side: int, length: int) -> Float[Tensor, " length"]:
    """Return how many windows each place of an axis is in."""
    times = torch.zeros(length)
    for start in starts:
        times[start : start + side] += 1
    return times


def _alike(batch: Batch, most: int) -> Iterator[tuple[slice, tuple[int, int]]]:
    """Yield runs of images of one size, and that size."""
    assert batch.sizes is not None
    first = 0
    for (height, width), run in itertools.groupby(map(tuple, batch.sizes.tolist())):
        last, step = first + len(list(run)), max(1, most // (height * width))
        for start in range(first, last, step):
            yield slice(start, min(start + step, last)), (height, width)
        first = last
