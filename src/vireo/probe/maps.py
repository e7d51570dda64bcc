"""Where dense heads get their maps from: the store, or the encoder again for every batch.

The choice is made from sizes alone, so that a study that is resumed, or run on another machine,
makes it again. Stored maps are float16; computed ones have the encoder's precision. Both are as the
network has them: heads bring them to their strides.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Bool, Int64
from torch import Tensor

from vireo.data import Batch
from vireo.encoders.encoder import Features
from vireo.features import encode
from vireo.probe.augment import recolours
from vireo.probe.examples import Part, input_size
from vireo.probe.frozen import Frozen, features_of, to_device
from vireo.probe.joint_geometry import geometry_of
from vireo.probe.pixels import Draws, load, load_pixels
from vireo.records import EncoderCard, Task
from vireo.store.blocks import take
from vireo.tasks.checks import head_of
from vireo.tasks.geometry import map_size

__all__ = [
    "Choice",
    "Frozen",
    "MapBatch",
    "Maps",
    "flops_each",
    "map_bytes",
    "open_maps",
    "plan_features",
    "stored_outputs",
]

Choice = Literal["cached", "recomputed"]

CACHE_BYTES = 2 << 30
"""Maps of a task larger than this are not kept."""
_FLOPS_A_BYTE = 10
"""An encoder that takes fewer operations than this for each byte of its maps is run again."""


def plan_features(card: EncoderCard, task: Task, num_images: int, protocol: str) -> Choice:
    """Say whether the maps of `num_images` examples are kept or computed anew for every batch.

    Where colours or places change in every epoch there is nothing to keep. Otherwise maps are kept
    if all fit into 2 GiB and computing them costs more than reading them.
    """
    size, bytes_each = input_size(card, task), map_bytes(card, task)
    if recolours(protocol) or geometry_of(task, size):
        return "recomputed"
    if bytes_each * task.frames * num_images > CACHE_BYTES:
        return "recomputed"
    return "cached" if flops_each(card, task) >= _FLOPS_A_BYTE * bytes_each else "recomputed"


def stored_outputs(
    card: EncoderCard, task: Task, num_images: int, protocol: str
) -> tuple[str, ...]:
    """Return what a probe keeps of `num_images` examples: the pooled feature, maps, or nothing."""
    kind = head_of(task)
    if protocol == "fine-tune":
        return ()
    if not kind.dense:
        return ("pooled",)
    cached = plan_features(card, task, num_images, protocol) == "cached"
    return tuple(f"map{tap + 1}" for tap in kind.taps(card)) if cached else ()


def map_bytes(card: EncoderCard, task: Task) -> int:
    """Return the bytes of one image's maps that the task's head reads, in float16.

    Where a network rounds sizes down, its maps may have a row or column less than counted here.
    """
    size = input_size(card, task)
    strides = card.native_strides or card.strides
    areas = {tap: map_size(size, strides[tap]) for tap in head_of(task).taps(card)}
    return sum(2 * card.channels[tap] * rows * columns for tap, (rows, columns) in areas.items())


def flops_each(card: EncoderCard, task: Task) -> int:
    """Return the encoder's operations on one image at the task's size, in proportion to area.

    With a crop it is that of training; a whole image takes more.
    """
    height, width = task.crop or input_size(card, task)
    return card.flops * height * width // (card.input_size[0] * card.input_size[1])


@dataclass(frozen=True, kw_only=True)
class MapBatch:
    """Features and targets of a batch, on the device.

    Attributes:
        size: height and width of the images, and of the answer.
        index: rows of the examples in their source.
    """

    frames: tuple[Features, ...]
    size: tuple[int, int]
    target: Tensor
    valid: Bool[Tensor, "..."]
    index: Int64[np.ndarray, " batch"]


class Maps(ABC):
    """A supply of features and targets of one part of the data."""

    part: Part

    @abstractmethod
    def batches(
        self, order: Int64[np.ndarray, " rows"], draws: Draws | None = None
    ) -> Iterator[MapBatch]:
        """Yield batches of the task's batch size over places of the part, in `order`.

        Args:
            order: places in `part.rows`.
            draws: seeds of the augmentation; None means none.
        """


def open_maps(frozen: Frozen, part: Part, choice: Choice) -> Maps:
    """Return the supply of a part by the planned choice."""
    return Cached(frozen, part) if choice == "cached" else Recomputed(frozen, part)


class Recomputed(Maps):
    """Images are decoded and go through the encoder for every batch."""

    def __init__(self, frozen: Frozen, part: Part) -> None:
        self._frozen, self.part = frozen, part

    def batches(
        self, order: Int64[np.ndarray, " rows"], draws: Draws | None = None
    ) -> Iterator[MapBatch]:
        """Decode, augment if asked, and encode."""
        for pixels in load_pixels(self._frozen, self.part, order, draws):
            assert pixels.valid is not None
            with torch.no_grad():
                frames = features_of(self._frozen, pixels.images)
            height, width = pixels.images.shape[-2:]
            yield MapBatch(
                frames=frames,
                size=(height, width),
                target=pixels.target,
                valid=pixels.valid,
                index=pixels.index,
            )


class Cached(Maps):
    """Maps come from the store; targets are decoded once and held in memory."""

    def __init__(self, frozen: Frozen, part: Part) -> None:
        self._frozen, self.part = frozen, part
        self._taps = head_of(frozen.task).taps(frozen.encoder.card)
        blocks = encode(
            frozen.encoder,
            part.source,
            size=frozen.size,
            output=tuple(f"map{tap + 1}" for tap in self._taps),
            beside=frozen.beside,
            store=frozen.store,
            split=part.split,
            compute=frozen.compute,
            workers=frozen.workers,
        )
        self._blocks = {tap: blocks[f"map{tap + 1}"] for tap in self._taps}
        loaded = list(load(frozen, part.source, part.rows))
        self._target = torch.cat([_compact(batch) for batch in loaded])
        self._valid = torch.cat([batch.valid for batch in loaded if batch.valid is not None])

    def batches(
        self, order: Int64[np.ndarray, " rows"], draws: Draws | None = None
    ) -> Iterator[MapBatch]:
        """Gather rows."""
        task, device = self._frozen.task, self._frozen.compute.torch_device
        still = draws is None or (not draws.recolour and not geometry_of(task, self._frozen.size))
        assert still, "maps that are kept have the colours and places they were computed with"
        for first in range(0, len(order), task.batch_size):
            places = order[first : first + task.batch_size]
            index = self.part.rows[places]
            target = to_device(self._target[torch.from_numpy(places)], device)
            yield MapBatch(
                frames=self._gather(index, device),
                size=self._frozen.size,
                target=target if target.is_floating_point() else target.long(),
                valid=to_device(self._valid[torch.from_numpy(places)], device),
                index=index,
            )

    def _gather(
        self, index: Int64[np.ndarray, " batch"], device: torch.device
    ) -> tuple[Features, ...]:
        taken = {tap: take(block, index) for tap, block in self._blocks.items()}
        return tuple(
            self._frame({tap: rows[:, frame] for tap, rows in taken.items()}, device)
            for frame in range(self._frozen.task.frames)
        )

    def _frame(self, rows: dict[int, np.ndarray], device: torch.device) -> Features:
        batch, layout = len(next(iter(rows.values()))), self._frozen.compute.memory_format
        found = {
            tap: to_device(torch.from_numpy(np.ascontiguousarray(values)), device).float()
            for tap, values in rows.items()
        }
        unread = torch.empty(batch, 0, 0, 0, device=device)
        maps = (found.get(tap, unread) for tap in range(5))
        pooled = torch.empty(batch, 0, device=device)
        return Features(pooled, tuple(m.contiguous(memory_format=layout) for m in maps))


def _compact(batch: Batch) -> Tensor:
    """Codes in one or two bytes, for there are as many as pixels; void, not read, becomes 0."""
    assert batch.target is not None
    assert batch.valid is not None
    if batch.target.is_floating_point():
        return batch.target
    return batch.target.masked_fill(~batch.valid, 0).to(torch.int16)
