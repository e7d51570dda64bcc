"""Normalised gains by family, by hand and on planted effects."""

import numpy as np
import pytest
from tests.analysis.planted import Effects, planted, without

from vireo.analysis.gain import gain
from vireo.errors import SettingError

RIVAL = "supervised-resnet50"


def test_gains_are_the_published_formula():
    table = planted(10, 4)
    wide = table.pivot(index="encoder", columns="task", values="score")
    own = wide.drop(index=[RIVAL, "random-resnet50"])
    gains = (own - wide.loc[RIVAL]) / own.std(ddof=1)
    finding = gain(table)
    lines = finding.table.set_index("tasks_of")
    for task, family in table.groupby("task")["family"].first().items():
        assert lines.loc[family, "mean"] == pytest.approx(gains[task].mean())
        assert lines.loc[family, "median"] == pytest.approx(gains[task].median())
        assert lines.loc[family, "share_above"] == pytest.approx((gains[task] > 0).mean())
    assert lines.loc["structural", "mean"] == pytest.approx(
        gains[["clevr-count", "nyu-depth"]].mean().mean()
    )
    assert sorted(finding.figures[0].data["value"]) == pytest.approx(sorted(gains.to_numpy().flat))


def test_a_planted_gain_of_structural_tasks_is_found_and_its_reverse():
    found = gain(planted(14, 12, effects=Effects(structural=0.05, encoder=0.01)))
    assert found.verdict.endswith(": structural tasks gain more.")
    lines = found.table.set_index("tasks_of")
    assert lines.loc["structural", "low"] > lines.loc["semantic", "high"]
    reverse = gain(planted(14, 12, effects=Effects(semantic=0.05, encoder=0.01)))
    assert reverse.verdict.endswith(": semantic tasks gain more.")
    nothing = gain(planted(14, 12, effects=Effects()))
    assert nothing.verdict.endswith(": no evidence that one kind gains more.")


def test_the_interval_covers_the_planted_gain():
    """All encoders gain .03 on every task: in deviations of .01 per cell, three of them."""
    hits = 0
    for draw in range(12):
        effects = Effects(structural=0.03, semantic=0.03, encoder=0.01, cell=0.01, seed=0.0)
        table = planted(14, 8, effects=effects, draw=draw)
        base = (table["encoder"] == RIVAL).to_numpy()
        table.loc[base, "score"] = planted(14, 8, effects=Effects(cell=0, seed=0))["score"][base]
        line = gain(table).table.set_index("tasks_of").loc["semantic"]
        hits += line["low"] <= 0.03 / np.sqrt(2e-4) <= line["high"]
    assert hits >= 9


def test_few_tasks_and_one_kind_of_task_say_so():
    few = gain(planted(8, 4))
    assert few.verdict.endswith("so few tasks cannot tell (the smallest possible p is 0.33).")
    assert few.table["low"].isna().all()
    table = planted(8, 6)
    semantic = gain(table[table["family"].str.startswith("semantic")])
    assert "there are only semantic tasks" in semantic.verdict


def test_a_task_without_the_supervised_encoder_is_left_out_and_named():
    finding = gain(without(planted(8, 4), (RIVAL, "imagenet")))
    lines = finding.table.set_index("tasks_of")
    assert "semantic-image" not in lines.index
    assert lines.loc["semantic", "tasks"] == 1
    assert "encoders that differ: imagenet." in finding.notes[-1]


def test_two_encoders_have_no_deviation_to_measure_in():
    with pytest.raises(SettingError, match="at least 3 self-supervised encoders on a task"):
        gain(planted(4, 4))


@pytest.mark.parametrize("right", [14, 17, 25])
def test_a_task_on_which_all_score_the_same_is_left_out(right):
    """Equal shares of few images: the deviation is rounding, by which nothing may be divided."""
    table = planted(9, 6)
    equal = (table["task"] == "imagenet") & ~table["encoder"].isin([RIVAL, "random-resnet50"])
    table.loc[equal, "score"] = right / 72
    finding = gain(table)
    assert finding.table["mean"].abs().max() < 100
    assert any("that differ: imagenet." in note for note in finding.notes)
