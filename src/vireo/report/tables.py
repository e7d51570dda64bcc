"""A table as the page shows it, and as CSV and LaTeX for a paper: the same numbers in all three."""

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from vireo.files import write_bytes
from vireo.report.words import DASH, MINUS, TURNERS, number

MOST_LINES = 1500
"""Lines of one table that the page carries; the files have all."""
_LATEX = {
    **{letter: "\\" + letter for letter in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "\\": r"\textbackslash{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "∞": r"$\infty$",
    MINUS: "$-$",
    DASH: r"\textendash{}",
}
_FORMULA = re.compile(r"[=@\t\r]|[+-](?![\d.]*$)")
"""How a text begins that spreadsheets take for a formula and compute."""


def embedded_table(frame: pd.DataFrame) -> dict[str, Any]:
    """Return what the page's script shows: columns, texts line by line, and how many are left out.

    Example:
        >>> embedded_table(pd.DataFrame({"task": ["a"], "p": [0.04]}))["lines"]
        [['a', '0.040']]
    """
    seen = frame.head(MOST_LINES)
    texts = [_texts(frame[name], seen[name]) for name in frame.columns]
    return {
        "columns": [
            {"name": str(name), "text": not _is_numeric(frame[name])} for name in frame.columns
        ],
        "lines": [list(line) for line in zip(*texts, strict=True)],
        "left_out": len(frame) - len(seen),
    }


def write_csv(frame: pd.DataFrame, path: Path) -> Path:
    """Write `frame` with all its digits; a text that a spreadsheet would compute gets a quote."""
    harmless = frame.rename(columns=_harmless)
    for name in harmless.columns[[not _is_numeric(frame[name]) for name in frame.columns]]:
        harmless[name] = harmless[name].map(_harmless)
    write_bytes(path, harmless.to_csv(index=False, lineterminator="\n").encode())
    return path


def write_latex(frame: pd.DataFrame, path: Path, caption: str) -> Path:
    """Write `frame` as a `table` for the package booktabs, rounded as the page is."""
    write_bytes(path, latex(frame, caption, label=path.stem).encode())
    return path


def latex(frame: pd.DataFrame, caption: str, label: str) -> str:
    r"""Return `frame` as LaTeX; no name in it can be read as a command.

    Example:
        >>> print(latex(pd.DataFrame({"task": ["a_b"], "score": [0.5]}), "50 %", "t"))
        % needs the package booktabs
        \begin{table}
        \centering
        \caption{50 \%}
        \label{tab:t}
        \begin{tabular}{lr}
        \toprule
        task & score \\
        \midrule
        a\_b & 0.500 \\
        \bottomrule
        \end{tabular}
        \end{table}
        <BLANKLINE>
    """
    kinds = "".join("r" if _is_numeric(frame[name]) else "l" for name in frame.columns)
    columns = [_texts(frame[name], frame[name]) for name in frame.columns]
    return "\n".join(
        [
            "% needs the package booktabs",
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{escaped(caption)}}}",
            rf"\label{{tab:{re.sub(r'[^A-Za-z0-9-]+', '-', label)}}}",
            rf"\begin{{tabular}}{{{kinds}}}",
            r"\toprule",
            _line([str(name) for name in frame.columns]),
            r"\midrule",
            *(_line(line) for line in zip(*columns, strict=True)),
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
            "",
        ]
    )


def escaped(text: str) -> str:
    r"""Return `text` for LaTeX: every letter stands for itself, on one line.

    Example:
        >>> escaped("50 % of $x_1$")
        '50 \\% of \\$x\\_1\\$'
    """
    plain = " ".join(text.translate(TURNERS).split())
    text = "".join(_LATEX.get(letter, letter) for letter in plain)
    return re.sub("-(?=-)", "-{}", text)  # two hyphens in a row would be a dash


def _line(cells: Sequence[str]) -> str:
    # LaTeX reads "[" after "\\" as the beginning of a length
    return (
        " & ".join(f"{{{text}}}" if text[:1] == "[" else text for text in map(escaped, cells))
        + r" \\"
    )


def _harmless(value: object) -> object:
    """Return a text with a quote before what begins like a formula; anything else as it is.

    References:
        OWASP, CSV Injection: the letters, and the remedy.
    """
    return f"'{value}" if isinstance(value, str) and _FORMULA.match(value) else value


def _is_numeric(column: pd.Series) -> bool:
    return pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)


def _texts(column: pd.Series, lines: pd.Series) -> list[str]:
    """Return the texts of some lines of a column; the whole column decides how many digits."""
    if not _is_numeric(column):
        return [_word(value) for value in lines]
    if pd.api.types.is_integer_dtype(column):
        return [DASH if pd.isna(value) else number(float(value), 0) for value in lines]
    digits = _digits(column.to_numpy(dtype=float, na_value=np.nan))
    return [_real(value, digits) for value in lines.to_numpy(dtype=float, na_value=np.nan)]


def _digits(values: np.ndarray) -> int:
    """Return how many decimals a column needs: three significant digits of its largest value.

    One at least up to ten thousand, for its smaller values.
    """
    finite = np.abs(values[np.isfinite(values)])
    largest = float(finite.max(initial=0))
    if np.array_equal(finite, np.rint(finite)):
        return 0
    if largest < 1:
        return 3
    return int(np.clip(2 - math.floor(math.log10(largest)), int(largest < 1e4), 3))


def _real(value: float, digits: int) -> str:
    if math.isnan(value):
        return DASH
    if math.isinf(value):
        return "∞" if value > 0 else f"{MINUS}∞"
    if value != 0 and abs(value) < 0.5 * 10**-digits:
        mantissa, exponent = f"{value:.1e}".split("e")
        return f"{mantissa}e{int(exponent)}".replace("-", MINUS)
    return number(value, digits)


def _word(value: object) -> str:
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, float) and math.isnan(value):
        return DASH
    return DASH if value is None or value is pd.NA else str(value)
