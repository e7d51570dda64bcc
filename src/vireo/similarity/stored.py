"""What is kept of each block: its features where they are few, else its folded Gram matrix.

Both are blocks of the feature store, found by weights, preprocessing and images. So an encoder is
encoded once, whatever it is compared with; one that is added later costs only itself; and after a
crash the blocks that are there are not computed again. They may be deleted at any time.
"""

import contextlib
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Float64, UInt8
from torch import Tensor

from vireo import console
from vireo.devices import Compute
from vireo.encoders.encoder import Encoder
from vireo.errors import DataError, NoSpaceError
from vireo.similarity import gram
from vireo.similarity.blocks import Block, run_blocks
from vireo.similarity.costs import is_kept_as_features, stored_bytes
from vireo.similarity.passes import Pass, Slice, capacity, plan_passes
from vireo.similarity.settings import GIB, Member, SimilaritySettings
from vireo.store.blocks import FeatureStore, Writer

_BATCH = 64
_ROWS = 256
_GIGA = 10**9

Pixels = UInt8[Tensor, "n 3 side side"]


def missing_blocks(member: Member, store: FeatureStore) -> list[Block]:
    """Return the blocks of which nothing is kept, or nothing that is whole."""
    return [block for block in member.blocks if store.sound(member.keys[block.name]) is None]


def check_disk(blocks: Sequence[Block], n: int, root: Path) -> None:
    """Refuse what will not fit on the disk before anything is computed.

    Raises:
        NoSpaceError: how much is needed and how much is free.
    """
    needed = sum(stored_bytes(n, block.width) for block in blocks)
    there = next(folder for folder in (root, *root.absolute().parents) if folder.is_dir())
    free = shutil.disk_usage(there).free
    if needed > free:
        raise NoSpaceError(
            f"{len(blocks)} blocks of {n} images need {needed / GIB:.1f} GiB on {there},"
            f" {free / GIB:.1f} are free. Free some, take fewer images, pooled features, or the"
            " estimator 'minibatch', which keeps nothing."
        )


class Keeper:
    """Computes and stores the blocks of one encoder.

    Args:
        encoder: frozen.
        pixels: the images.
        store: where the blocks go.
    """

    def __init__(
        self,
        encoder: Encoder,
        member: Member,
        pixels: Pixels,
        *,
        store: FeatureStore,
        compute: Compute,
    ) -> None:
        encoder.to(compute.torch_device, memory_format=compute.memory_format)  # type: ignore[call-overload]
        self._encoder, self._member, self._pixels = encoder, member, pixels
        self._store, self._compute = store, compute
        self._n = len(pixels)

    def keep(self, blocks: Sequence[Block], settings: SimilaritySettings) -> None:
        """Store `blocks`, in as many passes over the images as memory asks for.

        Raises:
            SettingError: the memory is too small for this number of images.
            DataError: features that are not finite.
            StoreError: the disk is full.
        """
        self._pooled = settings.pooled
        wide = [block for block in blocks if not is_kept_as_features(self._n, block.width)]
        passes = plan_passes(self._n, blocks, capacity(self._n, settings) if wide else 0)
        work = sum(map(self._flops, passes))
        with console.progress(f"{self._member.name}, GFLOP", round(work / _GIGA)) as bar:
            self._work = _Work(bar)
            upper = None
            for one in passes:
                upper = self._run(one, upper)

    def _run(self, one: Pass, upper: Tensor | None) -> Tensor | None:
        """Make one pass; `upper` is the Gram matrix of a block that an earlier one began."""
        buffers = [self._empty(self._n, part.stop - part.start) for part in one.slices]
        with contextlib.ExitStack() as stack:
            writers = {
                block.name: stack.enter_context(self._writer(block, (self._n, block.width)))
                for block in one.kept
            }
            self._collect(one, buffers, writers)
        for part, buffer in zip(one.slices, buffers, strict=True):
            upper = self._add(part, buffer, upper)
        return upper

    def _collect(self, one: Pass, buffers: Sequence[Tensor], writers: Mapping[str, Writer]) -> None:
        for start in range(0, self._n, _BATCH):
            images = self._pixels[start : start + _BATCH].to(self._compute.torch_device)

            def take(
                block: Block, features: Float[Tensor, "batch width"], start: int = start
            ) -> None:
                if block.name in writers:
                    check_finite(features, self._member.name, block.name)
                    writers[block.name].append(features.cpu().numpy())
                for part, buffer in zip(one.slices, buffers, strict=True):
                    if part.block is block:
                        columns = features[:, part.start : part.stop]
                        buffer[start : start + len(features)] = columns

            read_batch(
                self._encoder, images, one.blocks, take, compute=self._compute, pooled=self._pooled
            )
            self._work.done(self._forward_flops(one) * len(images))

    def _add(self, part: Slice, buffer: Tensor, upper: Tensor | None) -> Tensor | None:
        """Add the products of a slice to its block's Gram matrix; store it when it is whole."""
        if upper is None:
            upper = torch.zeros(self._n, self._n, dtype=torch.float64, device=buffer.device)
        for columns in torch.split(buffer, gram.CHUNK, dim=1):
            gram.add_columns(upper, columns)
            self._work.done(self._n**2 * columns.shape[1])
        if not part.is_last:
            return upper
        gram.centre(upper)
        check_finite(upper, self._member.name, part.block.name)
        rows = gram.num_rows(self._n)
        with self._writer(part.block, (rows, self._n + 1)) as writer:
            for start in range(0, rows, _ROWS):
                folded = gram.fold(upper, start, min(start + _ROWS, rows))
                writer.append(folded.float().cpu().numpy())
        return None

    def _writer(
        self, block: Block, shape: tuple[int, ...]
    ) -> contextlib.AbstractContextManager[Writer]:
        return self._store.write(self._member.keys[block.name], shape, "float32")

    def _empty(self, *shape: int) -> Tensor:
        return torch.empty(shape, dtype=torch.float32, device=self._compute.torch_device)

    def _flops(self, one: Pass) -> int:
        columns = sum(part.stop - part.start for part in one.slices)
        return self._n * (self._forward_flops(one) + self._n * columns)

    def _forward_flops(self, one: Pass) -> int:
        """Return about what an image costs: as deep as the pass goes, all blocks counted alike."""
        card, side = self._member.card, self._pixels.shape[-1]
        share = (self._member.blocks.index(one.blocks[-1]) + 1) / len(self._member.blocks)
        return int(share * card.flops * side**2 / (card.input_size[0] * card.input_size[1]))


class _Work:
    """A bar that moves by whole units, told of parts of them."""

    def __init__(self, bar: console.Bar) -> None:
        self._bar, self._flops, self._shown = bar, 0, 0

    def done(self, flops: int) -> None:
        self._flops += flops
        whole = self._flops // _GIGA
        self._bar.advance(whole - self._shown)
        self._shown = whole


def read_batch(
    encoder: Encoder,
    images: UInt8[Tensor, "batch 3 side side"],
    blocks: Sequence[Block],
    take: Callable[[Block, Tensor], None],
    *,
    compute: Compute,
    pooled: bool,
) -> None:
    """Give the blocks' features of a batch, on the device of `compute`, to `take`."""
    with torch.inference_mode(), compute.autocast():
        pixels = encoder.normalise(images.contiguous(memory_format=compute.memory_format))
        run_blocks(encoder.backbone, pixels, blocks, take, pooled=pooled)


def check_finite(values: Tensor, encoder: str, where: str) -> None:
    """Refuse features, or products of them, that are not finite.

    Raises:
        DataError: some are not.
    """
    if not bool(values.isfinite().all()):
        raise DataError(
            f"'{encoder}' gives features that are not finite in {where}. Check its mean and std,"
            " and compute in float32."
        )


class Kept:
    """Reads what is kept of one block, some rows at a time.

    Args:
        n: number of images.
    """

    def __init__(self, member: Member, block: Block, store: FeatureStore, n: int) -> None:
        array = store.find(member.keys[block.name])
        assert array is not None, f"{block.name} of {member.name} was not stored"
        self._array, self.width = array, block.width
        self.has_features = is_kept_as_features(n, block.width)
        self._mean = array.mean(axis=0, dtype=np.float64) if self.has_features else 0.0

    def folded_rows(self, start: int, stop: int) -> Float64[np.ndarray, "rows columns"]:
        """Return rows of the folded Gram matrix."""
        if not self.has_features:
            return self._array[start:stop].astype(np.float64)
        features = torch.from_numpy(self.feature_rows(0, len(self._array)))
        return gram.fold_features(features, start, stop).numpy()

    def feature_rows(self, start: int, stop: int) -> Float64[np.ndarray, "rows width"]:
        """Return the centred features of some images."""
        assert self.has_features
        return self._array[start:stop] - self._mean
