"""What does a better encoder cost? The encoders that none beats at the same price.

Costs are facts of the encoder, not of this machine: operations of one forward pass (to use it),
parameters (to keep it), images seen in pre-training (to make it).
"""

import numpy as np
import pandas as pd

from vireo.analysis.context import ALONE, Context
from vireo.analysis.encoders import facts_of
from vireo.analysis.finding import Figure, Finding
from vireo.analysis.intervals import mean_interval
from vireo.analysis.normalised import with_skill
from vireo.analysis.scores import cell_scores
from vireo.analysis.table import level_of, present
from vireo.analysis.wide import full_part
from vireo.analysis.words import interval_words, listed, numbered
from vireo.errors import SettingError

COSTS = {
    "forward": "operations of a forward pass, GFLOP",
    "seen": "images seen in pre-training, millions",
    "parameters": "parameters, millions",
}
"""Name of a cost to its words with unit, in the order of interest."""
CAPTION = (
    "`skill`: mean over tasks of (score - floor) / (perfect - floor). `front`: no other encoder is "
    "as good for less, or better for no more. `beaten_by`: the best that costs no more; `behind`: "
    "how much better its skill is, with Student's interval over tasks (the same tasks, paired). "
    "Costs: operations are multiply-adds counted twice, at the size that the encoder was trained "
    "at; images seen are images x epochs, and count a view of an image once however many crops a "
    "method takes."
)
COLUMNS = ("cost", "encoder", "value", "skill", "front", "beaten_by", "behind", "low", "high")


def pareto(table: pd.DataFrame, context: Context = ALONE) -> Finding:
    """Return one line a cost and encoder, cheapest first.

    Args:
        table: where cells are missing, the largest part without holes is read.
        context: is not asked.

    Raises:
        SettingError: fewer than two encoders, or no cost that differs between them.
    """
    rows, _ = present(table)
    cells = with_skill(cell_scores(rows))
    skill, notes = full_part(cells.pivot(index="encoder", columns="task", values="skill"))
    level, parts = level_of(table), []
    for name, values in _costs(rows).items():
        known = values.reindex(skill.index).dropna()
        if known.nunique() < 2:
            notes += (f"Not compared by {COSTS[name]}: it is the same or unknown for all.",)
            continue
        unknown = skill.index.difference(known.index)
        notes += (f"Without {COSTS[name]}: {listed(list(unknown))}.",) if len(unknown) else ()
        parts.append(_lines(skill.loc[known.index], known, level).assign(cost=name))
    if not parts:
        raise SettingError(
            "The encoders do not differ in any known cost, so there is nothing to trade skill for; "
            "add an encoder of another architecture, or trained for longer or on more images."
        )
    lines = pd.concat(parts, ignore_index=True)[list(COLUMNS)]
    said = "; ".join(_said(name, lines, skill, level) for name in lines["cost"].unique())
    verdict = f"{said[:1].upper()}{said[1:]}."
    return Finding("Skill against cost", lines, CAPTION, verdict, (_figure(lines),), notes)


def front(cost: np.ndarray, skill: np.ndarray) -> np.ndarray:
    """Return who is not beaten: nobody is cheaper and as good, or better and as cheap.

    Example:
        >>> front(np.array([1.0, 2.0, 2.0, 3.0]), np.array([0.5, 0.7, 0.6, 0.7])).tolist()
        [True, True, False, False]
    """
    cheaper = (cost[None, :] <= cost[:, None]) & (skill[None, :] >= skill[:, None])
    strictly = (cost[None, :] < cost[:, None]) | (skill[None, :] > skill[:, None])
    return np.asarray(~(cheaper & strictly).any(axis=1))


def _costs(table: pd.DataFrame) -> dict[str, pd.Series]:
    """Return each cost of every encoder, in the unit of its words; NaN where nobody says."""
    facts = facts_of(table)
    columns = [name for name in ("encoder_flops", "parameters") if name in table.columns]
    own = table.groupby("encoder")[columns].first().astype("float64").reindex(facts.index)
    seen = facts["images"].astype("float64") * facts["epochs"].astype("float64")
    costs = {"seen": seen.where(facts["method"] != "random", 0.0) / 1e6}
    if "encoder_flops" in own:
        costs["forward"] = own["encoder_flops"] / 1e9
    if "parameters" in own:
        costs["parameters"] = own["parameters"] / 1e6
    return {name: costs[name] for name in COSTS if name in costs}


def _lines(skill: pd.DataFrame, cost: pd.Series, level: float) -> pd.DataFrame:
    mean = skill.mean(axis=1)
    lines = []
    for name in skill.index:
        affordable = mean[cost <= cost[name]]
        best = str(affordable.idxmax())
        ahead = (skill.loc[best] - skill.loc[name]).to_numpy(dtype=np.float64)
        beaten = best != name
        low, high = mean_interval(ahead, level) if beaten else (np.nan, np.nan)
        numbers = {"value": cost[name], "skill": mean[name], "behind": ahead.mean()}
        words = {"encoder": str(name), "beaten_by": best if beaten else ""}
        lines.append(words | numbers | {"low": low, "high": high})
    found = pd.DataFrame(lines)
    found["front"] = front(found["value"].to_numpy(), found["skill"].to_numpy())
    return found.sort_values(["value", "skill", "encoder"], ascending=[True, False, True])


def _said(cost: str, lines: pd.DataFrame, skill: pd.DataFrame, level: float) -> str:
    own = lines[lines["cost"] == cost]
    best = own[own["front"]].sort_values("value")
    words, _, unit = COSTS[cost].removesuffix("s").partition(", ")
    verb = "is" if len(best) == 1 else "are"
    said = f"by {words} {len(best)} of {numbered(len(own), 'encoder')} {verb} beaten by none"
    cheap, dear = best.iloc[0], best.iloc[-1]
    if len(best) == 1:
        return f"{said} ({dear['encoder']})"
    ahead = (skill.loc[dear["encoder"]] - skill.loc[cheap["encoder"]]).to_numpy(dtype=np.float64)
    low, high = mean_interval(ahead, level)
    interval = interval_words(low, high, level)
    return (
        f"{said}, from {cheap['encoder']} ({cheap['value']:,.4g} {unit}) to {dear['encoder']} "
        f"({dear['value']:,.4g} {unit}), whose skill is {ahead.mean():+.3f} ({interval}"
        f" over {numbered(len(ahead), 'task')})"
    )


def _figure(lines: pd.DataFrame) -> Figure:
    on_front = lines["front"].map({True: "beaten by none", False: "beaten"})
    data = pd.DataFrame(
        {
            "x": lines["value"],
            "y": lines["skill"],
            "label": lines["encoder"],
            "group": on_front,
            "panel": lines["cost"].map(COSTS),
        }
    )
    return Figure(kind="scatter", title="Skill against cost", x="cost", y="mean skill", data=data)
