"""Is one encoder better than another on a task, or did the test images decide? Every pair, paired.

The tests read what happened to each test example, so they know that two encoders fail on the same
hard images, which intervals of two separate scores do not.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd

from vireo.analysis.context import ALONE, Context
from vireo.analysis.example_sums import Scorer, by_replicate, scorer
from vireo.analysis.finding import Figure, Finding
from vireo.analysis.multiplicity import holm
from vireo.analysis.paired_examples import Terms, mcnemar, paired_tests
from vireo.analysis.table import level_of, present
from vireo.analysis.words import numbered
from vireo.errors import SettingError, StoreError

COLUMNS = (
    *("task", "first", "second", "difference", "low", "high"),
    *("p", "p_holm", "test", "n", "seeds"),
)
CAPTION = (
    "`difference`: score of `first` minus score of `second` on the same test examples, mean over "
    "seeds; `low`, `high`: bootstrap over examples that both share. `p`: McNemar's exact test "
    "where an example is right or wrong and answered once; else the outcomes of examples are "
    "exchanged at random. `p_holm`: Holm's correction over all lines. What is tested is two "
    "trained heads on further images like these: not another draw of training images, nor another "
    "pre-training run of the same recipe, and images that overlap (video, windows) count as new."
)


def differences(table: pd.DataFrame, context: Context = ALONE) -> Finding:
    """Return one line a task and pair of encoders.

    Args:
        table: cells may be missing.
        context: with the outcomes of test examples.

    Raises:
        SettingError: no outcomes, or no task that two encoders were tested on.
    """
    if context.outcomes is None:
        raise SettingError(
            "Paired tests need what happened to each test example, and a table alone does not "
            "have it; analyse the study's folder, with the .outcomes.npz files beside the rows."
        )
    table, notes = present(table)
    found, lost = [], list(notes)
    for name, rows in table.groupby("task", sort=True):
        try:
            found.append(_of_task(rows, context, lost))
        except (SettingError, StoreError) as error:
            lost.append(f"Left out {name}: {error}")
    lines = pd.concat(found, ignore_index=True) if found else pd.DataFrame()
    if lines.empty:
        raise SettingError(" ".join(["No two encoders can be compared on any task.", *lost]))
    lines["p_holm"] = holm(lines["p"])
    level = level_of(table)
    lines = lines[list(COLUMNS)]
    figures = (_figure(lines, level),)
    return Finding(
        "Paired differences", lines, CAPTION, _verdict(lines, level), figures, tuple(lost)
    )


def _of_task(rows: pd.DataFrame, context: Context, lost: list[str]) -> pd.DataFrame:
    """Return the lines of one task; `lost` takes a sentence for each encoder left out."""
    first = rows.iloc[0]
    metric = scorer(first["metric"], first["scoring"])
    seeds = _common_seeds(rows)
    kept = rows[rows["seed"].isin(seeds)]
    encoders, terms = _terms(kept, context, metric, lost)
    if len(encoders) < 2:
        return pd.DataFrame()
    pairs = np.array(list(combinations(range(len(encoders)), 2)))
    tests = paired_tests(
        terms, pairs, metric.value, level=level_of(rows), purpose=str(first["task"])
    )
    once = metric.shares and terms.shape[1] == 1
    return pd.DataFrame(
        {
            "task": first["task"],
            "first": [encoders[place] for place in pairs[:, 0]],
            "second": [encoders[place] for place in pairs[:, 1]],
            "difference": tests.difference,
            "low": tests.low,
            "high": tests.high,
            "p": mcnemar(terms[:, 0, :, 0], pairs) if once else tests.p,
            "test": "McNemar" if once else "exchange",
            "n": terms.shape[2],
            "seeds": len(seeds),
        }
    )


def _common_seeds(rows: pd.DataFrame) -> list[int]:
    by_encoder = rows.groupby("encoder")["seed"].agg(set)
    seeds = sorted(set.intersection(*by_encoder))
    if not seeds:
        raise SettingError("its encoders have no seed in common.")
    return seeds


def _terms(
    rows: pd.DataFrame, context: Context, metric: Scorer, lost: list[str]
) -> tuple[list[str], Terms]:
    """Return the encoders that answered the same examples, and their terms.

    Raises:
        StoreError: outcomes without what the metric is made of.
    """
    read = {
        str(name): _read(list(group.sort_values("seed")["digest"]), context)
        for name, group in rows.groupby("encoder", sort=True)
    }
    indices = {name: np.sort(outcomes[0]["index"]) for name, outcomes in read.items()}
    common = max(indices.values(), key=lambda one: _sharing(one, indices.values()))
    same = [name for name in read if np.array_equal(indices[name], common)]
    task = rows["task"].iloc[0]
    lost += [f"Left out {n} on {task}: other test examples." for n in read if n not in same]
    try:
        terms = [[by_replicate(outcomes, metric) for outcomes in read[name]] for name in same]
    except KeyError as error:
        raise StoreError(
            f"The stored outcomes on {task} lack {error}; delete those rows to compute them again."
        ) from error
    return same, np.stack([np.concatenate(one) for one in terms])


def _read(digests: Sequence[str], context: Context) -> list[Mapping[str, np.ndarray]]:
    assert context.outcomes is not None
    return [context.outcomes(digest) for digest in digests]


def _sharing(index: np.ndarray, indices: Iterable[np.ndarray]) -> int:
    return sum(np.array_equal(index, other) for other in indices)


@dataclass(frozen=True)
class _Tally:
    wins: int
    losses: int


def _tally(clear: pd.DataFrame, encoder: str) -> _Tally:
    up = clear["difference"] > 0
    first, second = clear["first"] == encoder, clear["second"] == encoder
    wins = int(((first & up) | (second & ~up)).sum())
    return _Tally(wins, int((first | second).sum()) - wins)


def _verdict(lines: pd.DataFrame, level: float) -> str:
    clear = lines[lines["p_holm"] < 1 - level]
    encoders = sorted({*lines["first"], *lines["second"]})
    sizes = " to ".join(map(str, sorted({lines["n"].min(), lines["n"].max()})))
    what = (
        f"{len(clear)} of {numbered(len(lines), 'comparison')} of {len(encoders)} encoders on "
        f"{numbered(lines['task'].nunique(), 'task')} (n = {sizes} test examples) are told apart "
        f"by paired tests at {1 - level:.2g} after Holm's correction"
    )
    if clear.empty:
        return f"{what}: no evidence that one is better than another."
    tallies = {name: _tally(clear, name) for name in encoders}
    best = max(encoders, key=lambda name: tallies[name].wins - tallies[name].losses)
    largest = clear.iloc[int(np.argmax(clear["difference"].abs()))]
    return (
        f"{what}; {best} wins {tallies[best].wins} and loses {tallies[best].losses} of its own, "
        f"and the largest difference is {largest['first']} minus {largest['second']} on "
        f"{largest['task']}, {largest['difference']:+.3f} ({100 * level:g} % interval "
        f"{largest['low']:.3f} to {largest['high']:.3f})."
    )


def _figure(lines: pd.DataFrame, level: float) -> Figure:
    """Return a heat map: tasks on which the row's encoder wins, minus those on which it loses."""
    clear = np.where(lines["p_holm"] < 1 - level, np.sign(lines["difference"]), 0.0)
    there = pd.DataFrame({"row": lines["first"], "column": lines["second"], "value": clear})
    back = pd.DataFrame({"row": lines["second"], "column": lines["first"], "value": -clear})
    data = pd.concat([there, back]).groupby(["row", "column"])["value"].sum().reset_index()
    most = float(data["value"].abs().max()) or 1.0
    return Figure(
        kind="heatmap",
        title="Tasks won minus tasks lost, by paired tests after correction",
        x="against",
        y="encoder",
        data=data,
        value="tasks won minus lost",
        limits=(-most, most),
    )
