"""Batches of images and targets on the device, as a head is trained on them.

A task with a crop keeps each image's own resolution until the device cuts the crop out. Geometry is
the task's and belongs to training under every protocol; whether colours change is the protocol's.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int64, UInt8
from torch import Tensor

from vireo.data import Batch, Source, load_batches
from vireo.probe.augment import recolour
from vireo.probe.examples import Part, check_label
from vireo.probe.frozen import Frozen, to_device
from vireo.probe.joint_geometry import Geometry, draw, geometry_of, place_images, place_target
from vireo.records import Task


@dataclass(frozen=True, kw_only=True)
class Draws:
    """What seeds the augmentation of one epoch.

    Attributes:
        digest: of the run and its seed.
        recolour: whether images of dense tasks change their colours.
    """

    digest: str
    epoch: int
    recolour: bool


@dataclass(frozen=True, kw_only=True)
class PixelBatch:
    """Images and targets, on the device.

    Attributes:
        target, valid: as in `vireo.data.Batch`.
        index: rows of the examples in their source.
    """

    images: UInt8[Tensor, "batch frames 3 height width"]
    target: Tensor
    valid: Bool[Tensor, "..."] | None
    index: Int64[np.ndarray, " batch"]


def load_pixels(
    frozen: Frozen,
    part: Part,
    places: Int64[np.ndarray, " rows"],
    draws: Draws | None = None,
) -> Iterator[PixelBatch]:
    """Yield batches of the task's batch size over places of a part, in that order.

    Args:
        frozen: the task, its encoder and the device.
        part: of the data.
        places: in `part.rows`.
        draws: seeds of the augmentation; None means that images are resized and no more, which a
            task with a crop does not have (`whole_images`).
    """
    task, device = frozen.task, frozen.compute.torch_device
    assert draws is not None or task.crop is None, "a task with a crop is tested on whole images"
    geometry = geometry_of(task, frozen.size) if draws else None
    for batch in load(frozen, part.source, part.rows[places], resize=task.crop is None):
        assert batch.target is not None
        pixels = PixelBatch(
            images=to_device(batch.images, device),
            target=to_device(batch.target, device),
            valid=None if batch.valid is None else to_device(batch.valid, device),
            index=batch.index.numpy(),
        )
        if draws is not None and geometry is not None:
            pixels = _placed(pixels, geometry, _sizes(batch), draws)
        yield _recoloured(pixels, draws) if draws is not None and draws.recolour else pixels


def load(
    frozen: Frozen, source: Source, rows: Int64[np.ndarray, " rows"], *, resize: bool = True
) -> Iterator[Batch]:
    """Yield batches as the loader gives them, their codes checked."""
    batches = load_batches(
        source,
        size=frozen.size,
        target=frozen.task.target,
        batch_size=frozen.task.batch_size,
        indices=rows.tolist(),
        workers=frozen.workers,
        ignore_index=frozen.task.ignore_index,
        resize=resize,
    )
    for batch in batches:
        assert batch.target is not None
        if not batch.target.is_floating_point():
            _check_codes(frozen.task, source, batch)
        yield batch


def _check_codes(task: Task, source: Source, batch: Batch) -> None:
    """Look for codes that are no class before they reach a kernel, where they crash a GPU."""
    assert batch.target is not None
    codes = batch.target
    if batch.valid is not None:
        codes = codes.masked_fill(~batch.valid, 0)
    if codes.amin() < 0 or codes.amax() >= task.outputs:
        for row, target in zip(batch.index.tolist(), batch.target.numpy(), strict=True):
            check_label(task, source, row, target)


def _sizes(batch: Batch) -> Int64[np.ndarray, "batch 2"]:
    if batch.sizes is not None:
        return batch.sizes.numpy()
    return np.tile(np.array(batch.images.shape[-2:], dtype=np.int64), (len(batch.images), 1))


def _placed(
    pixels: PixelBatch, geometry: Geometry, sizes: Int64[np.ndarray, "batch 2"], draws: Draws
) -> PixelBatch:
    assert pixels.valid is not None, "geometry is for targets that are maps"
    placed = draw(geometry, pixels.index, sizes, digest=draws.digest, epoch=draws.epoch)
    target, valid = place_target(pixels.target, pixels.valid, placed)
    return PixelBatch(
        images=place_images(pixels.images, placed), target=target, valid=valid, index=pixels.index
    )


def _recoloured(pixels: PixelBatch, draws: Draws) -> PixelBatch:
    """Change colours, those of an example's frames alike: they are matched by their brightness."""
    images, frames = pixels.images, pixels.images.shape[1]
    flat = recolour(
        images.flatten(0, 1),
        np.repeat(pixels.index, frames),
        digest=draws.digest,
        epoch=draws.epoch,
    )
    return PixelBatch(
        images=flat.view(-1, frames, *flat.shape[1:]),
        target=pixels.target,
        valid=pixels.valid,
        index=pixels.index,
    )
