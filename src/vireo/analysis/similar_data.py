r"""The study's fifth question: does pre-training on images like the end task's improve performance?

A comparison is a task and a group of peers: self-supervised encoders of one method, network and
number of epochs. In it the encoder whose set is like the task's images (`Task.similar_pretraining`)
meets those of other sets. A set that is better everywhere would win on its own task too, so the
effect is measured beyond that: with $z$ the score in standard deviations of the task and

$$r_{st} = z_{st} - \bar z_{s\cdot} - \bar z_{\cdot t} + \bar z_{\cdot\cdot}$$

over all tasks of the peers, the effect is the mean $r$ of similar sets minus that of the others,
and the test exchanges the names of the sets.

References:
    Kotar et al. 2021, Contrasting contrastive self-supervised representation learning pipelines,
    section 5 (5) and figure 7. https://arxiv.org/abs/2103.14005
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import permutations
from math import factorial
from typing import Any

import numpy as np
import pandas as pd

from vireo.analysis.context import ALONE, Context
from vireo.analysis.encoders import facts_of, self_supervised, whole_sets
from vireo.analysis.finding import Figure, Finding
from vireo.analysis.table import level_of, present
from vireo.analysis.wide import spreads, wide_scores
from vireo.analysis.words import listed, numbered, p_words
from vireo.errors import SettingError
from vireo.seeding import generator

MIXTURE = "combination"
COLUMNS = (
    *("task", "method", "architecture", "epochs", "similar_set", "score"),
    *("best_other", "best_other_score", "others", "first", "difference", "beyond", "mixture_score"),
)
CAPTION = (
    "One line a task and group of peers (one method, network and number of epochs). "
    "`similar_set`: the pre-training set that is like the task's images; of several parts of it "
    "the largest. `others`: sets it is compared with; parts of one of them are left out, and so is "
    "`combination`, which holds some of all (its score: `mixture_score`). `first`: above all "
    "others. `difference`: from the mean of the others. `beyond`: the same in standard deviations "
    "of the task after each set's and each task's own level is taken away, so that a set that is "
    "good everywhere does not count as similar."
)
_MOST_RENAMINGS = 9999


@dataclass(frozen=True)
class Comparison:
    """One task among peers.

    Attributes:
        similar, others: names of sets; residual: set to its score beyond levels.
    """

    line: dict[str, Any]
    similar: str
    others: tuple[str, ...]
    residual: dict[str, float]


def similar_data(table: pd.DataFrame, context: Context = ALONE) -> Finding:
    """Return one line a task and group of peers: its similar pre-training set against the others.

    Args:
        table: cells may be missing.
        context: says which sets are like which task.

    Raises:
        SettingError: no task has a similar set, or none of the peers were pre-trained on one.
    """
    table, notes = present(table)
    facts, wide = facts_of(table), wide_scores(table)
    own = facts.loc[self_supervised(facts)]
    alike = {
        task: context.tasks[task].similar_pretraining
        for task in wide.columns
        if task in context.tasks and context.tasks[task].similar_pretraining
    }
    found = _comparisons(own, wide, alike)
    if not found:
        raise SettingError(_refusal(alike, own))
    lines = pd.DataFrame([one.line for one in found], columns=list(COLUMNS))
    skipped = [task for task in alike if task not in set(lines["task"])]
    unpaired = f"Left out, no peers on a similar and another set: {listed(skipped)}."
    return Finding(
        title="Does pre-training on similar images help?",
        table=lines,
        caption=CAPTION,
        verdict=_verdict(lines, found, level_of(table)),
        figures=(_figure(own, wide, alike, list(dict.fromkeys(lines["task"]))),),
        notes=(*notes, *([unpaired] if skipped else [])),
    )


def is_like(name: str, similar: Iterable[str]) -> bool:
    """Say whether the pre-training set is one of `similar` or a part of one ("imagenet-half").

    Example:
        >>> is_like("imagenet-half", ("imagenet",)), is_like("places", ("imagenet",))
        (True, False)
    """
    return any(name == one or name.startswith(f"{one}-") for one in similar)


def _refusal(alike: dict[str, tuple[str, ...]], own: pd.DataFrame) -> str:
    if not alike:
        return (
            "No task here states which pre-training sets are like its images; write "
            "similar_pretraining = [...] into its file."
        )
    sets = listed(sorted(set(own["pretraining_set"])))
    wanted = listed(sorted({name for names in alike.values() for name in names}))
    return (
        "This question needs two encoders of one method, network and number of epochs, one "
        f"pre-trained on images like a task's ({wanted}) and one on others; got {sets}."
    )


def _comparisons(
    own: pd.DataFrame, wide: pd.DataFrame, alike: dict[str, tuple[str, ...]]
) -> list[Comparison]:
    spread = spreads(wide.loc[own.index])
    scaled = wide / spread.where(spread > 0)
    keys = ["method", "architecture", "epochs"]
    found = []
    for key, peers in own.groupby(keys, dropna=False, sort=True):
        facts = dict(zip(keys, key, strict=True))
        for task, similar in alike.items():
            one = _comparison(task, similar, peers, (wide, scaled))
            if one is not None:
                one.line.update(facts)
                found.append(one)
    return sorted(found, key=lambda one: (one.line["task"], one.line["method"]))


def _comparison(
    task: str,
    similar: tuple[str, ...],
    peers: pd.DataFrame,
    scores: tuple[pd.DataFrame, pd.DataFrame],
) -> Comparison | None:
    wide, scaled = scores
    means = wide.loc[peers.index].groupby(peers["pretraining_set"]).mean()
    here = means[task].dropna()
    chosen = _largest([name for name in here.index if is_like(name, similar)], peers)
    others = [
        name for name in whole_sets(here.index) if not is_like(name, (*similar, MIXTURE, "unknown"))
    ]
    if chosen is None or not others:
        return None
    residual = _residuals(scaled, peers, [chosen, *others])[task]
    mixture = [name for name in here.index if is_like(name, (MIXTURE,))]
    line = {
        "task": task,
        "similar_set": chosen,
        "score": float(here[chosen]),
        "best_other": str(here[others].idxmax()),
        "best_other_score": float(here[others].max()),
        "others": len(others),
        "first": bool(here[chosen] > here[others].max()),
        "difference": float(here[chosen] - here[others].mean()),
        "beyond": float(residual[chosen] - residual[others].mean()),
        "mixture_score": float(here[mixture].mean()) if mixture else np.nan,
    }
    return Comparison(line, chosen, tuple(others), {str(k): float(v) for k, v in residual.items()})


def _largest(names: list[str], peers: pd.DataFrame) -> str | None:
    """Return the set with the most images; the first by name where nobody states them."""
    images = peers.groupby("pretraining_set")["images"].max().astype("float64").fillna(0)
    return max(sorted(names), key=lambda name: images[name]) if names else None


def _residuals(scaled: pd.DataFrame, peers: pd.DataFrame, sets: list[str]) -> pd.DataFrame:
    """Return sets x tasks beyond both levels; NaN where one task alone leaves nothing beyond."""
    z = scaled.loc[peers.index].groupby(peers["pretraining_set"]).mean().loc[sets]
    full = z.loc[:, z.notna().all()]
    if len(full.columns) < 2:
        return pd.DataFrame(np.nan, index=z.index, columns=z.columns)
    rows, columns = full.mean(axis=1), full.mean(axis=0)
    centred = full.sub(rows, axis=0).sub(columns, axis=1) + float(full.to_numpy().mean())
    return centred.reindex(columns=z.columns)


def renaming_test(found: list[Comparison]) -> tuple[float, float, float]:
    """Return the mean effect, its one-sided p-value and the smallest one possible.

    All renamings of the sets where there are at most 9,999, else that many drawn at random. A
    renaming under which a task has no similar set or no other in a comparison leaves that one out;
    one that leaves all out is not counted.
    """
    names = sorted({name for one in found for name in (one.similar, *one.others)})
    renamed = _renamings(len(names))
    sums, counts = np.zeros(len(renamed)), np.zeros(len(renamed))
    same = np.ones(len(renamed), dtype=bool)
    for one in found:
        residual = np.array([one.residual.get(name, np.nan) for name in names])
        taken = renamed[:, names.index(one.similar)]
        same &= taken == names.index(one.similar)
        known = np.isfinite(residual)
        rest = (np.nansum(residual) - residual) / max(1, known.sum() - 1)
        effect = (residual - rest)[taken]
        sums += np.nan_to_num(effect)
        counts += np.isfinite(effect)
    effects = np.divide(sums, counts, out=np.full(len(sums), np.nan), where=counts > 0)
    if np.isnan(effects[0]):
        return np.nan, np.nan, np.nan
    known = np.isfinite(effects)
    reached = effects[known] >= effects[0] - 1e-9
    return float(effects[0]), float(reached.mean()), float(same[known].mean())


def _renamings(count: int) -> np.ndarray:
    """Return renamings of so many sets, the one that changes nothing first."""
    if factorial(count) <= _MOST_RENAMINGS:
        return np.array(list(permutations(range(count))))
    rng = generator("renamings", str(count))
    drawn = rng.permuted(np.tile(np.arange(count), (_MOST_RENAMINGS + 1, 1)), axis=1)
    drawn[0] = np.arange(count)
    return drawn


def _verdict(lines: pd.DataFrame, found: list[Comparison], level: float) -> str:
    """Say how often the similar set wins, and whether beyond what it does everywhere."""
    chance = float((1 / (1 + lines["others"])).sum())
    tasks, methods = lines["task"].nunique(), lines["method"].nunique()
    sets = len({name for one in found for name in (one.similar, *one.others)})
    opening = (
        f"In {int(lines['first'].sum())} of {numbered(len(lines), 'comparison')} "
        f"({numbered(tasks, 'task')}, {numbered(methods, 'method')}) the encoder pre-trained on "
        f"images like the task's scores highest of its peers, {chance:.1f} expected by chance"
    )
    mixed = lines.dropna(subset=["mixture_score"])
    if len(mixed):
        above = int((mixed["score"] > mixed["mixture_score"]).sum())
        opening += f", and in {above} of {len(mixed)} above the one on the combination"
    effect, p, smallest = renaming_test(found)
    if np.isnan(effect):
        return f"{opening}; one task cannot tell a similar set from one that is good everywhere."
    return (
        f"{opening}; beyond what its set does on all tasks it gains {effect:.2f} standard "
        f"deviations (names of {sets} sets exchanged, one-sided {p_words(p)}): "
        f"{_said(p, smallest, level)}."
    )


def _said(p: float, smallest: float, level: float) -> str:
    if smallest >= 1 - level:
        return f"so few sets cannot tell (the smallest possible p is {smallest:.2g})"
    return "similar images help" if p < 1 - level else "no evidence that similar images help"


def _figure(
    own: pd.DataFrame, wide: pd.DataFrame, alike: dict[str, tuple[str, ...]], tasks: list[str]
) -> Figure:
    bars = []
    for task in tasks:
        scores = wide.loc[own.index, task].dropna().sort_values(kind="stable")
        for encoder, score in scores.items():
            name = own.loc[encoder, "pretraining_set"]
            kind = "similar" if is_like(name, alike[task]) else "other"
            group = MIXTURE if is_like(name, (MIXTURE,)) else kind
            bars.append((encoder, score, group, task))
    return Figure(
        kind="bars",
        title="Self-supervised encoders by whether their pre-training set is like the task",
        x="",
        y="score, in the task's unit",
        data=pd.DataFrame(bars, columns=["label", "value", "group", "panel"]),
    )
