"""Correlations over encoders, against scipy and a naive rank count."""

import math

import numpy as np
import pytest
from scipy import stats
from tests.analysis.planted import STUDY, Effects, planted, without

from vireo.analysis.correlation import correlation


def test_values_are_scipys_on_cell_means_of_trained_encoders(table):
    wide = table.groupby(["encoder", "task"])["score"].mean().unstack().drop(index="random")
    lines = correlation(table).table
    assert len(lines) == 3
    for line in lines.itertuples():
        x, y = wide[line.first], wide[line.second]
        assert line.pearson == pytest.approx(stats.pearsonr(x, y).statistic)
        assert line.n == 3
        ranks = [[sum(b <= a for b in column) for a in column] for column in (x, y)]
        squared = sum((a - b) ** 2 for a, b in zip(*ranks, strict=True))
        assert line.spearman == pytest.approx(1 - 6 * squared / (3 * (9 - 1)))


def test_random_weights_are_left_out_and_named(table):
    assert "Left out, random weights: random." in correlation(table).notes


def test_two_encoders_give_no_value(table):
    finding = correlation(table[table["encoder"].isin(["moco", "swav"])])
    assert finding.table["pearson"].isna().all()
    assert finding.table["spearman"].isna().all()
    assert set(finding.table["note"]) == {"too few"}
    assert "At least 3 encoders are needed" in finding.caption
    assert "cannot be said from 2 trained encoders" in finding.verdict


def test_a_task_on_which_all_are_equal_has_no_correlation(table):
    table.loc[table["task"] == "count", "score"] = 0.5
    lines = correlation(table).table.set_index(["first", "second"])
    assert lines.loc[("count", "depth"), "note"] == "constant"
    assert math.isnan(lines.loc[("count", "depth"), "spearman"])
    assert not math.isnan(lines.loc[("depth", "digits"), "spearman"])


def test_few_encoders_are_warned_of_and_have_no_interval(table):
    finding = correlation(table)
    assert "With 3 encoders one of them can turn a sign" in finding.caption
    assert finding.table["pearson_low"].isna().all()


def test_a_missing_cell_costs_its_pairs_one_encoder():
    table = without(planted(14, 3), ("swav-200", "imagenet"))
    finding = correlation(table)
    n = finding.table.set_index(["first", "second"])["n"]
    assert n[("clevr-count", "imagenet")] == 12
    assert n[("cityscapes", "clevr-count")] == 13
    assert "swav-200 x imagenet" in finding.notes[0]


def test_intervals_hold_the_value():
    lines = correlation(planted(26, 4)).table
    for name in ("pearson", "spearman"):
        assert (lines[f"{name}_low"] < lines[name]).all()
        assert (lines[name] < lines[f"{name}_high"]).all()


def test_families_that_order_encoders_alike_are_found_and_none_where_there_is_none():
    table = planted(26, 8, effects=Effects())
    assert "no evidence that tasks of one family" in correlation(table).verdict
    rng = np.random.default_rng(0)
    talent = {key: rng.normal() for key in zip(table["encoder"], table["family"], strict=True)}
    pairs = zip(table["encoder"], table["family"], strict=True)
    table["score"] += [0.05 * talent[pair] for pair in pairs]
    verdict = correlation(table).verdict
    assert verdict.endswith(": tasks of one family order encoders more alike than others.")


def test_seeds_of_one_recipe_are_not_encoders_to_draw():
    names = ("swav-200", "swav-200-seed1", "swav-200-seed2", "moco-v2-200", "moco-v2-100")
    names += ("swav-100", "moco-v2-800", "swav-800", "pirl-800")
    finding = correlation(planted(names=names, tasks=2, effects=STUDY))
    assert finding.table["n"].tolist() == [9]
    assert math.isnan(finding.table["pearson_low"][0])  # 7 recipes


def test_both_maps_are_symmetric_with_a_diagonal_of_ones():
    for figure in correlation(planted(12, 5)).figures:
        wide = figure.data.pivot(index="row", columns="column", values="value")
        assert wide.to_numpy() == pytest.approx(wide.T.to_numpy())
        assert [wide.loc[name, name] for name in wide.index] == [1.0] * 5
