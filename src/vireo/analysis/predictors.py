"""Which task tells most about all the others? A battery's best substitute, and its best few.

A task is compared with the mean of the *other* tasks' standardised scores, so that none is compared
with itself. The same for groups: tasks are added one by one, each time the one whose mean with
those before goes best with the mean of what is left.
"""

import numpy as np
import pandas as pd

from vireo.analysis.bootstrap import Draws, percentiles, weighted_pearson, weighted_spearman
from vireo.analysis.context import ALONE, Context
from vireo.analysis.encoders import facts_of
from vireo.analysis.finding import Figure, Finding
from vireo.analysis.table import level_of
from vireo.analysis.wide import families, full_part, standardised, wide_scores
from vireo.analysis.words import interval_words, numbered

UNTRAINED = "random"
CAPTION = (
    "`spearman`, `pearson`: of the task's scores with the mean over all other tasks (each minus "
    "its mean, over its standard deviation), over trained encoders; intervals by bootstrap over "
    "recipes of pre-training. `first_in`: share of the draws in which this task's Spearman is the "
    "highest: how sure its place is. `order`: the place at which the task is added to a growing "
    "group, `together`: Pearson's r of the group's mean with the mean of the tasks left. The group "
    "was chosen on these encoders, so `together` flatters it; families with many tasks weigh more."
)
COLUMNS = (
    *("task", "family", "spearman", "spearman_low", "spearman_high"),
    *("pearson", "pearson_low", "pearson_high", "first_in", "order", "together"),
)
FEWEST_ENCODERS, FEWEST_TASKS = 4, 3


def predictors(table: pd.DataFrame, context: Context = ALONE) -> Finding:
    """Return one line a task, the best predictor first.

    Args:
        table: where cells are missing, the largest part without holes is read.
        context: is not asked.

    Raises:
        SettingError: fewer than 4 trained encoders with scores on the same 3 tasks.
    """
    wide, facts = wide_scores(table), facts_of(table)
    trained = facts[facts["method"] != UNTRAINED]
    part, notes = full_part(wide.reindex(trained.index), FEWEST_ENCODERS, FEWEST_TASKS)
    scores = standardised(part)
    groups = tuple(trained.loc[part.index, "recipe"])
    counts = Draws.of(groups, "predictors").within(np.ones(len(groups), dtype=bool))
    lines = _lines(scores, counts, level_of(table)).assign(
        family=[families(table)[task] for task in scores.columns]
    )
    order, together = _growing(scores)
    lines["order"], lines["together"] = lines["task"].map(order), lines["task"].map(together)
    lines = lines.sort_values(["spearman", "task"], ascending=[False, True], ignore_index=True)
    lines = lines[list(COLUMNS)]
    verdict = _verdict(lines, len(part), len(set(groups)), level_of(table))
    return Finding(
        "Tasks that predict the others", lines, CAPTION, verdict, tuple(_figures(lines)), notes
    )


def _lines(scores: pd.DataFrame, counts: np.ndarray, level: float) -> pd.DataFrame:
    """Return both correlations of every task; the first line of `counts` is the table itself."""
    spearman, pearson = [], []
    for task in scores.columns:
        own = scores[task].to_numpy(dtype=np.float64)
        rest = scores.drop(columns=task).mean(axis=1).to_numpy(dtype=np.float64)
        spearman.append(weighted_spearman(own, rest, counts))
        pearson.append(weighted_pearson(own, rest, counts))
    ranked = np.nan_to_num(np.array(spearman)[:, 1:], nan=-2.0)
    first = np.bincount(ranked.argmax(0), minlength=len(ranked)) if ranked.size else np.nan
    found = pd.DataFrame({"task": scores.columns, "first_in": first / max(1, ranked.shape[1])})
    for name, values in (("spearman", spearman), ("pearson", pearson)):
        bounds = [percentiles(value[1:], level) for value in values]
        found[name] = [float(value[0]) for value in values]
        found[f"{name}_low"], found[f"{name}_high"] = zip(*bounds, strict=True)
    return found


def _growing(scores: pd.DataFrame) -> tuple[dict[str, int], dict[str, float]]:
    """Return each task's place in the growing group, and the correlation once it is in."""
    chosen: list[str] = []
    together: dict[str, float] = {}
    left = [str(task) for task in scores.columns]
    while len(left) > 1:
        fits = {
            task: _fit(scores, [*chosen, task], [t for t in left if t != task]) for task in left
        }
        best = max(left, key=lambda task: fits[task])
        chosen.append(best)
        left.remove(best)
        together[best] = fits[best]
    together[left[0]] = float("nan")
    return {task: place for place, task in enumerate([*chosen, *left], start=1)}, together


def _fit(scores: pd.DataFrame, group: list[str], rest: list[str]) -> float:
    x = scores[group].mean(axis=1).to_numpy(dtype=np.float64)
    y = scores[rest].mean(axis=1).to_numpy(dtype=np.float64)
    r = weighted_pearson(x, y, np.ones((1, len(x))))[0]
    return float(np.nan_to_num(r, nan=-1.0))


def _verdict(lines: pd.DataFrame, encoders: int, recipes: int, level: float) -> str:
    best, who = lines.iloc[0], "trained encoder"
    interval = interval_words(best["spearman_low"], best["spearman_high"], level)
    sure = (
        ""
        if np.isnan(best["first_in"]) or interval == "no interval"
        else f", first in {100 * best['first_in']:.0f} % of bootstrap draws"
    )
    said = (
        f"Over {numbered(encoders, who)} of {numbered(recipes, 'recipe')}, "
        f"{best['task']} goes best with the mean of the other {len(lines) - 1} tasks (Spearman "
        f"{best['spearman']:.2f}, {interval}{sure})"
    )
    if np.isnan(best["spearman"]):
        return (
            f"Which task tells most of the others cannot be said: over {numbered(encoders, who)} "
            "no task differs from encoder to encoder while the others do."
        )
    imagenet = lines[lines["task"] == "imagenet"]
    if len(imagenet) and best["task"] != "imagenet" and not np.isnan(imagenet["spearman"].iloc[0]):
        line = imagenet.iloc[0]
        said += f"; ImageNet is number {imagenet.index[0] + 1} ({line['spearman']:.2f})"
    enough = lines[lines["together"] >= 0.95]
    if len(enough):
        place = int(enough["order"].min())
        few = lines.sort_values("order")["task"].head(place)
        said += f"; {numbered(place, 'task')}, chosen on these encoders, "
        said += f"reach{'es' * (place == 1)} r = 0.95 with the mean of the rest ({', '.join(few)})"
    return f"{said}."


def _figures(lines: pd.DataFrame) -> list[Figure]:
    bounds = {"value": "spearman", "low": "spearman_low", "high": "spearman_high"}
    by_task = pd.DataFrame({"label": lines["task"], "group": lines["family"]}).assign(
        **{name: lines[column] for name, column in bounds.items()}
    )
    growing = lines.dropna(subset="together").sort_values("order")
    group = pd.DataFrame(
        {"x": growing["order"], "y": growing["together"], "group": "group chosen task by task"}
    )
    axis = "Spearman's correlation with the mean of the other tasks"
    return [
        Figure(
            kind="intervals",
            title="How much a task tells of the others",
            x=axis,
            y="",
            data=by_task,
            reference=0.0,
        ),
        Figure(
            kind="lines",
            title="A few tasks instead of all",
            x="tasks in the group",
            y="correlation of its mean with the mean of the rest",
            data=group.reset_index(drop=True),
        ),
    ]
