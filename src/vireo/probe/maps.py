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

from vireo.data import Batch, Source, load_batches
from vireo.devices import Compute
from vireo.encoders.encoder import Encoder, Features
from vireo.features import encode
from vireo.probe.augment import recolour
from vireo.probe.examples import Part, check_label, input_size
from vireo.records import EncoderCard, ProbeSettings, Task
from vireo.store.blocks import FeatureStore, take
from vireo.tasks.checks import head_of
from vireo.tasks.geometry import map_size

Choice = Literal["cached", "recomputed"]

CACHE_BYTES = 2 << 30
"""Maps of a task larger than this are not kept."""
_FLOPS_A_BYTE = 10
"""An encoder that takes fewer operations than this for each byte of its maps is run again."""


def plan_features(card: EncoderCard, task: Task, num_images: int, protocol: str) -> Choice:
    """Say whether the maps of `num_images` are kept or computed anew for every batch.

    The paper's protocol changes colours in every epoch, so there is nothing to keep. Otherwise maps
    are kept if all fit into 2 GiB and computing them costs more than reading them.
    """
    bytes_each = map_bytes(card, task)
    if protocol == "paper" or bytes_each * num_images > CACHE_BYTES:
        return "recomputed"
    return "cached" if flops_each(card, task) >= _FLOPS_A_BYTE * bytes_each else "recomputed"


def map_bytes(card: EncoderCard, task: Task) -> int:
    """Return the bytes of one image's maps that the task's head reads, in float16.

    Where a network rounds sizes down, its maps may have a row or column less than counted here.
    """
    size = input_size(card, task)
    strides = card.native_strides or card.strides
    areas = {tap: map_size(size, strides[tap]) for tap in head_of(task).taps(card)}
    return sum(2 * card.channels[tap] * rows * columns for tap, (rows, columns) in areas.items())


def flops_each(card: EncoderCard, task: Task) -> int:
    """Return the encoder's operations on one image at the task's size, in proportion to area."""
    height, width = input_size(card, task)
    return card.flops * height * width // (card.input_size[0] * card.input_size[1])


@dataclass(frozen=True, kw_only=True)
class Frozen:
    """An encoder at work: what every supply of its features needs to know.

    Attributes:
        encoder: frozen, on the device of `compute`.
    """

    encoder: Encoder
    task: Task
    settings: ProbeSettings
    store: FeatureStore
    compute: Compute
    workers: int

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of images."""
        return input_size(self.encoder.card, self.task)


@dataclass(frozen=True, kw_only=True)
class MapBatch:
    """Features and targets of a batch, on the device.

    Attributes:
        index: rows of the examples in their source.
    """

    frames: tuple[Features, ...]
    target: Tensor
    valid: Bool[Tensor, "..."]
    index: Int64[np.ndarray, " batch"]


class Maps(ABC):
    """A supply of features and targets of one part of the data."""

    part: Part

    @abstractmethod
    def batches(
        self, order: Int64[np.ndarray, " rows"], recolouring: tuple[str, int] | None = None
    ) -> Iterator[MapBatch]:
        """Yield batches of the task's batch size over places of the part, in `order`.

        Args:
            order: places in `part.rows`.
            recolouring: digest and epoch that seed the augmentation; None means none.
        """


def open_maps(frozen: Frozen, part: Part, choice: Choice) -> Maps:
    """Return the supply of a part by the planned choice."""
    return Cached(frozen, part) if choice == "cached" else Recomputed(frozen, part)


class Recomputed(Maps):
    """Images are decoded and go through the encoder for every batch."""

    def __init__(self, frozen: Frozen, part: Part) -> None:
        self._frozen, self.part = frozen, part

    def batches(
        self, order: Int64[np.ndarray, " rows"], recolouring: tuple[str, int] | None = None
    ) -> Iterator[MapBatch]:
        """Decode, change colours if asked, and encode."""
        frozen = self._frozen
        device = frozen.compute.torch_device
        for batch in _load(frozen, self.part.source, self.part.rows[order]):
            index = batch.index.numpy()
            images = _to(batch.images[:, 0], device)
            if recolouring is not None:
                digest, epoch = recolouring
                images = recolour(images, index, digest=digest, epoch=epoch)
            assert batch.target is not None
            assert batch.valid is not None
            yield MapBatch(
                frames=(_features(frozen, images),),
                target=_to(batch.target, device),
                valid=_to(batch.valid, device),
                index=index,
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
            store=frozen.store,
            split=part.split,
            compute=frozen.compute,
            workers=frozen.workers,
        )
        self._blocks = {tap: blocks[f"map{tap + 1}"] for tap in self._taps}
        loaded = list(_load(frozen, part.source, part.rows))
        self._target = torch.cat([_compact(batch) for batch in loaded])
        self._valid = torch.cat([batch.valid for batch in loaded if batch.valid is not None])

    def batches(
        self, order: Int64[np.ndarray, " rows"], recolouring: tuple[str, int] | None = None
    ) -> Iterator[MapBatch]:
        """Gather rows."""
        assert recolouring is None, "maps that are kept have the colours they were computed with"
        device, size = self._frozen.compute.torch_device, self._frozen.task.batch_size
        for first in range(0, len(order), size):
            places = order[first : first + size]
            index = self.part.rows[places]
            target = _to(self._target[torch.from_numpy(places)], device)
            yield MapBatch(
                frames=(self._gather(index, device),),
                target=target if target.is_floating_point() else target.long(),
                valid=_to(self._valid[torch.from_numpy(places)], device),
                index=index,
            )

    def _gather(self, index: Int64[np.ndarray, " batch"], device: torch.device) -> Features:
        found = {
            tap: _to(torch.from_numpy(take(block, index)[:, 0]), device).float()
            for tap, block in self._blocks.items()
        }
        unread = torch.empty(len(index), 0, 0, 0, device=device)
        maps = (found.get(tap, unread) for tap in range(5))
        layout = self._frozen.compute.memory_format
        pooled = torch.empty(len(index), 0, device=device)
        return Features(pooled, tuple(m.contiguous(memory_format=layout) for m in maps))


def _load(frozen: Frozen, source: Source, rows: Int64[np.ndarray, " rows"]) -> Iterator[Batch]:
    batches = load_batches(
        source,
        size=frozen.size,
        target=frozen.task.target,
        batch_size=frozen.task.batch_size,
        indices=rows.tolist(),
        workers=frozen.workers,
        ignore_index=frozen.task.ignore_index,
    )
    for batch in batches:
        assert batch.target is not None
        assert batch.valid is not None
        if not batch.target.is_floating_point():
            _check_codes(frozen.task, source, batch)
        yield batch


def _check_codes(task: Task, source: Source, batch: Batch) -> None:
    """Look for codes that are no class before they reach a kernel, where they crash a GPU."""
    assert batch.target is not None
    assert batch.valid is not None
    codes = batch.target.masked_fill(~batch.valid, 0)
    if codes.amin() < 0 or codes.amax() >= task.outputs:
        for row, target in zip(batch.index.tolist(), batch.target.numpy(), strict=True):
            check_label(task, source, row, target)


def _compact(batch: Batch) -> Tensor:
    """Codes in one or two bytes, for there are as many as pixels; void, not read, becomes 0."""
    assert batch.target is not None
    assert batch.valid is not None
    if batch.target.is_floating_point():
        return batch.target
    return batch.target.masked_fill(~batch.valid, 0).to(torch.int16)


def _features(frozen: Frozen, images: Tensor) -> Features:
    with torch.no_grad(), frozen.compute.autocast():
        layout = frozen.compute.memory_format
        pixels = frozen.encoder.normalise(images).contiguous(memory_format=layout)
        features: Features = frozen.encoder.backbone(pixels, True)
    return features


def _to(tensor: Tensor, device: torch.device) -> Tensor:
    """Copy without waiting, through pinned memory, where the device is a GPU."""
    if device.type == "cuda":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor
