"""Who the encoders of a table are: what taught them, which differ in their seed alone.

The study's questions are about self-supervised encoders. Every method counts as self-supervised but
those named here: labels, captions or nothing taught them, or nobody says what did.
"""

from collections.abc import Hashable, Iterable
from dataclasses import dataclass

import pandas as pd

from vireo.analysis.table import RECIPE
from vireo.analysis.words import listed, numbered
from vireo.errors import SettingError

SUPERVISED = "supervised"
TAUGHT = {
    SUPERVISED: "by labels",
    "exemplar-v2": "with labels",
    "clip": "by captions",
    "random": "by nothing (random weights)",
    "unknown": "by nobody knows what",
}
"""Methods that are not self-supervised, and what taught them."""


@dataclass(frozen=True)
class Match:
    """A supervised encoder and the self-supervised ones it is compared with.

    Attributes:
        supervised: its name.
        own: names of the self-supervised encoders of its architecture; of all of them where none
            shares it.
        alike: whether they share it.
        notes: who was left out, and why.
    """

    supervised: str
    own: list[str]
    alike: bool
    notes: tuple[str, ...]


def facts_of(table: pd.DataFrame) -> pd.DataFrame:
    """Return one line an encoder, by name: its recipe's facts and `recipe`, what tells runs apart.

    Encoders of one recipe differ in their seed alone: they are repeats, not independent encoders.
    Where rows state no digest of a recipe, it is taken to be the same.
    """
    facts = table.groupby("encoder", sort=True)[list(RECIPE)].first()
    recipe = facts.map(str).agg(" | ".join, axis=1)
    return facts.assign(recipe=recipe, own=~facts["method"].isin(list(TAUGHT)))


def self_supervised(facts: pd.DataFrame) -> list[str]:
    """Return the names of the self-supervised encoders.

    Raises:
        SettingError: there is none.
    """
    own = list(facts.index[facts["own"]])
    if not own:
        methods = ", ".join(sorted(set(facts["method"])))
        raise SettingError(
            f"This question is about self-supervised encoders; got none (methods: {methods}). "
            "Add one to the study, or state its method."
        )
    return own


def left_out(facts: pd.DataFrame, why: str) -> tuple[str, ...]:
    """Return a sentence that names the encoders that are not self-supervised; none if all are."""
    others = facts[~facts["own"]]
    named = [f"{name} (taught {TAUGHT[method]})" for name, method in others["method"].items()]
    return (f"Left out, {why}: {listed(named)}.",) if named else ()


def whole_sets(names: Iterable[str]) -> list[str]:
    """Return those of `names` that are no part of another one: "imagenet-half" is of "imagenet".

    Example:
        >>> whole_sets(["imagenet-half", "imagenet", "places-log"])
        ['imagenet', 'places-log']
    """
    known = list(names)
    return [one for one in known if not any(one.startswith(f"{other}-") for other in known)]


def matched(table: pd.DataFrame) -> Match:
    """Choose the supervised encoder that self-supervised ones are compared with.

    The baseline if it is supervised, then one whose architecture a self-supervised one shares, then
    one that saw ImageNet, then the one that saw the most images.

    Raises:
        SettingError: no supervised, or no self-supervised encoder.
    """
    facts = facts_of(table)
    own = facts.loc[self_supervised(facts)]
    taught = facts[facts["method"] == SUPERVISED]
    if taught.empty:
        raise SettingError(
            "This question compares with a supervised encoder; got none. Add one to the study, "
            'for example spec = "torchvision:resnet50".'
        )
    baseline = _baseline(table)
    order = taught.assign(
        named=taught.index == baseline,
        shared=taught["architecture"].isin(own["architecture"]),
        imagenet=taught["pretraining_set"] == "imagenet",
        seen=taught["images"].astype("float64").fillna(0),
    ).sort_values(["named", "shared", "imagenet", "seen"], ascending=False, kind="stable")
    return _match(str(order.index[0]), facts, own)


def _match(name: str, facts: pd.DataFrame, own: pd.DataFrame) -> Match:
    architecture = str(facts["architecture"][name])
    same = own[own["architecture"] == architecture]
    if same.empty:
        return Match(name, list(own.index), alike=False, notes=_others(facts, name))
    odd = own.index.difference(same.index)
    out = f"Left out, not {architecture} like {name}: {listed(list(odd))}."
    notes = (*_others(facts, name), *([out] if len(odd) else []))
    return Match(name, list(same.index), alike=True, notes=notes)


def _others(facts: pd.DataFrame, name: str) -> tuple[str, ...]:
    rest = facts.drop(index=name)
    return left_out(rest, f"neither self-supervised nor {name}")


def _baseline(table: pd.DataFrame) -> Hashable:
    if "baseline" not in table.columns:
        return None
    names = table.loc[table["baseline"].to_numpy(dtype=bool), "encoder"].unique()
    return names[0] if len(names) == 1 else None


def counted(names: list[str]) -> str:
    """Return how many self-supervised encoders there are, in words."""
    return numbered(len(names), "self-supervised encoder")
