"""Multi-crop and other methods (the study's appendices I and J) on planted tables."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from tests.analysis.planted import Effects, planted, without

from vireo.analysis.multi_crop import multi_crop
from vireo.analysis.other_methods import other_methods
from vireo.errors import SettingError

TRIO = ("moco-v2-200", "moco-v2-multicrop", "swav-200")


def shifted(table, encoder, by):
    """`table` with `by` (task to number, or a number) added to an encoder's scores."""
    own = table["encoder"] == encoder
    added = table["task"].map(by) if isinstance(by, dict) else by
    return table.assign(score=table["score"] + own * added)


def test_the_way_from_the_method_to_swav_by_hand():
    table = planted(names=TRIO, tasks=3)
    scores = {
        ("moco-v2-200", "imagenet"): 0.4,
        ("moco-v2-multicrop", "imagenet"): 0.45,
        ("swav-200", "imagenet"): 0.6,
        ("moco-v2-200", "clevr-count"): 0.6,
        ("moco-v2-multicrop", "clevr-count"): 0.7,
        ("swav-200", "clevr-count"): 0.5,
        ("moco-v2-200", "cityscapes"): 0.5,
        ("moco-v2-multicrop", "cityscapes"): 0.48,
        ("swav-200", "cityscapes"): 0.5,
    }
    table["score"] = [scores[pair] for pair in zip(table["encoder"], table["task"], strict=True)]
    lines = multi_crop(table).table.set_index("task")
    assert lines.loc["imagenet", "way"] == pytest.approx(0.25)
    assert lines.loc["clevr-count", "way"] == pytest.approx(-1.0)
    assert np.isnan(lines.loc["cityscapes", "way"])
    assert lines["between"].to_dict() == {
        "imagenet": True,
        "clevr-count": False,
        "cityscapes": False,
    }
    assert lines["change"].to_dict() == pytest.approx(
        {"imagenet": 0.05, "clevr-count": 0.1, "cityscapes": -0.02}
    )


def test_a_planted_change_is_told_by_kind_of_task():
    table = planted(32, effects=Effects(cell=0.01)).copy()
    extra = planted(names=("moco-v2-multicrop",), effects=Effects(cell=0.005), draw=9)
    table = pd.concat([table, extra], ignore_index=True)
    by = {
        task: -0.03 if family.endswith("pixel") else 0.04
        for task, family in zip(table["task"], table["family"], strict=True)
    }
    finding = multi_crop(shifted(table, "moco-v2-multicrop", by))
    image = finding.table[finding.table["family"].str.endswith("image")]
    assert (image["change"] > 0).mean() > 0.9
    assert "13 of 13 tasks of whole images" in finding.verdict
    assert "0 of 8 pixel tasks" in finding.verdict
    assert finding.notes[-1] == "Compared: moco-v2-200, moco-v2-multicrop, swav-200."


def test_between_is_what_a_third_of_null_tasks_are():
    shares = []
    for draw in range(12):
        table = planted(names=TRIO, effects=Effects(cell=0.02), draw=draw)
        shares.append(multi_crop(table).table["between"].mean())
    assert np.mean(shares) == pytest.approx(1 / 3, abs=0.09)


def test_without_the_three_it_says_which_it_has():
    with pytest.raises(SettingError, match="got no encoder with multi-crop"):
        multi_crop(planted(8, tasks=2))
    with pytest.raises(SettingError, match="got moco-v2-multicrop"):
        multi_crop(planted(names=("moco-v2-multicrop", "swav-200"), tasks=2))


def test_a_task_that_one_of_the_three_lacks_is_left_out_by_name():
    table = without(planted(names=TRIO, tasks=4), ("swav-200", "imagenet"))
    finding = multi_crop(table)
    assert "imagenet" not in set(finding.table["task"])
    assert "Left out, without all three: imagenet." in finding.notes


def test_methods_are_compared_on_one_set_and_a_planted_lead_is_found():
    table = planted(39, effects=Effects(cell=0.01))
    finding = other_methods(shifted(table, "simsiam-200", 0.06))
    lines = finding.table
    methods = {*lines["first"], *lines["second"]}
    assert methods == {
        *("exemplar-v2", "moco-v1", "moco-v2", "moco-v2-multicrop"),
        *("pirl", "simsiam", "supervised", "swav"),
    }
    own = lines[(lines["first"] == "simsiam") | (lines["second"] == "simsiam")]
    assert (own["p_holm"] < 0.05).all()
    others = lines.drop(own.index)
    assert (others["p_holm"] < 0.05).mean() < 0.2
    assert "simsiam is best on average over 21 tasks" in finding.verdict
    assert "swav: swav-200, swav-200-seed1 and swav-200-seed2." in finding.notes


def test_one_pair_is_scipys_wilcoxon_and_t_interval():
    table = planted(names=("swav-200", "simsiam-200", "swav-places-200"), tasks=10, draw=2)
    line = other_methods(table).table.iloc[0]
    wide = table.pivot_table(index="task", columns="encoder", values="score")
    apart = (wide["simsiam-200"] - wide["swav-200"]) / wide.std(axis=1, ddof=1)
    assert (line["first"], line["second"]) == ("simsiam", "swav")
    assert line["difference"] == pytest.approx(apart.mean())
    assert line["p"] == pytest.approx(stats.wilcoxon(apart, method="exact").pvalue)
    theirs = stats.t.interval(0.95, 9, loc=apart.mean(), scale=stats.sem(apart))
    assert (line["low"], line["high"]) == pytest.approx(theirs)


def test_one_method_has_nothing_to_be_compared_with():
    with pytest.raises(SettingError, match="Pre-train a second method"):
        other_methods(planted(names=("swav-200", "swav-places-200"), tasks=2))
