"""The study's third question: how do pre-training algorithms compare on different end tasks?

Two methods are compared on the pre-training sets that both saw, for the same epochs and with the
same network: the unit is a set. Where a set and parts of it are there, the parts are left out: they
repeat its images. The study's text speaks of percentages and its caption of plain differences: both
are in the table.

References:
    Kotar et al. 2021, Contrasting contrastive self-supervised representation learning pipelines,
    section 5 (3) and figure 5. https://arxiv.org/abs/2103.14005
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from vireo.analysis.context import ALONE, Context
from vireo.analysis.contrast import contrast
from vireo.analysis.encoders import facts_of, self_supervised, whole_sets
from vireo.analysis.finding import Figure, Finding
from vireo.analysis.intervals import mean_interval
from vireo.analysis.multiplicity import holm
from vireo.analysis.supervised import percent
from vireo.analysis.table import level_of, present
from vireo.analysis.wide import families, spreads, wide_scores
from vireo.analysis.words import listed, numbered
from vireo.errors import SettingError

COLUMNS = (
    *("first", "second", "task", "family", "sets", "first_score", "second_score"),
    *("difference", "low", "high", "percent", "p", "p_holm", "scaled"),
)
CAPTION = (
    "Mean score of `first` and of `second` over the `sets` that both were pre-trained on, for the "
    "same epochs with the same network; `difference` with Student's interval over sets, and "
    "`percent` of the size of the second's score. `p`: paired t test over sets; `p_holm`: Holm's "
    "correction over the tasks of the pair. `scaled`: the difference in standard deviations of the "
    "task over self-supervised encoders. One set gives no interval: the difference is then of two "
    "runs, not of two methods."
)


@dataclass(frozen=True)
class Pairing:
    """Two methods and what both were pre-trained on.

    Attributes:
        encoders: pre-training set to the names of both methods' encoders.
        epochs: for how long, as text.
        dropped: sets that are parts of another one here.
    """

    first: str
    second: str
    encoders: dict[str, tuple[list[str], list[str]]]
    epochs: str
    dropped: tuple[str, ...]


def algorithms(table: pd.DataFrame, context: Context = ALONE) -> Finding:
    """Return one line a pair of methods and task, the pair with the most sets in common first.

    Args:
        table: cells may be missing: each task uses the sets on which both methods have it.
        context: is not asked.

    Raises:
        SettingError: no two self-supervised methods saw the same set for the same epochs.
    """
    table, notes = present(table)
    facts, wide = facts_of(table), wide_scores(table)
    own = facts.loc[self_supervised(facts)]
    spread, family = spreads(wide.loc[own.index]), families(table)
    compared = [(one, _lines(one, wide, spread, level_of(table))) for one in _pairings(own)]
    pairings = [one for one, lines in compared if len(lines)]
    if not pairings:
        raise SettingError(
            "Methods are compared on a pre-training set that both saw for the same epochs with the "
            "same network, and on tasks that both have; got no such pair "
            f"({listed(sorted(set(own['method'])))}). Add one."
        )
    found = pd.concat([lines for _, lines in compared if len(lines)], ignore_index=True)
    found["family"] = found["task"].map(family)
    found = found[list(COLUMNS)]
    main = found[_of(found, pairings[0])]
    return Finding(
        title="Which algorithm for which task?",
        table=found,
        caption=CAPTION,
        verdict=_verdict(main, pairings[0], level_of(table)),
        figures=_figures(main, pairings[0]),
        notes=(*notes, *dict.fromkeys(_dropped(pairings))),
    )


def _pairings(own: pd.DataFrame) -> list[Pairing]:
    pairs = combinations(sorted(set(own["method"])), 2)
    found = [pairing for pair in pairs for pairing in _pairing(own, *pair)]
    return sorted(found, key=lambda one: (-len(one.encoders), one.first, one.second))


def _pairing(own: pd.DataFrame, first: str, second: str) -> Iterator[Pairing]:
    """Yield the pairing at the epochs and network at which most sets have both methods, if any."""
    best: tuple[int, float, dict[str, Any], str] | None = None
    for _, group in own.groupby(["epochs", "architecture"], dropna=False, sort=True):
        epochs = float(group["epochs"].iloc[0])
        both = {}
        for name, some in group.groupby("pretraining_set", sort=True):
            sides = [list(some.index[some["method"] == method]) for method in (first, second)]
            if all(sides) and name != "unknown":
                both[str(name)] = (sides[0], sides[1])
        length, whole = 0.0 if math.isnan(epochs) else epochs, len(whole_sets(both))
        if both and (best is None or (whole, length) > best[:2]):
            best = (whole, length, both, f"{epochs:g}" if length else "unknown")
    if best is not None:
        kept = whole_sets(best[2])
        dropped = tuple(name for name in best[2] if name not in kept)
        yield Pairing(first, second, {name: best[2][name] for name in kept}, best[3], dropped)


def _lines(pairing: Pairing, wide: pd.DataFrame, spread: pd.Series, level: float) -> pd.DataFrame:
    sides = [
        pd.DataFrame({name: wide.loc[both[side]].mean() for name, both in pairing.encoders.items()})
        for side in (0, 1)
    ]
    both = [side.T for side in sides]
    lines = [_line(task, both[0][task], both[1][task], level) for task in wide.columns]
    found = pd.DataFrame([line for line in lines if line["sets"]], columns=list(lines[0]))
    found["p_holm"] = holm(found["p"])
    scale = found["task"].map(spread)
    found["scaled"] = (found["difference"] / scale).where(scale > 0)
    return found.assign(first=pairing.first, second=pairing.second)


def _line(task: str, first: pd.Series, second: pd.Series, level: float) -> dict[str, Any]:
    both = first.notna() & second.notna()
    one, other = (side[both].to_numpy(dtype=np.float64) for side in (first, second))
    differences = one - other
    known = len(one) > 0
    low, high = mean_interval(differences, level)
    tested = math.isfinite(low)
    means = [float(side.mean()) if known else np.nan for side in (one, other, differences)]
    return {
        "task": task,
        "sets": len(one),
        "first_score": means[0],
        "second_score": means[1],
        "difference": means[2],
        "low": low,
        "high": high,
        "percent": percent(means[2], means[1]),
        "p": float(stats.ttest_1samp(differences, 0.0).pvalue) if tested else np.nan,
    }


def _of(found: pd.DataFrame, pairing: Pairing) -> pd.Series:
    return (found["first"] == pairing.first) & (found["second"] == pairing.second)


def _dropped(pairings: list[Pairing]) -> Iterator[str]:
    for one in pairings:
        if one.dropped:
            yield (
                f"Left out of {one.first} against {one.second}, parts of a set that is there "
                f"whole: {listed(list(one.dropped))}."
            )


def _verdict(lines: pd.DataFrame, pairing: Pairing, level: float) -> str:
    """Say where one method leads, and whether that goes with pixels or whole images."""
    sets = numbered(len(pairing.encoders), "pre-training set")
    lead = int((lines["difference"] > 0).sum())
    clear = lines[lines["p_holm"] < 1 - level]
    sure = f"{int((clear['difference'] > 0).sum())} up and {int((clear['difference'] < 0).sum())}"
    tested = f"after Holm's correction {sure} down" if lines["p"].notna().any() else "untested"
    opening = (
        f"Paired on {sets} ({pairing.epochs} epochs), {pairing.first} scores above "
        f"{pairing.second} on {lead} of {numbered(len(lines), 'task')} ({tested})"
    )
    if len(pairing.encoders) == 1:
        opening += ", which may be the luck of one run each"
    return f"{opening}; {_by_output(lines, pairing, level)}."


def _by_output(lines: pd.DataFrame, pairing: Pairing, level: float) -> str:
    """Say whether the lead differs between pixel tasks and tasks of whole images."""
    pixel = lines["family"].str.endswith("pixel")
    first, second = (
        lines.loc[side, "scaled"].dropna().to_numpy(dtype=np.float64) for side in (pixel, ~pixel)
    )
    if not len(first) or not len(second):
        return "whether that depends on the kind of output cannot be said from one kind"
    found = contrast(first, second, "algorithms", level)
    said = found.said(
        f"{pairing.first} is relatively better at pixels",
        f"{pairing.second} is relatively better at pixels",
        "no evidence that it depends on the kind of output",
    )
    return (
        f"{pairing.first} minus {pairing.second} is {first.mean():.2f} standard deviations on "
        f"{numbered(len(first), 'pixel task')} and {second.mean():.2f} on "
        f"{numbered(len(second), 'task')} of whole images ({found.numbers}): {said}"
    )


def _figures(lines: pd.DataFrame, pairing: Pairing) -> tuple[Figure, ...]:
    names = f"{pairing.first} minus {pairing.second}"
    ordered = lines.sort_values(["family", "task"], kind="stable").rename(
        columns={"task": "label", "family": "group"}
    )
    columns = ["label", "value", "group"]
    relative = ordered.rename(columns={"percent": "value"})[columns].dropna()
    plain = ordered.rename(columns={"difference": "value"})[[*columns, "low", "high"]]
    return (
        Figure(
            kind="bars",
            title=f"{names}, in percent",
            x="",
            y="difference, % of the second's score",
            data=relative.reset_index(drop=True),
            reference=0.0,
        ),
        Figure(
            kind="intervals",
            title=f"{names}, plain",
            x="difference of scores, in the task's unit",
            y="",
            data=plain.reset_index(drop=True),
            reference=0.0,
        ),
    )
