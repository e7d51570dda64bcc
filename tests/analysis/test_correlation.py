"""Correlations over encoders, against scipy and a naive rank count."""

import math

import pytest
from scipy import stats

from vireo.analysis.correlation import correlation


def test_values_are_scipys_on_cell_means(table):
    wide = table.groupby(["encoder", "task"])["score"].mean().unstack()
    lines = correlation(table).table
    assert len(lines) == 3
    for line in lines.itertuples():
        x, y = wide[line.first], wide[line.second]
        assert line.pearson == pytest.approx(stats.pearsonr(x, y).statistic)
        assert line.n == 4
        ranks = [[sum(b <= a for b in column) for a in column] for column in (x, y)]
        squared = sum((a - b) ** 2 for a, b in zip(*ranks, strict=True))
        assert line.spearman == pytest.approx(1 - 6 * squared / (4 * (16 - 1)))


def test_two_encoders_give_no_value(table):
    finding = correlation(table[table["encoder"].isin(["moco", "swav"])])
    assert finding.table["pearson"].isna().all()
    assert finding.table["spearman"].isna().all()
    assert set(finding.table["note"]) == {"too few"}
    assert "At least 3 encoders are needed" in finding.caption


def test_a_task_on_which_all_are_equal_has_no_correlation(table):
    table.loc[table["task"] == "count", "score"] = 0.5
    lines = correlation(table).table.set_index(["first", "second"])
    assert lines.loc[("count", "depth"), "note"] == "constant"
    assert math.isnan(lines.loc[("count", "depth"), "spearman"])
    assert not math.isnan(lines.loc[("depth", "digits"), "spearman"])


def test_few_encoders_are_warned_of(table):
    assert "With 4 encoders one of them can turn a sign" in correlation(table).caption
