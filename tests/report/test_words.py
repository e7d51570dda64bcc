"""The sentences at the top, on worked examples."""

import pandas as pd

from vireo.report.summary import sentences
from vireo.report.words import listed, task_words


def table(rows):
    names = ("encoder", "task", "score", "low", "high", "floor", "unit", "metric", "family")
    lines = [[*row, 0.1, "share", "top-1", "semantic-image", 2] for row in rows]
    return pd.DataFrame(lines, columns=[*names, "seeds"])


CELLS = table(
    [
        ("base", "x", 0.5, 0.45, 0.55),
        ("base", "y", 0.5, 0.45, 0.55),
        ("other", "x", 0.7, 0.65, 0.75),
        ("other", "y", 0.52, 0.47, 0.57),
    ]
)


def test_a_tie_is_told_and_so_is_a_task_at_the_floor():
    cells = table(
        [
            ("base", "x", 0.5, 0.45, 0.55),
            ("base", "y", 0.12, 0.08, 0.16),
            ("other", "x", 0.5, 0.45, 0.55),
            ("other", "y", 0.11, 0.07, 0.15),
        ]
    )
    _, winners, _, floor = sentences(cells, "base", task_words(cells))
    assert winners == "base scores highest on x (tied) and y; other scores highest on x (tied)."
    assert floor.endswith("(the best constant answer) on y: differences there may be chance.")


def test_who_wins_where_and_how_surely():
    first, winners, against = sentences(CELLS, "base", task_words(CELLS))
    assert first == "2 encoders on 2 tasks, 2 seeds each."
    assert winners == "other scores highest on x* and y (* its interval lies above all others)."
    assert against.endswith("other is above it on 1 and below on 0.")


def test_without_a_baseline_or_company_there_is_less_to_say():
    assert len(sentences(CELLS, "", task_words(CELLS))) == 2
    alone = CELLS[CELLS["encoder"] == "base"]
    assert sentences(alone, "base", task_words(alone)) == ["1 encoder on 2 tasks, 2 seeds each."]


def test_long_lists_are_cut():
    assert listed(list("abcdefgh")) == "a, b, c, d, e, f and 2 more"
    assert listed([]) == ""


def test_errors_are_shown_as_negative_in_their_unit():
    cells = CELLS.assign(unit="m", metric="l1", score=-0.5)
    word = task_words(cells)["x"]
    assert word.axis == "x (negative L1, m)"
    assert word.show(-0.5) == "\N{MINUS SIGN}0.500"
