"""Tables: all digits in CSV, the same rounding on the page and in LaTeX, names as names."""

import re

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from vireo.report import tables
from vireo.report.tables import embedded_table, escaped, latex, write_csv, write_latex
from vireo.report.words import DASH, MINUS

FRAME = pd.DataFrame(
    {
        "encoder": ['a,"b"\nc', "<b>&", "=1+1"],
        "n": [3, 200, 10],
        "p_value": [0.03125, 1.234e-7, np.nan],
        "seconds": [12.5, 1234.5, 0.5],
        "best": [True, False, True],
        "images": pd.array([1, None, 3], dtype="Int64"),
    }
)


def test_numbers_are_rounded_for_the_eye():
    table = embedded_table(FRAME)
    assert table["lines"][0] == ['a,"b"\nc', "3", "0.031", "12.5", "yes", "1"]
    assert table["lines"][1][2:] == [f"1.2e{MINUS}7", "1234.5", "no", DASH]
    assert table["lines"][2][2:4] == [DASH, "0.5"]
    assert [column["text"] for column in table["columns"]] == [
        True,
        False,
        False,
        False,
        True,
        False,
    ]


def test_a_long_table_says_how_much_is_left_out(monkeypatch):
    monkeypatch.setattr(tables, "MOST_LINES", 2)
    table = embedded_table(FRAME)
    assert (len(table["lines"]), table["left_out"]) == (2, 1)
    assert table["lines"][0][3] == "12.5"  # the whole column decides how many digits


def test_csv_gives_the_table_back(tmp_path):
    path = write_csv(FRAME, tmp_path / "t.csv")
    expected = FRAME.assign(encoder=FRAME["encoder"].replace("=1+1", "'=1+1"))
    assert_frame_equal(pd.read_csv(path, dtype={"images": "Int64"}), expected)


def test_no_text_of_a_csv_is_a_formula(tmp_path):
    names = ["=HYPERLINK(1)", "+cmd", "-cmd", "@SUM(1)", "\t=1", "-0.5", "a=b"]
    frame = pd.DataFrame({"name": names, "=x": -1.5})
    found = pd.read_csv(write_csv(frame, tmp_path / "t.csv"))
    assert list(found["name"]) == [*(f"'{name}" for name in names[:5]), "-0.5", "a=b"]
    assert list(found["'=x"]) == [-1.5] * 7


def test_every_special_letter_of_latex_is_escaped():
    text = escaped("a&b%c$d#e_f{g}h~i^j\\k")
    bare = re.sub(r"\\text[a-z]+\{\}|\\[&%$#_{}]", "", text)
    assert bare == "abcdefghijk"
    assert escaped("a|b--c-d∞\u202e") == r"a\textbar{}b-{}-c-d$\infty$" + "\ufffd"


def test_latex_has_a_line_a_row_and_a_column_a_column(tmp_path):
    path = write_latex(FRAME, tmp_path / "t.tex", "50 % of them")
    text = path.read_text()
    assert r"\caption{50 \% of them}" in text
    assert r"\begin{tabular}{lrrrlr}" in text
    body = text.split("\\midrule\n")[1].split("\\bottomrule")[0].splitlines()
    assert len(body) == 3
    assert all(line.count(" & ") == 5 and line.endswith(r" \\") for line in body)


def test_a_line_that_begins_with_a_bracket_is_no_length():
    text = latex(pd.DataFrame({"x": ["[1ex] a"]}), "c", "l")
    assert "\n{[1ex] a} \\\\\n" in text


@pytest.mark.parametrize("values", [[], [np.inf, -np.inf, np.nan]])
def test_odd_columns_have_texts(values):
    frame = pd.DataFrame({"x": np.array(values, dtype=float)})
    assert [line[0] for line in embedded_table(frame)["lines"]] == ["∞", f"{MINUS}∞", DASH][
        : len(values)
    ]
