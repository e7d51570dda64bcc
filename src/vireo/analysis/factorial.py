"""The encoders of a factorial comparison, and their facts as columns of a design."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from vireo.analysis.aliasing import Alias, aliases
from vireo.analysis.encoders import facts_of
from vireo.analysis.linear_model import Columns, categorical, covariate
from vireo.errors import SettingError

UNBALANCED = ("linear", "log")
SAME_SIZE = 0.05
"""Sets whose numbers of images differ by less than this share have the same size."""
_NOT_A_SET = re.compile(r"half|quarter|lin|linear|log|balanced|unbalanced|draw\d+|seed\d+|[\d.]+")


@dataclass(frozen=True)
class Factorial:
    """Who takes part in the comparison of balanced with unbalanced sets.

    Attributes:
        facts: one line an encoder, with `size` (log2 of images) and `duration` (log2 of steps, or
            of the images seen where steps are not stated).
        factors: name to columns, one line an encoder; what varies and is not aliased.
        aliases: factors that the design cannot tell from those before them.
    """

    facts: pd.DataFrame
    factors: Mapping[str, Columns]
    aliases: list[Alias]


def base_set(name: str) -> str:
    """Return what a set was drawn from, as far as its name says.

    Example:
        >>> base_set("imagenet-quarter-log"), base_set("imagenet"), base_set("half")
        ('imagenet', 'imagenet', '')
    """
    words = [word for word in name.split("-") if not _NOT_A_SET.fullmatch(word)]
    return "-".join(words)


def counterparts(facts: pd.DataFrame) -> pd.DataFrame:
    """Return the unbalanced encoders that have balanced counterparts, and those.

    A counterpart was trained by the same method, architecture and epochs on a balanced set of the
    same origin and size.

    Raises:
        SettingError: there is no such pair.
    """
    facts = facts.assign(
        base=facts["pretraining_set"].map(base_set), images=facts["images"].astype("float64")
    )
    same = ["method", "architecture", "base"]
    kept: set[str] = set()
    balanced = facts[facts["balance"] == "balanced"]
    for name, line in facts[facts["balance"].isin(UNBALANCED)].iterrows():
        like = balanced[(balanced[same] == line[same]).all(axis=1)]
        size = (like["images"] / line["images"] - 1).abs() <= SAME_SIZE
        same_epochs = like["epochs"].fillna(0) == np.nan_to_num(line["epochs"])
        like = like[size & same_epochs]
        if len(like):
            kept |= {str(name), *map(str, like.index)}
    if not kept:
        found = ", ".join(sorted(set(facts["balance"])))
        raise SettingError(
            "This question needs an encoder pre-trained on a linear or log unbalanced subset and "
            "one on a balanced subset of the same size, by the same method for as many epochs; "
            f"got sets that are: {found}. Add both to the study's pretrain tables."
        )
    return facts.loc[sorted(kept)]


def factorial(table: pd.DataFrame) -> Factorial:
    """Choose the encoders and build their factors: balance, method, architecture, size, steps.

    Raises:
        SettingError: no pair to compare.
    """
    facts = counterparts(_with_steps(table))
    facts["size"] = np.log2(_grouped(facts["images"]))
    columns = {"balance": categorical(facts["balance"])}
    for name in ("method", "architecture"):
        if facts[name].nunique() > 1:
            columns[name] = categorical(facts[name])
    columns["size"] = covariate(facts["size"])
    name = "steps" if facts["steps"].notna().all() else "seen"
    if facts[name].notna().all():
        facts["duration"] = np.log2(_grouped(facts[name]))
        columns[name] = covariate(facts["duration"])
    found = aliases(columns)
    aliased = {alias.factor for alias in found}
    factors = {name: column for name, column in columns.items() if name not in aliased}
    return Factorial(facts, factors, found)


def _with_steps(table: pd.DataFrame) -> pd.DataFrame:
    """Return the encoders' facts with steps, and with images seen where steps are not stated."""
    facts = facts_of(table)
    facts["seen"] = facts["images"].astype("float64") * facts["epochs"]
    if "steps" not in table.columns:
        return facts.assign(steps=np.nan)
    steps = table.groupby("encoder")["steps"].first().astype("float64")
    return facts.assign(steps=steps.reindex(facts.index))


def _grouped(values: pd.Series) -> pd.Series:
    """Return the values with those of the same size made equal, by their geometric mean."""
    logs = pd.Series(np.log(values.astype("float64")), index=values.index)
    ordered = logs.sort_values()
    group = (ordered.diff() > np.log1p(SAME_SIZE)).cumsum()
    means = ordered.groupby(group).transform("mean")
    return pd.Series(np.exp(means.reindex(values.index)), index=values.index)
