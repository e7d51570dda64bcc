"""Batches of views for pre-training: one permutation of the examples an epoch.

What a batch holds depends on (seed digest, epoch, index) alone: not on the number of workers, nor
on how many batches a resumed run skips; those are never decoded.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Int64
from torch.utils.data import Dataset

from vireo import seeding
from vireo.catalog import resolve
from vireo.data.batch import ViewBatch
from vireo.data.sources.source import Source
from vireo.data.views.draws import check_recipe, draw_views
from vireo.data.views.engine import Engine, Prepared, ViewGroups, image_sizes
from vireo.data.views.recipe import ViewRecipe
from vireo.data.workers import load_items
from vireo.errors import SettingError, VireoError

ENGINES: dict[str, str] = {
    "torch": "vireo.data.views.torch_engine:TorchEngine",
    "opencv": "vireo.data.views.opencv_engine:OpenCVEngine",
}


def num_batches(source: Source, batch_size: int) -> int:
    """Return the steps of an epoch: a last incomplete batch is dropped.

    Raises:
        SettingError: there is not one full batch.
    """
    if not 1 <= batch_size <= len(source):
        raise SettingError(
            f"The batch size must be between 1 and the {len(source)} examples of "
            f"'{source.name}'; got {batch_size}."
        )
    return len(source) // batch_size


def epoch_order(num_examples: int, seed_digest: str, epoch: int) -> Int64[np.ndarray, " examples"]:
    """Return the order of an epoch: a seeded permutation.

    Example:
        >>> sorted(epoch_order(4, "run", 0).tolist())
        [0, 1, 2, 3]
    """
    return seeding.generator(seed_digest, "order", epoch).permutation(num_examples)


def load_views(  # noqa: PLR0913 - facts of the source, the run and the machine; all by keyword
    source: Source,
    recipe: ViewRecipe,
    *,
    seed_digest: str,
    epoch: int,
    batch_size: int,
    engine: str,
    device: torch.device | str,
    workers: int,
    start: int = 0,
    share: tuple[int, int] = (0, 1),
) -> Iterator[ViewBatch]:
    """Yield the batches of one epoch, from batch `start` on, on the device.

    Args:
        source: of the images; of several frames the first is taken.
        recipe: of the views.
        seed_digest: of the run; with `epoch` it decides the order and every draw.
        epoch: counted from 0.
        batch_size: examples a batch.
        engine: a name of `ENGINES`.
        device: where views are wanted.
        workers: processes that decode; 0 decodes here.
        start: batches to skip, without decoding them.
        share: (rank, processes): which of equal runs of neighbouring examples of each batch to
            yield.

    Raises:
        SettingError: a recipe, engine or batch size that cannot work.
        MissingExtraError: the engine's library is not installed.
        DataError: while iterating, an image that cannot be read.
    """
    check_recipe(recipe)
    maker: Engine = resolve(ENGINES, engine, "view engine")(recipe)
    steps = num_batches(source, batch_size)
    order = epoch_order(len(source), seed_digest, epoch)[: steps * batch_size]
    examples = _Examples(source, recipe, maker, (seed_digest, epoch))
    rank, processes = share
    own = batch_size // processes
    batches = list(order.reshape(steps, batch_size)[start:, rank * own : (rank + 1) * own])
    return _iterate(examples, batches, maker, device=torch.device(device), workers=workers)


@dataclass(frozen=True, kw_only=True)
class _Decoded:
    """What a worker sends: a prepared batch with its labels, or the error that a person can mend.

    An error travels as a value, because the loader would wrap its one sentence in a traceback.
    """

    index: Int64[np.ndarray, " batch"]
    label: Int64[np.ndarray, " batch"] | None = None
    prepared: Prepared | None = None
    error: VireoError | None = None

    def pin_memory(self) -> "_Decoded":
        pinned = None if self.prepared is None else self.prepared.pin_memory()
        return replace(self, prepared=pinned)


class _Examples(Dataset[_Decoded]):
    """The examples of an epoch, read a batch at a time: the indices of a batch are one item."""

    def __init__(
        self, source: Source, recipe: ViewRecipe, engine: Engine, draw: tuple[str, int]
    ) -> None:
        self.source, self.recipe, self._engine = source, recipe, engine
        self._seed_digest, self._epoch = draw

    def __getitem__(self, index: Int64[np.ndarray, " batch"]) -> _Decoded:
        try:
            return self._read(index)
        except VireoError as error:
            return _Decoded(index=index, error=error)

    def _read(self, index: Int64[np.ndarray, " batch"]) -> _Decoded:
        source = self.source
        images = [source.frames(int(i))[0] for i in index]
        draws = draw_views(
            self.recipe,
            index,
            image_sizes(images),
            seed_digest=self._seed_digest,
            epoch=self._epoch,
        )
        label = None
        if "class" in source.targets:
            label = np.array([source.target(int(i), "class") for i in index], dtype=np.int64)
        return _Decoded(index=index, label=label, prepared=self._engine.prepare(images, draws))


def _iterate(
    examples: _Examples,
    batches: list[Int64[np.ndarray, " batch"]],
    engine: Engine,
    *,
    device: torch.device,
    workers: int,
) -> Iterator[ViewBatch]:
    if workers and batches:
        # what a source reads once is read here, and shared with the workers by the fork
        examples.source.frames(int(batches[0][0]))
    decoded = load_items(
        examples,
        batches,
        workers=workers,
        start_worker=engine.start_worker,
        pin_memory=device.type == "cuda",
    )
    with contextlib.closing(decoded):
        for batch in decoded:
            if batch.error is not None:
                raise batch.error
            assert batch.prepared is not None
            groups = engine.finish(batch.prepared, device)
            yield _view_batch(batch, groups, jigsaw=examples.recipe.jigsaw is not None)


def _view_batch(decoded: _Decoded, groups: ViewGroups, *, jigsaw: bool) -> ViewBatch:
    device = groups[0].device
    return ViewBatch(
        groups=groups[:-1] if jigsaw else groups,
        index=torch.from_numpy(decoded.index).to(device),
        label=None if decoded.label is None else torch.from_numpy(decoded.label).to(device),
        patches=groups[-1].transpose(0, 1) if jigsaw else None,
    )
