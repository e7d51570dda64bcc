"""Which task predicts the others, against scipy and on planted tables."""

import numpy as np
import pytest
from scipy import stats
from tests.analysis.planted import Effects, planted, without

from vireo.analysis.predictors import predictors
from vireo.errors import SettingError


def test_correlations_are_scipys_with_the_mean_of_the_other_tasks():
    table = planted(12, tasks=5, effects=Effects(encoder=0.02))
    wide = table[table["method"] != "random"].pivot_table(
        index="encoder", columns="task", values="score"
    )
    scores = (wide - wide.mean()) / wide.std()
    for line in predictors(table).table.itertuples():
        rest = scores.drop(columns=line.task).mean(axis=1)
        assert line.spearman == pytest.approx(stats.spearmanr(scores[line.task], rest).statistic)
        assert line.pearson == pytest.approx(stats.pearsonr(scores[line.task], rest).statistic)


def test_the_task_without_noise_is_found_and_the_one_of_noise_alone_is_last():
    rng = np.random.default_rng(1)
    table = planted(20, tasks=6, effects=Effects(encoder=0.02, cell=0.01, seed=0))
    clean = planted(20, tasks=6, effects=Effects(encoder=0.02, cell=0, seed=0))
    own = table["task"] == "imagenet"
    table.loc[own, "score"] = clean.loc[own, "score"]
    noise = table["task"] == "cityscapes"
    table.loc[noise, "score"] = rng.normal(size=int(noise.sum()))
    finding = predictors(table)
    lines = finding.table
    assert lines["task"].iloc[0] == "imagenet"
    assert lines["task"].iloc[-1] == "cityscapes"
    assert lines["first_in"].iloc[0] > 0.5
    assert lines["first_in"].sum() == pytest.approx(1.0)
    assert lines.loc[lines["order"] == 1, "task"].item() in ("imagenet", "clevr-count", "nyu-depth")
    assert finding.verdict.startswith("Over 19 trained encoders of 19 recipes, imagenet goes best")


def test_the_growing_group_is_a_naive_greedy_search():
    table = planted(10, tasks=4, effects=Effects(encoder=0.01), draw=3)
    wide = table[table["method"] != "random"].pivot_table(
        index="encoder", columns="task", values="score"
    )
    z = (wide - wide.mean()) / wide.std()
    chosen, left = [], sorted(z.columns)
    lines = predictors(table).table.set_index("order")
    for place in range(1, 4):
        fits = []
        for task in left:
            group, rest = [*chosen, task], [t for t in left if t != task]
            x, y = z[group].mean(axis=1), z[rest].mean(axis=1)
            fits.append(stats.pearsonr(x, y).statistic)
        best = left[int(np.argmax(fits))]
        assert lines.loc[place, "task"] == best
        assert lines.loc[place, "together"] == pytest.approx(max(fits))
        chosen.append(best)
        left.remove(best)
    assert np.isnan(lines.loc[4, "together"])


def test_few_recipes_have_no_interval_and_holes_are_named():
    table = without(planted(7, tasks=4), ("swav-200", "imagenet"))
    finding = predictors(table)
    assert finding.table["spearman_low"].isna().all()
    assert "no interval" in finding.verdict
    assert finding.notes == ("Left out swav-200: no score on imagenet.",)


def test_three_encoders_are_too_few():
    with pytest.raises(SettingError, match="At least 4 encoders"):
        predictors(planted(4, tasks=4))


def test_tasks_that_never_differ_predict_nothing():
    finding = predictors(planted(8, tasks=4).assign(score=0.5))
    assert finding.verdict.startswith("Which task tells most of the others cannot be said")
