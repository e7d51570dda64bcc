"""The leaderboard against loops, and its interval against simulated means."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from vireo.analysis.normalised import with_skill
from vireo.report.leaderboard import ALL, leaderboard, mean_ranks

FLOOR, ERROR_FLOOR = 0.2, -2.0


def cells(encoders=4, missing=()):
    generator = np.random.default_rng(0)
    lines = []
    for task, family, unit in (
        ("a", "semantic-image", "share"),
        ("b", "semantic-image", "share"),
        ("c", "structural-pixel", "m"),
    ):
        for number in range(encoders):
            if (number, task) in missing:
                continue
            score = generator.uniform(0.3, 0.9) - (0 if unit == "share" else 1.5)
            lines.append(
                {
                    "encoder": f"e{number}",
                    "task": task,
                    "family": family,
                    "unit": unit,
                    "score": score,
                    "low": score - 0.03,
                    "high": score + 0.05,
                    "floor": FLOOR if unit == "share" else ERROR_FLOOR,
                }
            )
    return with_skill(pd.DataFrame(lines))


def test_means_and_intervals_are_those_of_a_loop():
    table = cells()
    board = leaderboard(table)
    assert [scope.name for scope in board.scopes] == [ALL, "semantic, image", "structural, pixel"]
    for place in board.places:
        own = table[table["encoder"] == place.encoder].set_index("task")
        for scope, mean in zip(board.scopes, place.means, strict=True):
            skills, below, above = [], 0.0, 0.0
            for task in scope.tasks:
                room = (0 - ERROR_FLOOR) if task == "c" else (1 - FLOOR)
                floor = ERROR_FLOOR if task == "c" else FLOOR
                skills.append((own.loc[task, "score"] - floor) / room)
                below += (0.03 / room) ** 2
                above += (0.05 / room) ** 2
            count = len(scope.tasks)
            assert mean.value == pytest.approx(sum(skills) / count)
            assert mean.low == pytest.approx(mean.value - below**0.5 / count)
            assert mean.high == pytest.approx(mean.value + above**0.5 / count)


def test_the_interval_is_as_wide_as_that_of_simulated_means():
    """Normal cells with known half widths: the mean's half width is 1.96 standard errors."""
    generator = np.random.default_rng(1)
    half = np.array([0.03, 0.05, 0.02, 0.08])
    means = (generator.normal(size=(40_000, 4)) * half / 1.96).mean(axis=1)
    table = pd.DataFrame(
        {
            "encoder": "e",
            "task": list("abcd"),
            "family": "f",
            "unit": "share",
            "score": 0.5,
            "low": 0.5 - half,
            "high": 0.5 + half,
            "floor": 0.0,
        }
    )
    (place,) = leaderboard(with_skill(table)).places
    assert place.means[0].high - 0.5 == pytest.approx(1.96 * means.std(), rel=0.02)


def test_the_best_mean_rank_is_first_and_ties_share_places():
    table = cells()
    table.loc[table["task"] == "a", "score"] = [0.5, 0.5, 0.9, 0.1]
    wide = table.pivot(index="encoder", columns="task", values="score")
    expected = np.mean([stats.rankdata(-wide[task]) for task in wide], axis=0)
    ranks = mean_ranks(table)
    assert [ranks[name] for name in wide.index] == pytest.approx(list(expected))
    shown = [place.rank for place in leaderboard(table).places]
    assert shown == sorted(shown)


def test_an_encoder_without_a_task_has_no_mean_over_it_and_comes_last():
    board = leaderboard(cells(missing={(0, "c")}))
    last = board.places[-1]
    assert last.encoder == "e0"
    assert last.rank is None
    assert [mean is None for mean in last.means] == [True, False, True]
    assert all(place.rank <= 3 for place in board.places[:-1])


def test_a_baseline_far_off_does_not_squeeze_the_scale():
    table = cells()
    table.loc[table["encoder"] == "e0", ["score", "low", "high"]] -= 0.5
    table = with_skill(table)
    board = leaderboard(table, "e0")
    beyond = {place.encoder: [mean.beyond for mean in place.means] for place in board.places}
    assert beyond["e0"][:2] == [True, True]
    assert not any(any(found) for name, found in beyond.items() if name != "e0")
    for place in board.places:
        assert all(0 <= at <= 100 for mean in place.means for at in mean.at)
