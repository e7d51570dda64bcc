"""Correlation with ImageNet: populations, stand-ins and what may be said."""

import numpy as np
import pytest
from scipy import stats
from tests.analysis.planted import Effects, planted, without

from vireo.analysis.proxy import proxy
from vireo.errors import SettingError


def talented(encoders=26, tasks=17):
    """A table in which semantic tasks of whole images share what an encoder is good at."""
    table = planted(encoders, tasks, effects=Effects(cell=0.005))
    rng = np.random.default_rng(5)
    talent = {name: rng.normal() for name in sorted(set(table["encoder"]))}
    shared = (table["family"] == "semantic-image").to_numpy(float)
    table["score"] += 0.05 * shared * table["encoder"].map(talent).to_numpy()
    return table


def test_values_are_scipys_over_self_supervised_encoders():
    table = planted(12, 5)
    finding = proxy(table)
    wide = table.pivot(index="encoder", columns="task", values="score")
    own = wide.drop(index=["random-resnet50", "supervised-resnet50"])
    assert set(finding.table["n"]) == {10}
    for line in finding.table.itertuples():
        x, y = own["imagenet"], own[line.task]
        assert line.pearson == pytest.approx(stats.pearsonr(x, y).statistic)
        assert line.spearman == pytest.approx(stats.spearmanr(x, y).statistic)
    assert "random-resnet50" in finding.notes[-1]


def test_a_planted_difference_between_families_is_found():
    verdict = proxy(talented()).verdict
    assert "it is a weaker proxy outside its own family" in verdict
    assert verdict.startswith("Over 24 self-supervised encoders the scores on imagenet have")
    nothing = proxy(planted(26, 17, effects=Effects())).verdict
    assert "no evidence that the two differ" in nothing


def test_a_task_that_runs_against_it_is_named():
    table = talented()
    own = table[table["task"] == "imagenet"].set_index("encoder")["score"]
    against = table["task"] == "thor-egomotion"
    table.loc[against, "score"] = 1 - table.loc[against, "encoder"].map(own)
    finding = proxy(table)
    assert finding.verdict.endswith("interval below zero on thor-egomotion.")
    line = finding.table.set_index("task").loc["thor-egomotion"]
    assert line["spearman"] == pytest.approx(-1.0)


def test_a_second_test_set_of_the_same_head_is_in_no_mean():
    """imagenet-v2 equals imagenet here, which would raise the mean of the family."""
    table = talented()
    own = table[table["task"] == "imagenet"].set_index("encoder")["score"]
    copy = table["task"] == "imagenet-v2"
    table.loc[copy, "score"] = table.loc[copy, "encoder"].map(own)
    finding = proxy(table)
    lines = finding.table[finding.table["own_family"]].set_index("task")
    assert lines.loc["imagenet-v2", "spearman"] == pytest.approx(1.0)
    mean = lines.drop(index="imagenet-v2")["spearman"].mean()
    assert f"{mean:.2f} with {len(lines) - 1} tasks of its own family" in finding.verdict


def test_without_imagenet_the_largest_semantic_task_stands_for_it_and_it_is_said():
    table = planted(12, 9)
    table = table[table["task"] != "imagenet"]
    table.loc[table["task"] == "sun397", "n"] = 9999
    finding = proxy(table)
    assert "the scores on sun397 (for want of ImageNet) have" in finding.verdict
    assert "it stands for it" in finding.caption


def test_few_encoders_and_foreign_tables_say_what_they_cannot():
    few = proxy(planted(4, 3))
    assert "cannot be said from 2 self-supervised encoders" in few.verdict
    assert set(few.table["note"]) == {"too few"}
    some = proxy(planted(8, 6))
    assert some.verdict.endswith("cannot be said from so few recipes of pre-training.")
    table = planted(12, 21)
    again = proxy(table[table["task"].isin(["imagenet", "imagenet-v2"])])
    assert again.verdict.endswith("only imagenet-v2, another test set of its own head.")
    other = proxy(table[table["task"].isin(["imagenet", "nyu-depth"])])
    assert other.verdict.endswith("cannot be said without tasks of both kinds.")
    with pytest.raises(SettingError, match="needs another task"):
        proxy(planted(8, 1))
    table = planted(8, 4)
    with pytest.raises(SettingError, match="to stand for it; got cityscapes, clevr-count"):
        proxy(table[table["family"] != "semantic-image"])


def test_a_missing_cell_costs_its_task_one_encoder():
    finding = proxy(without(planted(12, 4), ("swav-200", "cityscapes")))
    n = finding.table.set_index("task")["n"]
    assert (n["cityscapes"], n["clevr-count"]) == (9, 10)
    points = finding.figures[0].data
    assert len(points) == 29
    assert set(points["panel"]) == {"clevr-count", "cityscapes", "nyu-depth"}
