"""The one loop that pushes images through a frozen encoder, from the store where they were before.

Blocks are written while the pass runs, batch by batch, so maps larger than memory can be kept. The
pooled feature is kept in float32; maps, which are a hundred times larger, in float16.
"""

import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

import numpy as np

from vireo import console
from vireo.data.batch import Batch
from vireo.data.loading import load_batches
from vireo.data.sources.source import Source
from vireo.devices import Compute
from vireo.digest import digest
from vireo.encoders.encoder import Encoder
from vireo.encoders.pyramid import RULE
from vireo.encoders.weights import weights_digest
from vireo.errors import DataError, SettingError
from vireo.features.forward import DTYPES, run
from vireo.records import BlockKey, EncoderCard
from vireo.store.blocks import FeatureStore


def encode(  # noqa: PLR0913 - where from, where to, how: none of these follows from another
    encoder: Encoder,
    source: Source,
    *,
    size: tuple[int, int],
    output: Sequence[str] = ("pooled",),
    beside: Sequence[str] = (),
    store: FeatureStore | None,
    split: str,
    compute: Compute,
    batch_size: int = 64,
    workers: int = 0,
) -> dict[str, np.ndarray]:
    """Return features of every example of `source`, in its order.

    The encoder runs in evaluation mode and without gradients, and leaves as it came, on the
    device of `compute`. What is missing in the store is computed in one pass for all outputs. A
    pass that dies leaves nothing: its blocks are computed again.

    Args:
        encoder: the network; its weights as they are now decide the key, not its card.
        source: the examples.
        size: height and width images are resized to.
        output: any of "pooled", "map1" (shallow) to "map5" (deep).
        beside: more of these, which somebody asks for later: stored if a pass has to run anyway.
        store: where blocks are kept; None keeps the arrays in memory.
        split: name of the split, part of the key.
        compute: device and precision.
        batch_size: examples a batch; their frames are folded into it.
        workers: processes that decode images.

    Returns:
        For each output float32 [n, frames, dim], or float16 [n, frames, channels, height, width]
        for a map; memory-mapped where they are stored.

    Raises:
        SettingError: an unknown output.
        DataError: an empty source, an unreadable image, or features that are not finite.
        StoreError: a stored block that is not one of ours; one that changed is computed again.
    """
    names = [*dict.fromkeys((*output, *beside))] if store else output
    keys = block_keys(encoder, source, size=size, output=names, split=split, compute=compute)
    found = {name: _stored(store, keys[name]) for name in output}
    if any(block is None for block in found.values()):
        if not len(source):
            raise DataError(f"'{source.name}' has no examples in '{split}'; check its folder.")
        found |= {name: _stored(store, keys[name]) for name in names if name not in found}
        missing = {name: keys[name] for name, block in found.items() if block is None}
        batches = load_batches(
            source, size=size, target=None, batch_size=batch_size, workers=workers
        )
        title = f"{encoder.card.name} on {source.name} {split}"
        watched = _watch(batches, title, len(source))
        results = run(encoder, watched, tuple(missing), compute)
        found |= _collect(results, missing, len(source), store)
    return {name: block for name in output if (block := found[name]) is not None}


def _stored(store: FeatureStore | None, key: BlockKey) -> np.ndarray | None:
    return store.sound(key) if store else None


def block_keys(
    encoder: Encoder,
    source: Source,
    *,
    size: tuple[int, int],
    output: Sequence[str],
    split: str,
    compute: Compute,
) -> dict[str, BlockKey]:
    """Return the identity of each output's block.

    Raises:
        SettingError: an unknown output.
    """
    wrong = sorted(set(output) - set(DTYPES))
    if wrong or not output:
        raise SettingError(
            f"Outputs are {', '.join(DTYPES)}; got {', '.join(wrong) or 'none'}. Name one of them."
        )
    weights = weights_digest(encoder.backbone)
    return {
        name: BlockKey(
            weights=weights,
            preprocessing=preprocessing_digest(encoder.card, size, maps=name != "pooled"),
            output=name,
            dataset=source.digest,
            split=split,
            dtype=DTYPES[name],
            compute=compute.precision,
        )
        for name in output
    }


def preprocessing_digest(card: EncoderCard, size: tuple[int, int], *, maps: bool) -> str:
    """Return the identity of what an image goes through besides the weights.

    The architecture is part of it: networks with the same tensors may pad or activate otherwise.

    Args:
        card: the encoder's.
        size: height and width of images.
        maps: whether maps are read; they have the rule that chooses them in their identity.
    """
    return digest(("resize", size, card.mean, card.std), card.architecture, *[RULE] * maps)


class _Sink(Protocol):
    def append(self, rows: np.ndarray) -> None: ...


class _Memory:
    """Rows of a block that is not stored."""

    def __init__(self, shape: tuple[int, ...], dtype: str) -> None:
        self.array = np.empty(shape, dtype)
        self._rows = 0

    def append(self, rows: np.ndarray) -> None:
        self.array[self._rows : self._rows + len(rows)] = rows
        self._rows += len(rows)


def _watch(batches: Iterator[Batch], title: str, total: int) -> Iterator[Batch]:
    started, images = time.perf_counter(), 0
    with console.progress(title, total) as bar:
        for batch in batches:
            yield batch
            images += batch.images.shape[0] * batch.images.shape[1]
            rate = images / (time.perf_counter() - started)
            bar.advance(len(batch.images), f"{rate:.0f} images/s")


def _collect(
    results: Iterator[dict[str, np.ndarray]],
    keys: Mapping[str, BlockKey],
    num_rows: int,
    store: FeatureStore | None,
) -> dict[str, np.ndarray | None]:
    """Stream results into the store's blocks, or into memory, and return the blocks."""
    sinks: dict[str, _Sink] = {}
    with contextlib.ExitStack() as stack:
        for batch in results:
            for name, rows in batch.items():
                if name not in sinks:
                    shape = (num_rows, *rows.shape[1:])
                    sinks[name] = (
                        stack.enter_context(store.write(keys[name], shape, DTYPES[name]))
                        if store
                        else _Memory(shape, DTYPES[name])
                    )
                sinks[name].append(rows)
    if store:
        return {name: store.find(key) for name, key in keys.items()}
    return {name: sink.array for name, sink in sinks.items() if isinstance(sink, _Memory)}
