"""What one cell of a study takes: the record that estimates are made of."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from vireo.study.cells import Cell


@dataclass(frozen=True, kw_only=True)
class Block:
    """Features that are computed once and kept, as in `BlockKey`, before any encoder is opened.

    Attributes:
        encoder: its name.
        dataset: as in `SplitImages`.
    """

    encoder: str
    dataset: str
    split: str
    size: tuple[int, int]
    output: str


@dataclass(frozen=True, kw_only=True)
class Demand:
    """What one cell takes.

    Attributes:
        seconds: of its own heads or training; None where it cannot be told.
        why: it cannot.
        encode_seconds: of the blocks that it is the first to need.
        images: that it is the first to encode.
        blocks: the bytes of those that it reads; new: which of them no cell before it has.
        run_bytes: that a pre-training run leaves.
        memory_bytes: that it holds at least.
    """

    cell: Cell
    seconds: float | None = None
    why: str = ""
    encode_seconds: float = 0.0
    images: int = 0
    blocks: Mapping[Block, int] = field(default_factory=dict)
    new: tuple[Block, ...] = ()
    run_bytes: int = 0
    memory_bytes: int = 0

    @property
    def all_seconds(self) -> float:
        """Its own work and its encoding; what cannot be told counts nothing."""
        return (self.seconds or 0.0) + self.encode_seconds

    @property
    def new_bytes(self) -> int:
        """What it writes."""
        return self.run_bytes + sum(self.blocks[block] for block in self.new)
