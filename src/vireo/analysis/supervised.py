r"""The study's first question: is supervised learning on ImageNet a good default?

Published: on each task the best self-supervised encoder against the supervised one. Of k encoders
the best beats another one on $k / (k + 1)$ of the tasks though all are alike, so that count is
printed beside it, and the test is of an encoder that was chosen without the task: the one with the
highest mean gain on the other tasks. That is fair to tasks and not to encoders: the best of k runs
meets one supervised run. So the verdict also says how many of all k lead it on average, and how
likely so extreme a place of one run among k + 1 is if all are alike ($2 / (k + 1)$ at the least).

References:
    Kotar et al. 2021, Contrasting contrastive self-supervised representation learning pipelines,
    section 5 (1) and figure 3. https://arxiv.org/abs/2103.14005
"""

import math
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from vireo.analysis.bootstrap import sign_test
from vireo.analysis.context import ALONE, Context
from vireo.analysis.encoders import Match, facts_of, matched
from vireo.analysis.finding import Figure, Finding
from vireo.analysis.scores import cell_scores
from vireo.analysis.table import level_of, present
from vireo.analysis.wide import spreads, wide_scores
from vireo.analysis.words import listed, numbered, p_words
from vireo.errors import SettingError

FEWEST_TASKS = 6
"""With fewer, not even a win on every task is significant at 5 % in a two-sided sign test."""
BETTER = "it is the better default"
COLUMNS = (
    *("task", "family", "best", "pretraining_set", "score", "supervised", "gain", "percent"),
    *("clear", "share_above", "encoders", "chosen", "chosen_gain", "chosen_percent"),
)
CAPTION = (
    "`best`: the self-supervised encoder with the highest score of `encoders`; `supervised`: the "
    "score of {supervised}; `gain`: their difference; `percent`: the gain over the size of the "
    "supervised score. `clear`: their intervals do not overlap. `share_above`: of the "
    "self-supervised encoders, those above the supervised one. `chosen`: the encoder with the "
    "highest mean gain (in standard deviations of a task) on all other tasks, and its gain here: "
    "what a default is worth on a task that did not choose it. The best of many is chosen on the "
    "very scores that it is praised for: read `gain` as an upper bound. `chosen` is free of that "
    "for the task, not for the encoder: were all alike but for the luck of a run, the best of many "
    "runs would still lead one supervised run on most tasks."
)


def supervised(table: pd.DataFrame, context: Context = ALONE) -> Finding:
    """Return one line a task: the best self-supervised encoder against the supervised one.

    Args:
        table: cells may be missing: a task without the supervised encoder is left out, and only
            encoders with all tasks can be `chosen`.
        context: is not asked.

    Raises:
        SettingError: no supervised encoder, no self-supervised one, or no task in common.
    """
    table, notes = present(table)
    match, facts = matched(table), facts_of(table)
    cells = cell_scores(table)
    wide = wide_scores(table)
    tasks = [
        task
        for task in wide.columns
        if wide[task].notna()[match.supervised] and wide.loc[match.own, task].notna().any()
    ]
    if not tasks:
        raise SettingError(f"No task has {match.supervised} and a self-supervised encoder.")
    scaled = _scaled_gains(wide[tasks], match)
    chosen = chosen_by_others(wide[tasks], match)
    lines = [_line(task, wide, cells, match) | chosen.get(task, {}) for task in tasks]
    found = pd.DataFrame(lines, columns=list(COLUMNS))
    found["pretraining_set"] = found["best"].map(facts["pretraining_set"])
    return Finding(
        title="Is supervised learning a good default?",
        table=found,
        caption=CAPTION.format(supervised=match.supervised),
        verdict=_verdict(found, match, scaled.mean(axis=1), level_of(table)),
        figures=(_figure(found, match.supervised),),
        notes=(*notes, *match.notes),
    )


def _line(task: str, wide: pd.DataFrame, cells: pd.DataFrame, match: Match) -> dict[str, Any]:
    own, rival = wide.loc[match.own, task].dropna(), float(wide[task][match.supervised])
    best = str(own.idxmax())
    gain = float(own[best]) - rival
    here = cells[cells["task"] == task].set_index("encoder")
    return {
        "task": task,
        "family": here["family"][best],
        "best": best,
        "score": float(own[best]),
        "supervised": rival,
        "gain": gain,
        "percent": percent(gain, rival),
        "clear": _apart(here, best, match.supervised),
        "share_above": float((own > rival).mean()),
        "encoders": len(own),
        "chosen": "",
    }


def percent(gain: float, base: float) -> float:
    """Return a gain as a percentage of the size of what it is over; NaN over nothing.

    Example:
        >>> percent(0.25, -0.5), percent(0.1, 0.0)
        (50.0, nan)
    """
    return 100 * gain / abs(base) if base else math.nan


def _apart(cells: pd.DataFrame, one: str, other: str) -> bool:
    low, high = cells["low"], cells["high"]
    return bool(low[one] > high[other] or low[other] > high[one])


def chosen_by_others(wide: pd.DataFrame, match: Match) -> dict[str, dict[str, Any]]:
    """Return for each task the encoder that the other tasks choose, and its gain there."""
    scaled = _scaled_gains(wide, match)
    if scaled.empty or len(scaled.columns) < 2:
        return {}
    found = {}
    for task in wide.columns:
        name = str(scaled.drop(columns=task).mean(axis=1).idxmax())
        gain = float(wide[task][name] - wide[task][match.supervised])
        share = percent(gain, float(wide[task][match.supervised]))
        found[task] = {"chosen": name, "chosen_gain": gain, "chosen_percent": share}
    return found


def _scaled_gains(wide: pd.DataFrame, match: Match) -> pd.DataFrame:
    """Return gains in standard deviations of a task, of the encoders that have all tasks."""
    own = wide.loc[match.own].dropna()
    spread = spreads(wide.loc[[*own.index, match.supervised]])
    return (own - wide.loc[match.supervised]) / spread.where(spread > 0, 1.0)


def _verdict(found: pd.DataFrame, match: Match, means: pd.Series, level: float) -> str:
    """Say on how many tasks the best, and one chosen beforehand, are above the supervised one."""
    won, count = int((found["gain"] > 0).sum()), len(found)
    chance = float((found["encoders"] / (found["encoders"] + 1)).sum())
    kept = listed(list(found.loc[found["gain"] <= 0, "task"]))
    behind = f" (all but {kept})" if 0 < won < count else ""
    other = "" if match.alike else ", a network of another architecture,"
    best = "The one" if len(match.own) == 1 else f"The best of {len(match.own)}"
    default = _default(found["chosen_gain"].dropna().to_numpy(dtype=np.float64), level)
    if default.endswith(BETTER) and place_test(means) >= 1 - level:
        runs = f"the best of {len(means)}" if len(means) > 1 else "one run"
        default += f" of these, but {runs} against one supervised run may be so by luck"
    return (
        f"{best} self-supervised encoder{'s' * (len(match.own) > 1)} scores above "
        f"{match.supervised}{other} on {won} of {numbered(count, 'task')}{behind}, {chance:.1f} "
        f"expected if all were alike{_place(means)}; {default}."
    )


def _place(means: pd.Series) -> str:
    """Say how many of all, chosen or not, are above the supervised one on average."""
    if len(means) < 2:
        return ""
    above = f"{int((means > 0).sum())} of {len(means)}"
    test = f"exchange of runs {p_words(place_test(means))}"
    return f", and {above} do so on average over tasks ({test})"


def place_test(means: pd.Series) -> float:
    """Return the two-sided p-value of the supervised run's place if all runs are alike.

    Args:
        means: of each self-supervised encoder over the supervised one.

    Example:
        >>> place_test(pd.Series([1.0] * 39)), place_test(pd.Series([1.0, -1.0, 2.0]))
        (0.05, 1.0)
    """
    above, below = int((means > 0).sum()), int((means < 0).sum())
    return min(1.0, 2 * (len(means) - max(above, below) + 1) / (len(means) + 1))


def _default(gains: np.ndarray, level: float) -> str:
    """Say what the encoder chosen on other tasks is worth."""
    if not len(gains):
        return (
            "whether one is a better default cannot be said: that needs a self-supervised encoder "
            "that has all of two tasks or more"
        )
    won, lost = int((gains > 0).sum()), int((gains < 0).sum())
    share = stats.binomtest(won, len(gains)).proportion_ci(level)
    span = f"{100 * level:g} % interval of the share {share.low:.2f} to {share.high:.2f}"
    p = sign_test(won, lost)
    said = f"one chosen on the other tasks does on {won} of {len(gains)} (sign test over tasks "
    said += f"{p_words(p)}, {span})"
    if len(gains) < FEWEST_TASKS:
        return f"{said}: {FEWEST_TASKS} tasks are the fewest that could show a better default"
    if p >= 1 - level:
        return f"{said}: no evidence that either is the better default"
    if won < lost:
        return f"{said}: the supervised one is the better default"
    return f"{said}: {BETTER}"


def _figure(found: pd.DataFrame, name: str) -> Figure:
    known = found.dropna(subset=["percent"]).sort_values("percent", kind="stable")
    names = {"task": "label", "percent": "value", "pretraining_set": "group", "best": "encoder"}
    data = known.rename(columns=names)[["label", "value", "group", "encoder"]]
    return Figure(
        kind="bars",
        title=f"Best self-supervised encoder against {name}, by its pre-training set",
        x="",
        y="gain over the supervised score, %",
        data=data.reset_index(drop=True),
        reference=0.0,
    )
