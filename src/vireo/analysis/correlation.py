"""Do encoders that do well on one task do well on another? Correlation of scores over encoders."""

from itertools import combinations

import pandas as pd
from scipy import stats

from vireo.analysis.finding import Finding
from vireo.analysis.scores import cell_scores
from vireo.analysis.table import complete

FEWEST = 3
CAPTION = (
    "Pearson's r and Spearman's rank correlation of two tasks' mean scores over {n} encoders. "
    "{warning}No p-values: encoders that share a method, data or architecture are not "
    "independent draws, so none would mean what it says."
)


def correlation(table: pd.DataFrame) -> Finding:
    """Return one line a pair of tasks: pearson, spearman, n (encoders) and a note.

    Raises:
        SettingError: the table is incomplete; the message names the missing cells.
    """
    wide = cell_scores(complete(table)).pivot(index="encoder", columns="task", values="score")
    lines = [_pair(wide, first, second) for first, second in combinations(wide.columns, 2)]
    columns = ["first", "second", "pearson", "spearman", "n", "note"]
    caption = CAPTION.format(n=len(wide), warning=_warning(len(wide)))
    return Finding("Correlation between tasks", pd.DataFrame(lines, columns=columns), caption)


def _pair(wide: pd.DataFrame, first: str, second: str) -> dict[str, object]:
    x, y = wide[first], wide[second]
    line: dict[str, object] = {"first": first, "second": second, "n": len(wide)}
    if len(wide) < FEWEST:
        return line | {"pearson": float("nan"), "spearman": float("nan"), "note": "too few"}
    if x.nunique() == 1 or y.nunique() == 1:
        return line | {"pearson": float("nan"), "spearman": float("nan"), "note": "constant"}
    pearson, spearman = stats.pearsonr(x, y).statistic, stats.spearmanr(x, y).statistic
    return line | {"pearson": float(pearson), "spearman": float(spearman), "note": ""}


def _warning(count: int) -> str:
    if count < FEWEST:
        return f"At least {FEWEST} encoders are needed, so no value is given. "
    if count < 10:
        return f"With {count} encoders one of them can turn a sign: read these as hints. "
    return ""
