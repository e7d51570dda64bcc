"""How a dataset is read from disk: a source, its options, and its splits."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Option = str | int | float | bool | tuple[str, ...] | Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Carve:
    """How a split is cut out of `train` where the files have none.

    Attributes:
        fraction: share of the examples that goes to the new split.
        rule: "random" (seeded; of whole scenes where the source knows them, else stratified where
            the examples have classes) or "tail" (the last examples in order, for frames of a
            video).
        gap: examples dropped before a tail, so that neighbouring frames do not straddle the cut.
        seed: of a random cut.
    """

    fraction: float
    rule: Literal["random", "tail"] = "random"
    gap: int = 0
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class DatasetSpec:
    """Where examples come from.

    Attributes:
        name: how tables call it.
        source: a name of the catalogue of sources, or a dotted path.
        options: of the source, for every split. Paths may hold `$VARIABLES`, expanded when opened,
            so that the record is the same on every machine.
        splits: split name to further options. A split that is absent here and in `carve` does not
            exist.
        carve: split name ("val", "test") to how it is cut out of "train"; cut in this order,
            disjoint.
        limit: split name to the largest number of examples kept, a seeded draw.
    """

    name: str
    source: str
    options: Mapping[str, Option] = field(default_factory=dict)
    splits: Mapping[str, Mapping[str, Option]] = field(default_factory=lambda: {"train": {}})
    carve: Mapping[str, Carve] = field(default_factory=dict)
    limit: Mapping[str, int] = field(default_factory=dict)
