"""How much do scores vary from run to run of the same recipe? The study's appendix G.

The study trains SwAV three times and finds scores within 0.85 % of their mean. Beside that number
stand what it has to be compared with: the spread between recipes, the luck of the probe's head, and
the difference that two single runs must exceed before it means anything.

References:
    Kotar et al. 2021, appendix G. https://arxiv.org/abs/2103.14005
"""

import numpy as np
import pandas as pd
from scipy import stats

from vireo.analysis.context import ALONE, Context
from vireo.analysis.encoders import facts_of
from vireo.analysis.finding import Figure, Finding
from vireo.analysis.intervals import mean_interval
from vireo.analysis.table import level_of, present
from vireo.analysis.wide import families, wide_scores
from vireo.analysis.words import listed, numbered
from vireo.errors import SettingError

CAPTION = (
    "Runs of one recipe: the same method, set, images, epochs, balance, architecture and digest "
    "of all other settings, so that they differ in their seeds (and the draw of a subset) alone. "
    "Rows of encoders that others trained, and older ones, have no digest and are taken to agree: "
    "give a variant of those a method's name of its own. `deviation`: standard deviation of "
    "their scores. `relative`: mean of |score - mean| / |mean|, as the study reports it; it "
    "depends on where a metric has its zero. `between`: standard deviation over all recipes of "
    "the table. `head`: standard deviation over seeds of the probe's head, which over the root of "
    "their number is part of `deviation`. "
    "`detectable`: what the scores of two single runs must differ by (t quantile x sqrt 2 x the "
    "deviation pooled over recipes). Few runs give rough deviations."
)
COLUMNS = (
    *("recipe", "task", "family", "runs", "mean", "deviation", "relative", "largest"),
    *("between", "head", "detectable"),
)


def seeds(table: pd.DataFrame, context: Context = ALONE) -> Finding:
    """Return one line a recipe with several runs and a task.

    Args:
        table: cells may be missing; a task needs two runs of a recipe.
        context: is not asked.

    Raises:
        SettingError: no recipe was run twice.
    """
    table, notes = present(table)
    facts = _distinct(table, facts_of(table))
    repeated = _repeated(facts)
    if not repeated:
        raise SettingError(
            "No recipe was pre-trained more than once, so nothing can be said of the luck of a "
            "run; give one pre-training run several seeds (seed = [0, 1, 2] in a grid)."
        )
    wide = wide_scores(table)
    between = _between(wide, facts)
    lines = pd.DataFrame(
        [line for name, runs in repeated.items() for line in _lines(name, wide.loc[runs])]
    )
    lines["family"] = lines["task"].map(families(table))
    lines["between"] = lines["task"].map(between)
    runs = [name for names in repeated.values() for name in names]
    lines["head"] = lines["task"].map(_of_heads(table[table["encoder"].isin(runs)]))
    lines["detectable"] = lines["task"].map(_detectable(lines, level_of(table)))
    lines = lines[list(COLUMNS)]
    verdict = _verdict(lines, repeated, level_of(table))
    return Finding("Variation from run to run", lines, CAPTION, verdict, (_figure(lines),), notes)


def _distinct(table: pd.DataFrame, facts: pd.DataFrame) -> pd.DataFrame:
    """Return the facts without second names of the same weights."""
    if "encoder_digest" not in table.columns:
        return facts
    digests = table.groupby("encoder")["encoder_digest"].agg(lambda one: " ".join(sorted(set(one))))
    return facts[~digests.reindex(facts.index).duplicated()]


def _repeated(facts: pd.DataFrame) -> dict[str, list[str]]:
    """Return words for a recipe to the names of its runs, where there are several.

    Weights of which nobody says how long they were trained may be of different recipes. Recipes
    that the words do not tell apart are called after their first run too.
    """
    known = facts[facts["epochs"].notna() & (facts["pretraining_set"] != "unknown")]
    groups = [runs for _, runs in known.groupby("recipe", sort=True) if len(runs) > 1]
    several = facts["architecture"].nunique() > 1
    words = [_words(runs.iloc[0], several) for runs in groups]
    return {
        word + f", as {runs.index[0]}" * (words.count(word) > 1): [str(name) for name in runs.index]
        for word, runs in zip(words, groups, strict=True)
    }


def _words(run: pd.Series, several: bool) -> str:
    words = f"{run['method']} on {run['pretraining_set']}, {run['epochs']:g} epochs"
    return words + f" ({run['architecture']})" * several


def _between(wide: pd.DataFrame, facts: pd.DataFrame) -> pd.Series:
    """Return each task's standard deviation over the means of pre-trained recipes."""
    trained = facts[facts["method"] != "random"]
    means = wide.reindex(trained.index).groupby(trained["recipe"]).mean()
    return means.std(ddof=1)


def _lines(recipe: str, runs: pd.DataFrame) -> list[dict[str, object]]:
    lines = []
    for task in runs.columns:
        scores = runs[task].dropna().to_numpy(dtype=np.float64)
        if len(scores) > 1:
            mean = scores.mean()
            apart = np.abs(scores - mean) / abs(mean) if mean else np.full(len(scores), np.nan)
            numbers = {"mean": mean, "deviation": scores.std(ddof=1)}
            spread = {"relative": apart.mean(), "largest": apart.max()}
            lines.append({"recipe": recipe, "task": task, "runs": len(scores)} | numbers | spread)
    return lines


def _of_heads(table: pd.DataFrame) -> pd.Series:
    """Return each task's standard deviation over the heads' seeds, pooled over encoders."""
    groups = table.groupby(["task", "encoder"])["score"]
    freedom = (groups.size() - 1).groupby("task").sum()
    squares = (table["score"] - groups.transform("mean")) ** 2
    summed = squares.groupby(table["task"]).sum()
    deviation: pd.Series = np.sqrt(summed / freedom.where(freedom > 0))
    return deviation


def _detectable(lines: pd.DataFrame, level: float) -> pd.Series:
    """Return each task's least difference of two single runs that is beyond luck."""
    freedom = (lines["runs"] - 1).groupby(lines["task"]).sum()
    squares = (lines["deviation"] ** 2 * (lines["runs"] - 1)).groupby(lines["task"]).sum()
    quantile = stats.t.ppf(0.5 + level / 2, freedom)
    return pd.Series(quantile * np.sqrt(2 * squares / freedom), index=freedom.index)


def _verdict(lines: pd.DataFrame, repeated: dict[str, list[str]], level: float) -> str:
    by_task = lines.groupby("task")[["relative", "deviation", "between"]].mean()
    relative = by_task["relative"].dropna()
    low, high = mean_interval(relative.to_numpy(), level)
    bounds = f"{100 * low:.2f} % to {100 * high:.2f} %"
    reach = "" if np.isnan(low) else f" ({100 * level:g} % interval over tasks {bounds})"
    share = (by_task["deviation"] / by_task["between"]).median()
    compared = (
        ""
        if np.isnan(share)
        else f"; the median task's deviation between runs is {share:.2f} of that between recipes"
    )
    runs = [f"{len(names)} runs of {recipe}" for recipe, names in repeated.items()]
    most = lines.iloc[int(np.argmax(lines["largest"]))]
    return (
        f"Scores of {listed(runs, most=3)} lie {100 * relative.mean():.2f} % from their mean on "
        f"average over {numbered(len(by_task), 'task')}{reach}, at most "
        f"{100 * most['largest']:.2f} % ({most['task']})"
        f"{compared}."
    )


def _figure(lines: pd.DataFrame) -> Figure:
    data = pd.DataFrame(
        {"label": lines["task"], "value": 100 * lines["relative"], "group": lines["recipe"]}
    )
    title = "Distance of a run from the mean of its recipe"
    return Figure(kind="bars", title=title, x="", y="share of the mean score, %", data=data)
