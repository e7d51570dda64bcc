"""Variation from run to run, on worked examples and planted tables."""

import numpy as np
import pytest
from scipy import stats
from tests.analysis.planted import Effects, planted

from vireo.analysis.seeds import seeds
from vireo.errors import SettingError

RUNS = ("swav-200", "swav-200-seed1", "swav-200-seed2")


def test_numbers_of_a_worked_example():
    """Scores .50, .51, .52: mean .51, deviation .01, distances 1/51, 0, 1/51 of the mean."""
    table = planted(names=(*RUNS, "swav-800"), tasks=1)
    values = dict(zip((*RUNS, "swav-800"), (0.50, 0.51, 0.52, 0.61), strict=True))
    table["score"] = table["encoder"].map(values)
    line = seeds(table).table.iloc[0]
    assert line["recipe"] == "swav on imagenet, 200 epochs"
    assert (line["runs"], line["mean"]) == (3, pytest.approx(0.51))
    assert line["deviation"] == pytest.approx(0.01)
    assert line["relative"] == pytest.approx(2 / 3 / 51)
    assert line["largest"] == pytest.approx(1 / 51)
    assert line["between"] == pytest.approx(0.1 / 2**0.5)
    assert np.isnan(line["head"])
    quantile = stats.t.ppf(0.975, 2)
    assert line["detectable"] == pytest.approx(quantile * 2**0.5 * 0.01)


def test_luck_is_recovered_and_the_heads_part_of_it():
    """Encoders differ by .02 and heads by .006: both come back over 21 tasks."""
    effects = Effects(cell=0.02, seed=0.006)
    table = planted(39, effects=effects, seeds=3, draw=3)
    finding = seeds(table[table["unit"] == "share"])
    means = finding.table[["deviation", "head"]].pow(2).mean() ** 0.5
    assert means["deviation"] == pytest.approx((0.02**2 + 0.006**2 / 3) ** 0.5, rel=0.25)
    assert means["head"] == pytest.approx(0.006, rel=0.15)
    assert set(finding.table["runs"]) == {3}
    assert "3 runs of swav on imagenet-quarter-log, 200 epochs" in finding.verdict


def test_the_least_difference_is_exceeded_by_luck_as_often_as_said():
    """Pairs of further runs: about 5 % differ by more than `detectable`."""
    table = planted(39, effects=Effects(cell=0.02, seed=0), draw=5)
    found = seeds(table[table["unit"] == "share"]).table.drop_duplicates("task")
    rng = np.random.default_rng(6)
    apart = np.abs(0.02 * 2**0.5 * rng.normal(size=(4000, len(found))))
    assert 0.01 < (apart > found["detectable"].to_numpy()).mean() < 0.12


def test_runs_with_other_options_are_no_seeds():
    """Deviations of .01 and .03 apart; all five together would have one of .1."""
    names = (*RUNS, "swav-800", "swav-100")
    table = planted(names=names, tasks=1).assign(epochs=200.0, steps=1)
    score = dict(zip(names, (0.50, 0.51, 0.52, 0.70, 0.73), strict=True))
    recipe = dict(zip(names, ("warm",) * 3 + ("cold",) * 2, strict=True))
    table = table.assign(score=table["encoder"].map(score), recipe=table["encoder"].map(recipe))
    lines = seeds(table).table.set_index("recipe")
    assert lines.index.tolist() == [
        "swav on imagenet, 200 epochs, as swav-100",
        "swav on imagenet, 200 epochs, as swav-200",
    ]
    assert lines["runs"].tolist() == [2, 3]
    assert lines["deviation"].tolist() == pytest.approx([0.03 / 2**0.5, 0.01])
    alone = table[table["encoder"].isin(["swav-200", "swav-800"])]
    with pytest.raises(SettingError, match="more than once"):
        seeds(alone)


def test_a_second_name_of_the_same_weights_is_no_second_run():
    table = planted(names=("swav-200", "swav-200-seed1"), tasks=2)
    table["encoder_digest"] = "same"
    with pytest.raises(SettingError, match="more than once"):
        seeds(table)


def test_weights_of_unknown_training_are_no_repeats():
    table = planted(names=("swav-200", "swav-200-seed1"), tasks=2).assign(epochs=np.nan)
    with pytest.raises(SettingError, match="several seeds"):
        seeds(table)
