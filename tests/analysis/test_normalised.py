"""Ratios and skill, on worked examples."""

import pandas as pd
import pytest

from vireo.analysis.normalised import normalised, ratio, with_skill
from vireo.analysis.table import with_facts
from vireo.errors import SettingError


def test_half_the_error_and_twice_the_share_are_both_two():
    score = pd.Series([0.8, -0.5, -1.0, 0.0, 0.3])
    base = pd.Series([0.4, -1.0, -0.5, 0.4, -0.3])
    found = ratio(score, base)
    assert found[:3].tolist() == pytest.approx([2.0, 2.0, 0.5])
    assert found[3:].isna().all()


def test_skill_is_zero_at_the_floor_and_one_when_perfect():
    cells = pd.DataFrame(
        {
            "unit": ["share", "share", "m", "m", "m", "share"],
            "floor": [0.1, 0.1, -2.0, -2.0, -2.0, 1.0],
            "score": [0.1, 1.0, -2.0, 0.0, -3.0, 1.0],
        }
    )
    skill = with_skill(cells)["skill"]
    assert skill[:5].tolist() == pytest.approx([0.0, 1.0, 0.0, 1.0, -0.5])
    assert pd.isna(skill[5])


def test_the_baseline_is_one_relative_to_itself(table):
    finding = normalised(table)
    own = finding.table[finding.table["encoder"] == "random"]
    assert own["relative"].tolist() == pytest.approx([1.0] * 3)
    assert "(random)" in finding.caption


def test_relative_agrees_with_raw_values(table):
    means = table.groupby(["encoder", "task"])["raw"].mean()
    lines = normalised(table).table.set_index(["encoder", "task"])["relative"]
    assert lines["moco", "digits"] == pytest.approx(
        means["moco", "digits"] / means["random", "digits"]
    )
    assert lines["moco", "depth"] == pytest.approx(
        means["random", "depth"] / means["moco", "depth"]
    )


def test_without_a_baseline_it_says_how_to_name_one(table):
    with pytest.raises(SettingError, match=r"got none. Name it in the plan"):
        normalised(table.assign(baseline=False))
    with pytest.raises(SettingError, match="got none"):
        normalised(table.drop(columns="baseline"))


def test_a_lone_random_encoder_is_the_baseline_by_default(table):
    named = with_facts(table)
    assert set(named.loc[named["baseline"], "encoder"]) == {"random"}
    without = with_facts(table[table["encoder"] != "random"])
    assert not without["baseline"].any()
