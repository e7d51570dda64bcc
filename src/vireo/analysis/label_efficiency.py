"""How many labels does an encoder save? Scores against the number of labelled examples.

Rows of one protocol that differ in how many training examples their heads saw: few-shot probes with
several numbers of shots, or tasks cut to several sizes, collected in one folder.
"""

import numpy as np
import pandas as pd
from scipy import stats

from vireo.analysis.context import ALONE, Context
from vireo.analysis.finding import Figure, Finding
from vireo.analysis.words import listed, numbered
from vireo.errors import SettingError

LABELS = "train_images"
CAPTION = (
    "`labels`: training examples that the head saw; `score`: mean over seeds. `area`: mean height "
    "of the encoder's curve over log2(labels), between the fewest and the most labels that all "
    "encoders of the task have. `labels_like_median`: labels with which the encoder reaches what "
    "the median encoder reaches with the most, read off the curve in log2; empty where it does "
    "not. "
    "Curves are of single draws of training examples where a seed is one draw."
)


def label_efficiency(table: pd.DataFrame, context: Context = ALONE) -> Finding:
    """Return one line a task, encoder and number of labels.

    Args:
        table: rows may share encoder, task and seed; those of the protocol with most numbers of
            labels are read.
        context: with the rows, which say how many labels there were; or the table has the column
            `train_images`.

    Raises:
        SettingError: every task was asked with one number of labels.
    """
    rows, notes = _of_one_protocol(_labelled(table, context))
    rows = rows.sort_values(["task", "encoder", LABELS, "seed", "score"], ignore_index=True)
    mean = {"score": ("score", "mean"), "seeds": ("seed", "nunique")}
    bounds = {"low": ("low", "mean"), "high": ("high", "mean")}
    cells = rows.groupby(["task", "encoder", LABELS], sort=True).agg(**mean, **bounds).reset_index()
    parts = [_of_task(part) for _, part in cells.groupby("task", sort=True)]
    kept = [part for part in parts if len(part)]
    if not kept:
        raise SettingError(
            "Every task was asked with one number of labels, so there is no curve; probe with "
            'protocol "few-shot" and several numbers of shots into one folder.'
        )
    lines = pd.concat(kept, ignore_index=True).rename(columns={LABELS: "labels"})
    out = sorted(set(cells["task"]) - set(lines["task"]))
    notes += (f"Left out, with one number of labels: {listed(out)}.",) if out else ()
    return Finding("Label efficiency", lines, CAPTION, _verdict(lines), (_figure(lines),), notes)


def _labelled(table: pd.DataFrame, context: Context) -> pd.DataFrame:
    if LABELS in table.columns:
        return table
    if context.row is None:
        raise SettingError(
            f"The number of labels stands in the rows, not in the table; analyse the folder of "
            f"results, or add the column '{LABELS}'."
        )
    found = [context.row(digest).hyperparameters.get(LABELS) for digest in table["digest"]]
    return table.assign(**{LABELS: pd.Series(found, index=table.index)}).dropna(subset=LABELS)


def _of_one_protocol(table: pd.DataFrame) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Keep the protocol with the most numbers of labels a task."""
    if table.empty:
        raise SettingError("The table has no row with a known number of labels; run a probe first.")
    counts = table.groupby(["protocol", "task"])[LABELS].nunique().groupby("protocol").sum()
    protocol = str(counts.index[int(np.argmax(counts.to_numpy()))])
    others = sorted(set(table["protocol"]) - {protocol})
    note = f"Read: protocol {protocol}; left out: {listed(others)}."
    return table[table["protocol"] == protocol], (note,) if others else ()


def _of_task(cells: pd.DataFrame) -> pd.DataFrame:
    """Return one task's lines at the numbers of labels that all its encoders have."""
    wide = cells.pivot(index="encoder", columns=LABELS, values="score").dropna(axis=1)
    if wide.shape[1] < 2:
        return pd.DataFrame()
    labels = wide.columns.to_numpy(dtype=np.float64)
    goal = float(wide[wide.columns[-1]].median())
    curves = {name: line.to_numpy(dtype=np.float64) for name, line in wide.iterrows()}
    kept = cells[cells[LABELS].isin(wide.columns)]
    return kept.assign(
        area=kept["encoder"].map({n: mean_height(labels, curve) for n, curve in curves.items()}),
        labels_like_median=kept["encoder"].map(
            {name: labels_for(labels, curve, goal) for name, curve in curves.items()}
        ),
    )


def mean_height(labels: np.ndarray, scores: np.ndarray) -> float:
    """Return the mean height of a curve over log2(labels).

    Example:
        >>> round(mean_height(np.array([1.0, 2.0, 8.0]), np.array([0.0, 0.2, 0.2])), 4)
        0.1667
    """
    x = np.log2(labels)
    return float(np.trapezoid(scores, x) / (x[-1] - x[0]))


def labels_for(labels: np.ndarray, scores: np.ndarray, goal: float) -> float:
    """Return the fewest labels with which a curve reaches `goal`; NaN if it never does.

    Between two numbers of labels the curve is straight in log2(labels).

    Example:
        >>> round(labels_for(np.array([1.0, 4.0]), np.array([0.2, 0.4]), 0.3), 6)
        2.0
    """
    reached = np.flatnonzero(scores >= goal)
    if not len(reached):
        return float("nan")
    place = int(reached[0])
    if place == 0:
        return float(labels[0])
    x, y = np.log2(labels[place - 1 : place + 1]), scores[place - 1 : place + 1]
    return float(2 ** (x[0] + (goal - y[0]) / (y[1] - y[0]) * (x[1] - x[0])))


def _verdict(lines: pd.DataFrame) -> str:
    tasks, encoders = lines["task"].nunique(), lines["encoder"].nunique()
    areas = lines.groupby(["task", "encoder"])["area"].first().unstack("task")
    ranks = areas.rank(ascending=False).mean(axis=1)
    said = (
        f"From {lines['labels'].min():g} to {lines['labels'].max():g} labels on "
        f"{numbered(tasks, 'task')}, {ranks.idxmin()} has the highest curve (mean rank "
        f"{ranks.min():.2f} of {numbered(encoders, 'encoder')})"
    )
    agreement = [_agreement(part) for _, part in lines.groupby("task")]
    known = [value for value in agreement if not np.isnan(value)]
    if not known:
        return f"{said}; too few encoders to say whether their order depends on labels."
    return (
        f"{said}; the order of encoders at the fewest and at the most labels agrees with a mean "
        f"Spearman's correlation of {np.mean(known):.2f} over {numbered(len(known), 'task')}."
    )


def _agreement(part: pd.DataFrame) -> float:
    wide = part.pivot(index="encoder", columns="labels", values="score")
    few, many = wide[wide.columns[0]], wide[wide.columns[-1]]
    if len(wide) < 3 or few.nunique() == 1 or many.nunique() == 1:
        return float("nan")
    return float(stats.spearmanr(few, many).statistic)


def _figure(lines: pd.DataFrame) -> Figure:
    data = pd.DataFrame(
        {
            "x": np.log2(lines["labels"].astype("float64")),
            "y": lines["score"],
            "low": lines["low"],
            "high": lines["high"],
            "group": lines["encoder"],
            "panel": lines["task"],
        }
    )
    title = "Scores against labels"
    return Figure(kind="lines", title=title, x="log2 of labelled examples", y="score", data=data)
