"""Intervals against a loop over resampled data, and against the coverage they promise."""

import numpy as np
import pytest
import torch

from vireo import seeding
from vireo.probe.bootstrap import draws, interval
from vireo.tasks.metrics import L1, MeanIoU, Top1


def test_draws_equal_metrics_of_resampled_images():
    rng = np.random.default_rng(0)
    confusion = rng.integers(0, 9, size=(7, 3, 3))
    confusion[1:, 2] = 0  # class 2 is true in one image only: absent from some draws
    metric = MeanIoU(3)
    values = draws(metric, metric.statistics({"confusion": confusion}), 50, "d")
    chosen = seeding.generator("d", "bootstrap").integers(7, size=(50, 7))
    for value, rows in zip(values, chosen, strict=True):
        total = sum(confusion[row] for row in rows)
        ious = [
            total[c, c] / (total[c].sum() + total[:, c].sum() - total[c, c])
            for c in range(3)
            if total[c].sum()
        ]
        assert value == pytest.approx(sum(ious) / len(ious))


def test_depth_draws_weigh_images_by_their_valid_pixels():
    error, weight = np.array([1.0, 4.0, 0.0]), np.array([9, 1, 0])
    metric = L1(1)
    values = draws(metric, metric.statistics({"error": error, "weight": weight}), 200, "d")
    chosen = seeding.generator("d", "bootstrap").integers(3, size=(200, 3))
    for value, rows in zip(values, chosen, strict=True):
        pixels = weight[rows].sum()
        expected = (error * weight)[rows].sum() / pixels if pixels else np.nan
        np.testing.assert_allclose(value, expected)
    low, high = interval(
        metric,
        metric.statistics({"error": error, "weight": weight}),
        resamples=200,
        level=0.9,
        digest="d",
    )
    assert 1 <= low < high <= 4


def test_a_chunk_of_draws_changes_nothing(monkeypatch):
    statistics = np.stack([np.arange(30) % 2, np.ones(30)], axis=1).astype(float)
    whole = draws(Top1(2), statistics, 20, "d")
    monkeypatch.setattr("vireo.probe.bootstrap._CELLS", 70)
    np.testing.assert_array_equal(whole, draws(Top1(2), statistics, 20, "d"))


def test_a_95_percent_interval_covers_the_truth_95_percent_of_the_time():
    rng = np.random.default_rng(1)
    metric, covered, trials = Top1(2), 0, 300
    for trial in range(trials):
        correct = rng.random(150) < 0.7
        low, high = interval(
            metric,
            metric.statistics({"correct": correct}),
            resamples=300,
            level=0.95,
            digest=str(trial),
        )
        covered += low <= 0.7 <= high
    assert 0.90 <= covered / trials <= 0.985  # binomial: three standard errors are 0.038


def test_the_same_examples_give_the_same_draws():
    statistics = Top1(2).statistics({"correct": torch.arange(50).numpy() % 3 == 0})
    first = draws(Top1(2), statistics, 100, "a")
    np.testing.assert_array_equal(first, draws(Top1(2), statistics, 100, "a"))
    assert (first != draws(Top1(2), statistics, 100, "b")).any()
