"""Draw a subset: which images of a source, by a recipe.

Images of a class are ranked by a hash of (seed, label), so a quarter is part of a half, and the
draw does not change when other classes do.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64

from vireo import seeding
from vireo.data.sources.source import Source
from vireo.data.subsets import quotas
from vireo.data.subsets.recipe import SubsetRecipe
from vireo.digest import digest
from vireo.errors import DataError, SettingError

Indices = Int64[np.ndarray, " _"]


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """The part of one source that a subset takes.

    Attributes:
        indices: of the chosen examples, in the source's order.
        groups: names of the classes (or folders) that were counted.
        sizes, wanted, taken: of each group: images there are, asked for, and taken.
        balance: how the groups are balanced, as an encoder's card says it.
    """

    indices: Indices
    groups: tuple[str, ...]
    sizes: Indices
    wanted: Indices
    taken: Indices
    balance: str

    def shortfall(self) -> str:
        """Say which groups have fewer images than asked; empty if none."""
        short = np.flatnonzero(self.wanted > self.sizes)
        if not short.size:
            return ""
        worst = int(short[np.argmax((self.wanted - self.sizes)[short])])
        return (
            f"{short.size} of {len(self.groups)} groups have fewer images than asked and give all "
            f"they have ('{self.groups[worst]}': {self.sizes[worst]} of {self.wanted[worst]}); "
            f"{self.taken.sum()} images instead of {self.wanted.sum()}."
        )


def draw(source: Source, recipe: SubsetRecipe) -> Drawn:
    """Draw from one source.

    Raises:
        SettingError: numbers that cannot be met by any set like this one.
        DataError: the rule needs classes and the source has none.
    """
    codes, names = _groups(source, recipe)
    sizes = np.bincount(codes, minlength=len(names)).astype(np.int64)
    if recipe.rule == "rate":
        return _by_rate(codes, names, sizes, recipe)
    wanted = _wanted(recipe, sizes)
    taken = quotas.capped(wanted, sizes)
    key = digest("subset", recipe.seed)
    chosen = [
        _first_ranked(source, np.flatnonzero(codes == group), count, key)
        for group, count in enumerate(taken.tolist())
        if count
    ]
    balance = {"fraction": "balanced", "combination": "balanced", "uniform": "uniform-per-group"}
    return Drawn(
        indices=np.sort(np.concatenate(chosen)),
        groups=names,
        sizes=sizes,
        wanted=wanted,
        taken=taken,
        balance=balance.get(recipe.rule, recipe.rule),
    )


def _wanted(recipe: SubsetRecipe, sizes: Indices) -> Indices:
    if recipe.rule in ("fraction", "combination"):
        return quotas.fraction(sizes, recipe.share)
    if recipe.rule == "uniform":
        return quotas.uniform(sizes, recipe.images)
    last = recipe.last or round(quotas.STUDY_LARGEST * int(sizes.max()))
    if recipe.rule == "linear":
        wanted = quotas.linear(len(sizes), last, recipe.first)
    else:
        total = recipe.images or round(last * len(sizes) / 4)
        wanted = quotas.log(len(sizes), last, total, recipe.first)
    return wanted if recipe.order_seed is None else wanted[_order(len(sizes), recipe.order_seed)]


def _order(count: int, seed: int) -> Indices:
    """Return the place of each class in the order from rare to common."""
    return seeding.generator(digest("class order", seed), "order").permutation(count)


def _by_rate(codes: Indices, names: tuple[str, ...], sizes: Indices, recipe: SubsetRecipe) -> Drawn:
    """Take every k-th example of each group in order, with the k that comes nearest to `images`."""
    if not len(names) <= recipe.images <= len(codes):
        raise SettingError(
            f"The number of images must be from {len(names)} (one a video) to {len(codes)} (all "
            f"frames); got {recipe.images}."
        )
    steps = range(1, int(sizes.max()) + 1)
    totals = np.array([int((-(-sizes // step)).sum()) for step in steps])
    step = int(np.abs(totals - recipe.images).argmin()) + 1
    within = np.zeros(len(codes), dtype=np.int64)
    for group in range(len(names)):
        members = codes == group
        within[members] = np.arange(int(members.sum()))
    taken = -(-sizes // step)
    return Drawn(
        indices=np.flatnonzero(within % step == 0),
        groups=names,
        sizes=sizes,
        wanted=taken,
        taken=taken,
        balance="constant-rate",
    )


def _first_ranked(source: Source, members: Indices, count: int, key: str) -> Indices:
    if count == len(members):
        return members
    ranks = [seeding.integer(key, source.label(int(index))) for index in members]
    return members[np.argsort(ranks, kind="stable")[:count]]


def _groups(source: Source, recipe: SubsetRecipe) -> tuple[Indices, tuple[str, ...]]:
    if recipe.rule == "rate" or recipe.group == "folder":
        labels = [_folder(source, index, recipe.rule) for index in range(len(source))]
        names, codes = np.unique(labels, return_inverse=True)
        return codes.astype(np.int64), tuple(map(str, names))
    if "class" not in source.targets and recipe.rule == "combination":
        return np.zeros(len(source), dtype=np.int64), ("all",)
    if "class" not in source.targets:
        raise DataError(
            f"'{source.name}' has no classes, which the rule '{recipe.rule}' counts; take a set "
            "with class folders or labels, or group by folder."
        )
    codes = np.array([source.target(index, "class") for index in range(len(source))])
    found: Sequence[str] = source.class_names or list(map(str, range(int(codes.max()) + 1)))
    return codes.astype(np.int64), tuple(found)


def _folder(source: Source, index: int, rule: str) -> str:
    """Return the folder of a video's frames, or the first folder of a name (a building's)."""
    label = source.label(index)
    folder = label.rpartition("/")[0] if rule == "rate" else label.partition("/")[0]
    if "/" not in label:
        raise DataError(
            f"'{source.name}' has '{label}' in no folder, so it cannot be grouped by folder; group "
            "by class, or sort the images into folders."
        )
    return folder
