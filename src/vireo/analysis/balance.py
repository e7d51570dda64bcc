r"""The study's sixth question: does an unbalanced pre-training set make a poorer encoder?

Two analyses stand side by side. The factorial analysis of variance, as published, takes every cell
(an encoder on a task) for an independent observation. It is not: an encoder's cells share one
pre-training run, so its p-values are too small by as much as encoders differ by luck. The mixed
model $score = task + balance + method + size + steps + u_{encoder} + e$ takes encoders for the
sample that they are. With task as a factor both analyse task-centred scores, and pay the degrees of
freedom that centring costs.

References:
    Kotar et al. 2021, Contrasting contrastive self-supervised representation learning pipelines,
    section 5 (6) and appendix F. https://arxiv.org/abs/2103.14005
    Hurlbert 1984, Pseudoreplication and the design of ecological field experiments.
"""

import pandas as pd

from vireo.analysis.balance_models import (
    BY_CELL,
    BY_ENCODER,
    Cells,
    cells_of,
    differences,
    tables_of_variance,
)
from vireo.analysis.context import ALONE, Context
from vireo.analysis.factorial import factorial
from vireo.analysis.finding import Figure, Finding
from vireo.analysis.multiplicity import holm
from vireo.analysis.table import level_of, present
from vireo.analysis.words import listed, numbered, p_words

CAPTION = (
    "Encoders pre-trained on unbalanced sets beside those on balanced sets of the same size. "
    "`scores`: minus their task's mean, or that over the task's standard deviation, so that all "
    "tasks weigh the same; tasks are in every model, and centring leaves them nothing to explain. "
    "`model`: main effects (as published), with the interactions of task, method and "
    "balance (sums of squares of type II and III), or mixed, with the encoder as a random effect: "
    "its test is the one that speaks of another pre-training run. `size` and `steps` are log2, one "
    "degree of freedom each. `eta2`, `omega2`: partial effect sizes; eta2 is too large in small "
    "tables. Cells of one encoder are not independent, so p of the models without a random effect "
    "is too small wherever encoders differ by luck."
)
_LINE = ("scores", "model", "type", "term", "df", "df_residual", "sum_of_squares")
COLUMNS = (*_LINE, "F", "p", "eta2", "omega2")


def balance(table: pd.DataFrame, context: Context = ALONE) -> Finding:
    """Return the tables of variance, and as a figure the differences that they are about.

    Args:
        table: cells may be missing; type II and the mixed model do without them.
        context: is not asked.

    Raises:
        SettingError: no unbalanced set with a balanced one of its size.
    """
    table, missing = present(table)
    design, level = factorial(table), level_of(table)
    cells = cells_of(table, design)
    notes = [*missing, *(f"Not told apart here: {one}." for one in design.aliases)]
    lines = []
    for scores in ("centred", "standardised"):
        found, lacking = tables_of_variance(cells, scores)
        lines += [{"scores": scores, **line} for line in found]
        notes += lacking
    effects = differences(cells, "centred", level)
    return Finding(
        "Balanced against unbalanced pre-training",
        pd.DataFrame(lines, columns=list(COLUMNS)),
        CAPTION,
        _verdict(effects, cells, level),
        (_figure(effects),),
        tuple(dict.fromkeys(notes)),
    )


def _verdict(effects: pd.DataFrame, cells: Cells, level: float) -> str:
    wanted = effects[effects["label"].str.endswith(" - balanced")]
    tested = wanted[wanted["group"] == BY_ENCODER].dropna(subset=["p"])
    tested = tested.assign(p=holm(tested["p"]))
    corrected = dict(zip(tested["label"], tested["p"], strict=True)) if len(tested) > 1 else {}
    said = "; ".join(
        _said(str(name), lines, corrected.get(name), level)
        for name, lines in wanted.groupby("label")
    )
    if tested.empty:
        answer = "Cannot tell: no encoders are left to judge their luck by"
    elif (tested["p"] >= 1 - level).all():
        answer = "No evidence that balance makes a difference"
    else:
        clear = tested[tested["p"] < 1 - level]
        signs = ["above" if value > 0 else "below" for value in clear["value"]]
        ways = [f"{name} {sign} 0" for name, sign in zip(clear["label"], signs, strict=True)]
        answer = f"Balance makes a difference ({listed(ways)})"
    count = numbered(cells.lines["encoder"].nunique(), "encoder")
    return f"{answer}: {said} ({count} x {numbered(cells.lines['task'].nunique(), 'task')})."


def _said(name: str, lines: pd.DataFrame, corrected: float | None, level: float) -> str:
    """Return one difference in words, by both models."""
    known = lines.dropna(subset=["value"])
    if known.empty:
        return f"{name} cannot be told from the tasks that these encoders have"
    by = {str(line["group"]): line for _, line in known.iterrows()}
    said = []
    for model in (BY_CELL, BY_ENCODER):
        if model in by:
            line = by[model]
            test = f"t({line['df']}), {p_words(float(line['p']))}"
            if model == BY_ENCODER and corrected is not None:
                test += f", {corrected:.2g} after Holm's correction"
            bounds = f"{100 * level:g} % interval {line['low']:.4f} to {line['high']:.4f}"
            if pd.isna(line["low"]):
                bounds = "no interval"
            said.append(f"{line['value']:+.4f} with {model} ({bounds}, {test})")
    return f"{name} is {' and '.join(said)}"


def _figure(effects: pd.DataFrame) -> Figure:
    return Figure(
        kind="intervals",
        title="What pre-training changes in the score, over all tasks",
        x="difference of scores, in their own units",
        y="",
        data=effects,
        reference=0.0,
    )
