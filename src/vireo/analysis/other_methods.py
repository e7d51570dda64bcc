"""Does any method stand out from the rest on the same images? The study's appendix J.

The study's side experiments add SimSiam and Exemplar-v2 to ask whether it missed a method that is
far better. Here every two methods are compared: one recipe each, on the set that most of them were
trained on, for as many epochs as most of them; scores are minus the supervised encoder's and over
the task's standard deviation, as in the study's figures 6 and 16.

References:
    Kotar et al. 2021, appendix J and figure 16. https://arxiv.org/abs/2103.14005
"""

from itertools import combinations

import numpy as np
import pandas as pd

from vireo.analysis.context import ALONE, Context
from vireo.analysis.encoders import SUPERVISED, facts_of
from vireo.analysis.finding import Figure, Finding
from vireo.analysis.intervals import mean_interval
from vireo.analysis.multiplicity import holm
from vireo.analysis.sign_flips import sign_flip_test, signed_ranks
from vireo.analysis.table import level_of, present
from vireo.analysis.wide import families, full_part, spreads, wide_scores
from vireo.analysis.words import interval_words, listed, numbered, p_words
from vireo.errors import SettingError

CAPTION = (
    "Two methods over tasks, one recipe each (the mean of its runs). `difference`: mean over tasks "
    "of first - second, in standard deviations of the task's scores over all encoders; `low`, "
    "`high`: Student's interval over tasks. `wins`: tasks on which the first is better. `p`: signs "
    "of signed ranks changed at random (Wilcoxon's statistic); `p_holm`: Holm's correction over "
    "all pairs. Tasks are the units: this says nothing of another pre-training run, and tasks that "
    "ask nearly the same (ImageNet and its second test set) count twice."
)


def other_methods(table: pd.DataFrame, context: Context = ALONE) -> Finding:
    """Return one line a pair of methods.

    Args:
        table: where cells are missing, the largest part without holes is compared.
        context: is not asked.

    Raises:
        SettingError: no set that two methods were trained on, or fewer than two tasks.
    """
    table, missing = present(table)
    chosen, words = _chosen(facts_of(table))
    wide = wide_scores(table)
    spread = spreads(wide)
    scores, notes = full_part(_by_method(wide, chosen), tasks=2)
    scores = scores / spread[scores.columns].where(spread > 0, 1.0)
    level = level_of(table)
    pairs = list(combinations(scores.index, 2))
    lines = pd.DataFrame([_line(scores, first, second, level) for first, second in pairs])
    lines["p_holm"] = holm(lines["p"])
    notes = (*missing, *notes)
    notes += tuple(f"{method}: {listed(names)}." for method, names in chosen.items())
    return Finding(
        "Methods on the same images",
        lines,
        CAPTION,
        _verdict(lines, scores, f"{words}{_single(chosen)}", level),
        (_figure(scores, families(table)),),
        notes,
    )


def _chosen(facts: pd.DataFrame) -> tuple[dict[str, list[str]], str]:
    """Return method to the runs of one recipe, and what they share, in words."""
    trained = facts[~facts["method"].isin(["random", "unknown"])]
    trained = trained[~trained["pretraining_set"].isin(["none", "unknown"])]
    sets = trained.groupby(["pretraining_set", "architecture"])["method"].nunique()
    if sets.empty or sets.max() < 2:
        raise SettingError(
            "Methods are compared on the same images and architecture; no set has encoders of two "
            "methods. Pre-train a second method on one of the sets."
        )
    images, architecture = sets.index[int(np.argmax(sets.to_numpy()))]
    same = trained[
        (trained["pretraining_set"] == images) & (trained["architecture"] == architecture)
    ]
    by_epochs = same.groupby("epochs")["method"].nunique()
    epochs = float(by_epochs.index[int(np.argmax(by_epochs.to_numpy()))]) if len(by_epochs) else 0.0
    chosen = {str(m): _nearest(part, epochs) for m, part in same.groupby("method", sort=True)}
    return chosen, f"{images} ({architecture}, about {epochs:g} epochs where there is a choice)"


def _single(chosen: dict[str, list[str]]) -> str:
    """Say which methods are one run each, whose luck no test over tasks can know."""
    alone = [method for method, runs in chosen.items() if len(runs) == 1]
    if not alone:
        return ""
    who = "one run each" if len(alone) == len(chosen) else f"one run each of {listed(alone)}"
    return f", {who}"


def _nearest(part: pd.DataFrame, epochs: float) -> list[str]:
    """Return the runs of the recipe whose epochs are nearest."""
    distance = (part["epochs"].astype("float64") - epochs).abs().fillna(np.inf)
    recipe = part.loc[distance.sort_values(kind="stable").index[0], "recipe"]
    return [str(name) for name in part.index[part["recipe"] == recipe]]


def _by_method(wide: pd.DataFrame, chosen: dict[str, list[str]]) -> pd.DataFrame:
    means = {method: wide.loc[names].mean() for method, names in chosen.items()}
    return pd.DataFrame(means).T.rename_axis(index="encoder", columns="task")


def _line(scores: pd.DataFrame, first: str, second: str, level: float) -> dict[str, object]:
    apart = (scores.loc[first] - scores.loc[second]).to_numpy(dtype=np.float64)
    low, high = mean_interval(apart, level)
    return {
        "first": first,
        "second": second,
        "difference": float(apart.mean()),
        "low": low,
        "high": high,
        "wins": int((apart > 0).sum()),
        "tasks": len(apart),
        "p": float(sign_flip_test(apart[:, None], f"{first} {second}", signed_ranks)[0]),
    }


def _verdict(lines: pd.DataFrame, scores: pd.DataFrame, words: str, level: float) -> str:
    best = str(scores.mean(axis=1).idxmax())
    own = lines[(lines["first"] == best) | (lines["second"] == best)]
    others = np.where(own["first"] == best, own["second"], own["first"])
    clear = (own["p_holm"] < 1 - level).to_numpy()
    sign = np.where(own["first"] == best, 1, -1)
    place = int(np.argmin(np.abs(own["difference"])))
    nearest = own.iloc[place]
    low, high = sorted([sign[place] * nearest["low"], sign[place] * nearest["high"]])
    beaten = listed(sorted(others[clear])) or "none"
    return (
        f"Of {numbered(len(scores), 'method')} on {words}, {best} is best on average over "
        f"{numbered(scores.shape[1], 'task')} and ahead of {beaten} by signed ranks over tasks "
        f"(Holm's correction; these runs, not others like them); it leads {others[place]} by "
        f"{abs(nearest['difference']):.2f} standard deviations "
        f"({interval_words(low, high, level)}, corrected {p_words(nearest['p_holm'])})."
    )


def _figure(scores: pd.DataFrame, family: dict[str, str]) -> Figure:
    """Return boxes of each method's scores minus the supervised one's, or minus the mean."""
    taught = SUPERVISED in scores.index
    gain = scores - (scores.loc[SUPERVISED] if taught else scores.mean())
    gain = gain.drop(index=SUPERVISED) if taught else gain
    data = gain.rename_axis("label").reset_index().melt("label", var_name="point")
    data = data.assign(group=data["point"].map(family))
    what = "supervised" if taught else "the mean of methods"
    title = "Methods on the same images, over tasks"
    axis = f"score minus that of {what}, standard deviations of the task"
    return Figure(kind="box", title=title, x="", y=axis, data=data, reference=0.0)
