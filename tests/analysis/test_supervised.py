"""The best self-supervised encoder against the supervised one, against loops and by hand."""

import math

import numpy as np
import pandas as pd
import pytest
from tests.analysis.planted import Effects, planted, without

from vireo.analysis.bootstrap import sign_test
from vireo.analysis.encoders import Match
from vireo.analysis.supervised import chosen_by_others, place_test, supervised
from vireo.errors import SettingError

RIVAL = "supervised-resnet50"


def scored(values, tasks=2):
    """A planted table with given scores: encoder to one score a task."""
    table = planted(names=tuple(values), tasks=tasks)
    place = {task: number for number, task in enumerate(dict.fromkeys(table["task"]))}
    pairs = zip(table["encoder"], table["task"], strict=True)
    table["score"] = [values[encoder][place[task]] for encoder, task in pairs]
    return table.assign(low=table["score"] - 0.01, high=table["score"] + 0.01)


def test_one_line_by_hand():
    table = scored({RIVAL: (0.5, 0.8), "swav-200": (0.6, 0.7), "moco-v2-200": (0.4, 0.79)})
    lines = supervised(table).table.set_index("task")
    first, second = lines.loc["imagenet"], lines.loc["clevr-count"]
    assert (first["best"], first["clear"], first["share_above"]) == ("swav-200", True, 0.5)
    assert (first["gain"], first["percent"]) == pytest.approx((0.1, 20.0))
    assert (second["best"], second["clear"], second["share_above"]) == ("moco-v2-200", False, 0)
    assert (second["gain"], second["percent"]) == pytest.approx((-0.01, -1.25))
    # each task's default is the one that the other task likes
    assert (first["chosen"], second["chosen"]) == ("moco-v2-200", "swav-200")
    assert (first["chosen_gain"], second["chosen_gain"]) == pytest.approx((-0.1, -0.1))


def test_an_error_that_is_halved_is_a_gain_of_fifty_percent():
    values = {RIVAL: (0.5, 0.5, 0.5, -1.0), "swav-200": (0.5, 0.5, 0.5, -0.5)}
    lines = supervised(scored(values, tasks=4)).table.set_index("task")
    assert lines.loc["nyu-depth", "percent"] == pytest.approx(50.0)


def test_the_chosen_one_is_that_of_a_loop():
    table = planted(14, 7)
    lines = supervised(table).table
    wide = table.pivot_table(index="encoder", columns="task", values="score")
    own = [name for name in wide.index if name not in (RIVAL, "random-resnet50")]
    for line in lines.itertuples():
        best, most = "", -math.inf
        for name in own:
            gains = []
            for task in wide.columns:
                if task != line.task:
                    spread = np.std(wide.loc[[*own, RIVAL], task], ddof=1)
                    gains.append((wide.loc[name, task] - wide.loc[RIVAL, task]) / spread)
            if np.mean(gains) > most:
                best, most = name, np.mean(gains)
        assert line.chosen == best
        assert line.best == wide.loc[own, line.task].idxmax()


def test_a_planted_lead_is_found_and_a_planted_lag():
    ahead = supervised(planted(12, 8, effects=Effects(structural=0.1, semantic=0.1)))
    assert "it is the better default of these, but the best of 10 against" in ahead.verdict
    assert "on 8 of 8 tasks, 7.3 expected if all were alike" in ahead.verdict
    assert "10 of 10 do so on average over tasks (exchange of runs p = 0.18)" in ahead.verdict
    behind = supervised(planted(12, 8, effects=Effects(structural=-0.1, semantic=-0.1)))
    assert behind.verdict.endswith("the supervised one is the better default.")
    assert "on 0 of 8 tasks" in behind.verdict


def test_the_best_of_many_alike_wins_often_and_the_default_half_the_time():
    """Ten and one encoders without any difference: the published count, and the test's."""
    rng, names = np.random.default_rng(8), [f"e{number}" for number in range(10)]
    match = Match(RIVAL, names, alike=True, notes=())
    won, chosen, shown = [], [], []
    for _ in range(60):
        scores = rng.normal(size=(11, 8))
        wide = pd.DataFrame(scores, index=[*names, RIVAL], columns=list("abcdefgh"))
        gains = [line["chosen_gain"] for line in chosen_by_others(wide, match).values()]
        won.append((scores[:10].max(axis=0) > scores[10]).mean())
        chosen.append(np.mean(np.array(gains) > 0))
        shown.append(sign_test(sum(g > 0 for g in gains), sum(g < 0 for g in gains)) < 0.05)
    assert np.mean(won) == pytest.approx(10 / 11, abs=0.04)
    assert np.mean(chosen) == pytest.approx(0.5, abs=0.07)
    assert np.mean(shown) <= 0.07


def test_the_best_of_many_lucky_runs_is_not_praised_as_a_way_of_learning():
    """Runs that are alike but for their luck: the chosen one leads often, the claim is rare."""
    led, claimed = [], []
    for draw in range(12):
        table = planted(30, 8, effects=Effects(encoder=0.03), draw=draw)
        verdict = supervised(table).verdict
        led.append("it is the better default" in verdict)
        claimed.append(verdict.endswith("it is the better default."))
    assert np.mean(led) > 0.5
    assert not any(claimed)


def test_the_place_of_one_run_among_others_is_uniform_if_all_are_alike():
    means = np.random.default_rng(2).normal(size=(2000, 40))
    p = np.array([place_test(pd.Series(one[1:] - one[0])) for one in means])
    for level in (0.05, 0.2, 0.5):
        assert np.mean(p <= level) == pytest.approx(level, abs=0.03)


def test_an_encoder_for_each_hole_says_what_is_lacking():
    holes = (("swav-200", "imagenet"), ("moco-v2-200", "clevr-count"))
    finding = supervised(without(planted(4, 2), *holes))
    assert "needs a self-supervised encoder that has all of two tasks or more" in finding.verdict


def test_few_tasks_cannot_show_a_better_default():
    finding = supervised(planted(6, 3, effects=Effects(structural=0.1, semantic=0.1)))
    assert finding.verdict.endswith("6 tasks are the fewest that could show a better default.")
    one = supervised(planted(6, 1))
    assert "cannot be said" in one.verdict
    assert one.table["chosen"].tolist() == [""]


def test_what_is_missing_is_named_and_left_out():
    table = without(planted(8, 6), (RIVAL, "imagenet"), ("swav-200", "clevr-count"))
    finding = supervised(table)
    assert "imagenet" not in set(finding.table["task"])
    assert "supervised-resnet50 x imagenet and swav-200 x clevr-count" in finding.notes[0]
    assert "swav-200" not in set(finding.table["chosen"])
    with pytest.raises(SettingError, match="No task has supervised-resnet50 and"):
        supervised(without(planted(3, 2), (RIVAL, "imagenet"), ("swav-200", "clevr-count")))


def test_another_network_is_said():
    table = planted(6, 3)
    table.loc[table["encoder"] == RIVAL, "architecture"] = "mobilenet_v2"
    assert f"{RIVAL}, a network of another architecture, on" in supervised(table).verdict


def test_bars_rise_from_the_worst_to_the_best_task():
    finding = supervised(planted(12, 8))
    (figure,) = finding.figures
    assert figure.data["value"].is_monotonic_increasing
    assert sorted(figure.data["value"]) == pytest.approx(sorted(finding.table["percent"]))
    assert set(figure.data["group"]) <= {"imagenet", "imagenet-half"}
