"""Skill against cost, against a naive search and on worked examples."""

import numpy as np
import pytest
from scipy import stats
from tests.analysis.planted import planted

from vireo.analysis.pareto import front, pareto
from vireo.errors import SettingError


def naive(cost, skill):
    points = list(zip(cost, skill, strict=True))
    return [not any(c <= a and s >= b and (c, s) != (a, b) for c, s in points) for a, b in points]


def test_the_front_is_a_naive_searchs_with_ties():
    rng = np.random.default_rng(0)
    for _ in range(50):
        cost, skill = rng.integers(5, size=(2, 12)).astype(float)
        assert front(cost, skill).tolist() == naive(cost, skill)


def costly():
    table = planted(names=("swav-200", "moco-v2-200", "swav-places-200"), tasks=3)
    flops = {"swav-200": 2e9, "moco-v2-200": 8e9, "swav-places-200": 8e9}
    level = {"swav-200": 0.50, "moco-v2-200": 0.60, "swav-places-200": 0.55}
    tasks = {"imagenet": 0.00, "clevr-count": 0.01, "cityscapes": 0.02}
    table["encoder_flops"] = table["encoder"].map(flops)
    table["floor"] = 0.0
    better = (table["encoder"] == "moco-v2-200") * table["task"].map(tasks)
    table["score"] = table["encoder"].map(level) + better
    return table


def test_a_worked_example_of_three():
    finding = pareto(costly())
    lines = finding.table[finding.table["cost"] == "forward"].set_index("encoder")
    assert lines["value"].tolist() == pytest.approx([2.0, 8.0, 8.0])
    assert lines["skill"].to_dict() == pytest.approx(
        {"swav-200": 0.5, "moco-v2-200": 0.61, "swav-places-200": 0.55}
    )
    assert lines["front"].to_dict() == {
        "swav-200": True,
        "moco-v2-200": True,
        "swav-places-200": False,
    }
    beaten = lines.loc["swav-places-200"]
    apart = np.array([0.05, 0.06, 0.07])
    low, high = stats.t.interval(0.95, 2, loc=0.06, scale=stats.sem(apart))
    assert beaten["beaten_by"] == "moco-v2-200"
    assert (beaten["behind"], beaten["low"], beaten["high"]) == pytest.approx((0.06, low, high))
    assert (
        "2 of 3 encoders are beaten by none, from swav-200 (2 GFLOP) to moco-v2-200 (8 GFLOP)"
        in (finding.verdict)
    )
    assert "Not compared by parameters, millions" in finding.notes[-1]


def test_random_weights_have_seen_nothing_and_unknown_ones_are_named():
    table = planted(6, tasks=3)
    table.loc[table["encoder"] == "swav-800", "epochs"] = np.nan
    finding = pareto(table)
    seen = finding.table[finding.table["cost"] == "seen"].set_index("encoder")
    assert seen.loc["random-resnet50", "value"] == 0
    assert seen.loc["swav-200", "value"] == pytest.approx(200 * 1.281167)
    assert "swav-800" not in seen.index
    assert "Without images seen in pre-training, millions: swav-800." in finding.notes


def test_equal_costs_leave_nothing_to_trade():
    with pytest.raises(SettingError, match="do not differ in any known cost"):
        pareto(planted(names=("swav-200", "moco-v2-200"), tasks=2))
