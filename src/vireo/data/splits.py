"""Cutting one source into disjoint parts: carved splits, a limit, a validation set.

A draw ranks examples by a hash of (seed, purpose, index) and quotas are exact integers, so the same
examples are chosen on every machine and with every version of NumPy.
"""

from collections.abc import Mapping, Sequence
from typing import final

import numpy as np
from jaxtyping import Int64, UInt8

from vireo import seeding
from vireo.catalog import unknown
from vireo.data.sources.codes import digest_integers
from vireo.data.sources.source import Source, Target
from vireo.digest import digest
from vireo.errors import DataError, SettingError
from vireo.records import Carve

Indices = Int64[np.ndarray, "_"]

_CODED = ("class", "count", "order", "egomotion")
"""Targets whose codes a random cut keeps in proportion, the first that the source has."""


@final
class Subset(Source):
    """Some examples of a source, in a given order.

    Attributes:
        indices: of the examples, in the source.
    """

    def __init__(self, source: Source, indices: Sequence[int] | Indices) -> None:
        self._source = source
        self.indices = np.asarray(indices, dtype=np.int64)
        self.name = source.name
        self.targets = source.targets
        self.class_names = source.class_names
        if source.groups:
            self.groups = tuple(source.groups[index] for index in self.indices)
        self.digest = digest(source.digest, digest_integers(self.indices))

    def __len__(self) -> int:
        """Return the number of examples."""
        return len(self.indices)

    def frames(self, index: int) -> tuple[UInt8[np.ndarray, "height width 3"], ...]:
        """Decode the images of one example."""
        return self._source.frames(int(self.indices[index]))

    def target(self, index: int, name: str) -> Target:
        """Return one target of one example."""
        return self._source.target(int(self.indices[index]), name)

    def label(self, index: int) -> str:
        """Return the source's name of one example."""
        return self._source.label(int(self.indices[index]))


def carve(source: Source, cuts: Mapping[str, Carve], split: str) -> Source:
    """Return one part of `source`: a split of `cuts`, or "train", what all cuts leave.

    Cuts are made in order. A fraction is of all examples, rounded; a random cut is stratified where
    there are classes or counts: each is drawn by its share, to within one example. Where the source
    has groups, whole ones are drawn instead, up to the fraction.

    Raises:
        DataError: a part would be empty, or all examples are of one group.
        SettingError: a fraction or gap that cannot be, or no such split.
    """
    if split != "train" and split not in cuts:
        raise SettingError(unknown(split, ["train", *cuts], f"split of '{source.name}'"))
    if not cuts:
        return source
    rest: Indices = np.arange(len(source), dtype=np.int64)
    for name, cut in cuts.items():
        _check(cut, name)
        size = round(cut.fraction * len(source))
        if size == 0 or size + cut.gap >= len(rest):
            raise DataError(
                f"Cutting '{name}' ({size} examples, gap {cut.gap}) from {len(rest)} of "
                f"'{source.name}' leaves a part empty; change its fraction or gap."
            )
        taken, rest = _cut(source, rest, cut, f"carve:{name}")
        if name == split:
            return Subset(source, taken)
    return Subset(source, rest)


def limit(source: Source, count: int, split: str) -> Source:
    """Return at most `count` examples in their order: a seeded draw, stratified as a carve is.

    Raises:
        SettingError: the count is not positive.
    """
    if count < 1:
        raise SettingError(f"The limit of split '{split}' must be at least 1; got {count}.")
    if count >= len(source):
        return source
    everything: Indices = np.arange(len(source), dtype=np.int64)
    return Subset(source, _draw(everything, _strata(source), count, digest("limit", split)))


def carve_validation(source: Source, fraction: float, seed: int) -> tuple[Source, Source]:
    """Cut a validation set out of training examples; returns (the rest, the validation set).

    Raises:
        DataError: a part would be empty.
        SettingError: the fraction is not between 0 and 1.
    """
    cuts = {"validation": Carve(fraction=fraction, seed=seed)}
    return carve(source, cuts, "train"), carve(source, cuts, "validation")


def _check(cut: Carve, name: str) -> None:
    if not 0 < cut.fraction < 1:
        raise SettingError(f"The fraction of split '{name}' must be in (0, 1); got {cut.fraction}.")
    if cut.gap < 0 or (cut.gap and cut.rule != "tail"):
        raise SettingError(
            f"The gap of split '{name}' must be 0, or positive with rule = 'tail'; got {cut.gap} "
            f"with rule '{cut.rule}'."
        )


def _cut(source: Source, rest: Indices, cut: Carve, purpose: str) -> tuple[Indices, Indices]:
    size = round(cut.fraction * len(source))
    if cut.rule == "tail":
        return rest[-size:], rest[: len(rest) - size - cut.gap]
    key = digest(purpose, cut.seed)
    taken = (
        _draw_groups(source, rest, size, key)
        if source.groups
        else _draw(rest, _strata(source)[rest], size, key)
    )
    return taken, np.setdiff1d(rest, taken)


def _draw_groups(source: Source, candidates: Indices, count: int, key: str) -> Indices:
    """Draw whole groups, each that fits into what is left of `count`; the smallest if none does."""
    members: dict[str, list[int]] = {}
    for index in candidates.tolist():
        members.setdefault(source.groups[index], []).append(index)
    if len(members) < 2:
        raise DataError(
            f"All {len(candidates)} examples of '{source.name}' to cut from are of one scene, "
            f"'{next(iter(members))}', and no scene may be in two parts; add scenes, or cut by "
            "rule = 'tail' with a gap."
        )
    ranked = sorted(members, key=lambda name: (seeding.integer(key, f"group {name}"), name))
    taken: list[int] = []
    for name in ranked:
        if len(taken) + len(members[name]) <= count:
            taken += members[name]
    smallest = min((members[name] for name in ranked), key=len)
    return np.sort(np.array(taken or smallest, dtype=np.int64))


def _strata(source: Source) -> Indices:
    kind = next((name for name in _CODED if name in source.targets), None)
    if kind is None:
        return np.zeros(len(source), dtype=np.int64)
    return np.array([source.target(index, kind) for index in range(len(source))], dtype=np.int64)


def _draw(
    candidates: Int64[np.ndarray, " n"], strata: Int64[np.ndarray, " n"], count: int, key: str
) -> Int64[np.ndarray, " count"]:
    """Draw `count` of `candidates`, sorted: from each stratum its share by largest remainder."""
    codes, sizes = np.unique(strata, return_counts=True)
    quotas, remainders = np.divmod(sizes * count, len(candidates))
    ties = np.array([seeding.integer(key, "stratum", 0, int(code)) for code in codes])
    largest_first = np.lexsort((ties, -remainders))
    quotas[largest_first[: count - int(quotas.sum())]] += 1
    chosen = []
    for code, quota in zip(codes, quotas, strict=True):
        members = candidates[strata == code]
        ranks = [seeding.integer(key, "draw", 0, int(index)) for index in members]
        chosen.append(members[np.argsort(ranks, kind="stable")[:quota]])
    return np.sort(np.concatenate(chosen))
