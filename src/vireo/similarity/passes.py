"""Which columns of which blocks are collected in which pass over the images, so that they fit.

The flattened maps of 10,000 images take 56 GB for a ResNet-50 at 112 pixels. A pass collects as
many columns as there is memory for, of all images; a block's Gram matrix is the sum over its
columns. Passes end behind the last block they need, so the wide, early blocks cost little more than
themselves. A cut lies at a multiple of `gram.CHUNK`: memory decides how many passes there are and
nothing else.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from vireo.errors import SettingError
from vireo.similarity.blocks import Block
from vireo.similarity.costs import DOUBLE, FLOAT, is_kept_as_features
from vireo.similarity.gram import CHUNK
from vireo.similarity.settings import GIB, SimilaritySettings


@dataclass(frozen=True, kw_only=True)
class Slice:
    """Columns `start` to `stop` of a block."""

    block: Block
    start: int
    stop: int

    @property
    def is_last(self) -> bool:
        """Say whether the block ends here."""
        return self.stop == self.block.width


@dataclass(frozen=True, kw_only=True)
class Pass:
    """One pass over the images.

    Attributes:
        blocks: what is read, in the order it runs.
        slices: columns that are collected for Gram matrices.
    """

    blocks: tuple[Block, ...]
    slices: tuple[Slice, ...]

    @property
    def kept(self) -> tuple[Block, ...]:
        """Blocks whose features are written as they are."""
        collected = {part.block.name for part in self.slices}
        return tuple(block for block in self.blocks if block.name not in collected)


def plan_passes(n: int, blocks: Sequence[Block], capacity: int) -> list[Pass]:
    """Return the passes that the blocks need; narrow blocks all come in the first.

    Args:
        n: number of images.
        blocks: those that are missing, in the order they run.
        capacity: columns that can be held.
    """
    kept = [block for block in blocks if is_kept_as_features(n, block.width)]
    passes = list(_filled([block for block in blocks if block not in kept], capacity))
    first, *rest = passes or [()]
    groups = [(kept, first), *(([], slices) for slices in rest)]
    return [
        Pass(blocks=_in_order(blocks, narrow, slices), slices=slices)
        for narrow, slices in groups
        if narrow or slices
    ]


def capacity(n: int, settings: SimilaritySettings) -> int:
    """Return how many columns of features fit into memory beside the rest, a multiple of CHUNK.

    The rest: one Gram matrix in float64 and what is made of it, the pixels, and a chunk of columns
    in float64 and float32.

    Raises:
        SettingError: not even one chunk fits.
    """
    matrix = 2 * n * n * DOUBLE
    pixels = 3 * n * settings.side**2
    chunk = n * CHUNK * (DOUBLE + 2 * FLOAT)
    columns = (settings.memory_bytes - matrix - pixels - chunk) // (n * FLOAT)
    if columns < CHUNK:
        needed = (matrix + pixels + chunk + n * CHUNK * FLOAT) / GIB
        raise SettingError(
            f"All pairs of {n} images need {needed:.1f} GiB at once; {settings.memory_gib:g} are"
            " allowed. Allow more memory, take fewer images, or the estimator 'minibatch'."
        )
    return columns // CHUNK * CHUNK


def _filled(blocks: Sequence[Block], capacity: int) -> Iterator[tuple[Slice, ...]]:
    """Yield slices of the blocks, as many at a time as there is room for."""
    slices: list[Slice] = []
    room = capacity
    for block in blocks:
        start = 0
        while start < block.width:
            stop = min(block.width, start + room)
            slices.append(Slice(block=block, start=start, stop=stop))
            room = (room - (stop - start)) // CHUNK * CHUNK
            start = stop
            if not room:
                yield tuple(slices)
                slices, room = [], capacity
    if slices:
        yield tuple(slices)


def _in_order(
    blocks: Sequence[Block], kept: Sequence[Block], slices: Sequence[Slice]
) -> tuple[Block, ...]:
    wanted = {block.name for block in [*kept, *(part.block for part in slices)]}
    return tuple(block for block in blocks if block.name in wanted)
