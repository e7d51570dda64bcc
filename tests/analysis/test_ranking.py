"""Ranks and wins, on a worked example."""

import pandas as pd
import pytest

from vireo.analysis.ranking import clearly_best, ranking


def test_ranks_and_wins_by_hand(table):
    one = table[table["seed"] == 0].copy()
    values = {
        ("random", "digits"): 0.2,
        ("moco", "digits"): 0.8,
        ("swav", "digits"): 0.79,
        ("supervised", "digits"): 0.5,
        ("random", "count"): 0.2,
        ("moco", "count"): 0.3,
        ("swav", "count"): 0.6,
        ("supervised", "count"): 0.3,
        ("random", "depth"): -2.0,
        ("moco", "depth"): -1.0,
        ("swav", "depth"): -0.5,
        ("supervised", "depth"): -1.5,
    }
    one["score"] = [values[key] for key in zip(one["encoder"], one["task"], strict=True)]
    one["low"], one["high"] = one["score"] - 0.05, one["score"] + 0.05
    lines = ranking(one).table.set_index("encoder")
    assert list(lines.index) == ["swav", "moco", "supervised", "random"]
    assert lines["mean_rank"].tolist() == pytest.approx([4 / 3, 5.5 / 3, 8.5 / 3, 4.0])
    assert lines["best_on"].tolist() == [2, 1, 0, 0]
    assert lines["clearly_best_on"].tolist() == [2, 0, 0, 0]


def test_an_encoder_alone_beats_nobody():
    alone = pd.DataFrame({"encoder": ["e"], "task": ["a"], "low": [0.8], "high": [1.0]})
    assert clearly_best(alone).tolist() == [False]
