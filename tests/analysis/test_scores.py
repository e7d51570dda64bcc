"""Cell means and their intervals, against naive loops and the textbook t interval."""

import math

import numpy as np
import pytest
from scipy import stats

from vireo.analysis.scores import scores


def cell(finding, encoder, task):
    lines = finding.table
    return lines[(lines["encoder"] == encoder) & (lines["task"] == task)].iloc[0]


def test_mean_and_interval_equal_a_naive_loop(table):
    finding = scores(table)
    for task in table["task"].unique():
        rows = [row for row in table.itertuples() if row.task == task]
        groups = {row.encoder: [r.score for r in rows if r.encoder == row.encoder] for row in rows}
        squares = sum(sum((x - sum(g) / 3) ** 2 for x in g) for g in groups.values())
        deviation = math.sqrt(squares / (4 * 2))
        seeds = stats.t.ppf(0.975, 8) * deviation / math.sqrt(3)
        for encoder, group in groups.items():
            line = cell(finding, encoder, task)
            assert line.score == pytest.approx(sum(group) / 3)
            assert line.low == pytest.approx(line.score - math.sqrt(0.03**2 + seeds**2))
            assert line.high == pytest.approx(line.score + math.sqrt(0.02**2 + seeds**2))


def test_one_encoder_alone_has_the_textbook_t_interval(table):
    """With no uncertainty of examples and one encoder, scipy's interval of a mean."""
    one = table[(table["encoder"] == "moco") & (table["task"] == "digits")].copy()
    one["low"] = one["high"] = one["score"]
    line = scores(one).table.iloc[0]
    low, high = stats.t.interval(0.95, 2, loc=one["score"].mean(), scale=stats.sem(one["score"]))
    assert (line.low, line.high) == pytest.approx((low, high))


def test_one_seed_keeps_the_bootstrap_interval(table):
    one = table[table["seed"] == 1]
    line = cell(scores(one), "swav", "depth")
    row = one[(one["encoder"] == "swav") & (one["task"] == "depth")].iloc[0]
    assert (line.low, line.high, line.seeds) == pytest.approx((row.low, row.high, 1))


def test_the_interval_follows_the_level(table):
    wide, narrow = scores(table.assign(level=0.99)), scores(table.assign(level=0.5))
    width = lambda finding: (finding.table["high"] - finding.table["low"]).to_numpy()  # noqa: E731
    assert np.all(width(wide) > width(narrow))
