"""CKA of all images together: what is kept of every block, against what is kept of every other.

E encoders are encoded once each, and all pairs of all their blocks come out of one reading of what
is kept, instead of one encoding a pair. What is read is used in float64.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from jaxtyping import Float64
from torch import Tensor

from vireo import console
from vireo.devices import Compute
from vireo.errors import SettingError
from vireo.similarity import gram
from vireo.similarity.cka import Moments, moments_of_features, moments_of_folded
from vireo.similarity.costs import DOUBLE, Form, cheaper
from vireo.similarity.settings import GIB, SimilaritySettings
from vireo.similarity.stored import Kept

_ROWS = 1024


def moments_of_kept(
    kept: Sequence[Kept], n: int, *, settings: SimilaritySettings, compute: Compute
) -> Moments:
    """Return the moments of all pairs of blocks, in the cheaper form that fits into memory.

    Raises:
        SettingError: the memory is too small for this number of blocks.
    """
    memory = settings.memory_bytes
    if form_of(kept, n, memory) is Form.feature:
        widths = [block.width for block in kept]
        return moments_of_features(_features(kept, n, compute), widths)
    a_row = 3 * DOUBLE * len(kept) * (n + 1)  # the blocks apart, together, and without diagonals
    rows = min(_ROWS, gram.num_rows(n), memory // a_row)
    if not rows:
        raise SettingError(
            f"{len(kept)} blocks of {n} images need {a_row / GIB:.2f} GiB at once;"
            f" {settings.memory_gib:g} are allowed. Allow more memory."
        )
    return moments_of_folded(_folded(kept, n, rows, compute), n)


def form_of(kept: Sequence[Kept], n: int, memory: int) -> Form:
    """Return the form that all pairs are computed in.

    Features have to be kept of all blocks, and the covariances of all their columns to fit.
    """
    widths = [block.width for block in kept]
    fits = 2 * DOUBLE * sum(widths) ** 2 <= memory
    has_features = all(block.has_features for block in kept)
    return cheaper(n, widths) if fits and has_features else Form.gram


def _folded(
    kept: Sequence[Kept], n: int, rows: int, compute: Compute
) -> Iterator[tuple[int, Float64[Tensor, "blocks rows columns"]]]:
    total = gram.num_rows(n)
    with console.progress(f"{len(kept)} blocks with each other, rows", total) as bar:
        for start in range(0, total, rows):
            stop = min(start + rows, total)
            stack = np.stack([block.folded_rows(start, stop) for block in kept])
            yield start, torch.from_numpy(stack).to(compute.torch_device)
            bar.advance(stop - start)


def _features(
    kept: Sequence[Kept], n: int, compute: Compute
) -> Iterator[Float64[Tensor, "rows columns"]]:
    with console.progress(f"{len(kept)} blocks with each other, images", n) as bar:
        for start in range(0, n, _ROWS):
            stop = min(start + _ROWS, n)
            rows = np.concatenate([block.feature_rows(start, stop) for block in kept], axis=1)
            yield torch.from_numpy(rows).to(compute.torch_device)
            bar.advance(stop - start)
