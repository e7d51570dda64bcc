"""Which images encoders are compared on: a balanced part of any set, the same on every machine."""

import torch
from jaxtyping import UInt8
from torch import Tensor

from vireo import console
from vireo.data import find_dataset, load_batches, open_split
from vireo.data.sources.source import Source
from vireo.data.splits import Subset, limit
from vireo.data.subsets.draw import draw
from vireo.errors import DataError
from vireo.records import DatasetSpec, SubsetRecipe
from vireo.similarity.cka import FEWEST

_BATCH = 256


def choose_images(dataset: DatasetSpec | str, split: str, count: int) -> Source:
    """Return `count` images of a split, or all there are; as many of each class where it has any.

    The study takes 10,000 of ImageNet. The draw is seeded and does not depend on the machine; a
    class that is too small gives all it has.

    Raises:
        SettingError: no such dataset or split, or fewer images asked for than classes.
        DataError: fewer than four images, or an example of several.
    """
    spec = find_dataset(dataset) if isinstance(dataset, str) else dataset
    source = open_split(spec, split)
    if len(source) > count:
        source = _balanced(source, spec, count, split)
    if min(len(source), count) < FEWEST:
        raise DataError(
            f"CKA needs {FEWEST} images or more; got {min(len(source), count)} of '{spec.name}'."
            " Ask for more, or take another set."
        )
    frames = len(source.frames(0))
    if frames != 1:
        raise DataError(
            f"An example of '{spec.name}' has {frames} images; CKA compares single images: take"
            " another set."
        )
    return source


def load_pixels(source: Source, side: int, workers: int = 0) -> UInt8[Tensor, "n 3 side side"]:
    """Decode all images once, resized to a square; they are read many times."""
    pixels = torch.empty((len(source), 3, side, side), dtype=torch.uint8)
    batches = load_batches(
        source, size=(side, side), target=None, batch_size=_BATCH, workers=workers
    )
    with console.progress(f"reading {source.name}", len(source)) as bar:
        for batch in batches:
            pixels[batch.index] = batch.images[:, 0]
            bar.advance(len(batch.index))
    return pixels


def _balanced(source: Source, spec: DatasetSpec, count: int, split: str) -> Source:
    if "class" not in source.targets:
        return limit(source, count, split)
    drawn = draw(source, SubsetRecipe(rule="uniform", data=(spec,), images=count))
    if drawn.shortfall():
        console.warn(f"{spec.name}: {drawn.shortfall()}")
    return Subset(source, drawn.indices)
