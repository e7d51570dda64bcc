"""CKA of sets that do not fit: the mean over batches of HSIC1, which is unbiased in each of them.

Nguyen et al. 2021 (minibatch CKA): HSIC1 of every pair of blocks is averaged over batches of the
images, then CKA is taken of the averages. Nothing is kept of the images, so any number of them goes
through in one pass, all encoders in turn on the same batch. Images are put into batches in a seeded
random order: a folder sorted by class would give batches of one class.

The sums are written down now and then; a run that was stopped goes on from there and gives the same
numbers.
"""

import functools
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float64, Int64, UInt8
from torch import Tensor

from vireo import console, files, seeding
from vireo.data import load_batches
from vireo.data.sources.source import Source
from vireo.devices import Compute
from vireo.encoders.encoder import Encoder
from vireo.similarity import gram
from vireo.similarity.blocks import Block
from vireo.similarity.cka import FEWEST, hsic, moments_of_folded
from vireo.similarity.settings import Member, SimilaritySettings
from vireo.similarity.stored import check_finite, read_batch

_BETWEEN_NOTES = 20

Matrix = Float64[Tensor, "blocks blocks"]


def even_batch_size(n: int, least: int) -> int:
    """Return the size from `least` on of which n images leave no rest, or at least half a batch.

    Example:
        >>> even_batch_size(1000, 256), even_batch_size(1030, 256), even_batch_size(100, 256)
        (256, 258, 100)
    """
    sizes = range(min(least, n), n + 1)
    return next(size for size in sizes if n % size == 0 or n % size >= max(FEWEST, size / 2))


def mean_hsic(
    members: Mapping[str, tuple[Member, Encoder]],
    source: Source,
    settings: SimilaritySettings,
    *,
    note: Path,
    compute: Compute,
    workers: int = 0,
) -> Matrix:
    """Return the mean HSIC1 of each pair of blocks, of all encoders; every image counts once.

    All encoders are held at once. The sums are written to `note` while it runs; who has stored the
    result removes it.

    Raises:
        DataError: features that are not finite.
    """
    for _, encoder in members.values():
        encoder.to(compute.torch_device, memory_format=compute.memory_format)  # type: ignore[call-overload]
    size = even_batch_size(len(source), settings.batch_size)
    order = batch_order(source)
    total, done = _read_note(note, sum(len(one.blocks) for one, _ in members.values()))
    with console.progress("all encoders, images", len(source), done) as bar:
        batches = load_batches(
            source,
            size=(settings.side, settings.side),
            target=None,
            batch_size=size,
            indices=[int(index) for index in order[done:]],
            workers=workers,
        )
        for number, batch in enumerate(batches, 1):
            images = batch.images[:, 0]
            total += len(images) * _hsic(members, images, settings, compute)
            done += len(images)
            bar.advance(len(images))
            if number % _BETWEEN_NOTES == 0:
                _write_note(note, total, done)
    return total / len(source)


def batch_order(source: Source) -> Int64[np.ndarray, " n"]:
    """Return the order in which images are put into batches."""
    return seeding.generator(source.digest, "minibatch CKA").permutation(len(source))


def _hsic(
    members: Mapping[str, tuple[Member, Encoder]],
    images: UInt8[Tensor, "batch 3 side side"],
    settings: SimilaritySettings,
    compute: Compute,
) -> Matrix:
    """Return HSIC1 of one batch; its small Gram matrices are made while the networks run."""
    stack: list[Tensor] = []
    for one, encoder in members.values():
        grams: list[Tensor] = []
        read_batch(
            encoder,
            images.to(compute.torch_device),
            one.blocks,
            functools.partial(_append, grams),
            compute=compute,
            pooled=settings.pooled,
        )
        check_finite(torch.stack(grams), one.name, "a batch")
        stack += grams
    moments = moments_of_folded([(0, torch.stack(stack))], len(images))
    return hsic(moments, "unbiased").cpu()


def _append(grams: list[Tensor], block: Block, features: Tensor) -> None:
    grams.append(gram.folded(features))


def _read_note(note: Path, blocks: int) -> tuple[Matrix, int]:
    if not note.is_file():
        return torch.zeros(blocks, blocks, dtype=torch.float64), 0
    with note.open("rb") as file, np.load(file, allow_pickle=False) as found:
        console.say(f"going on after {int(found['done'])} images")
        return torch.from_numpy(found["total"]), int(found["done"])


def _write_note(note: Path, total: Matrix, done: int) -> None:
    with files.atomic_writer(note) as file:
        np.savez(file, total=total.numpy(), done=np.array(done))
