"""The weighted kNN classifier against a loop over every pair."""

import math

import numpy as np
import pytest
import torch

from vireo.errors import SettingError
from vireo.features import knn_accuracy, knn_predict, neighbours

RNG = np.random.default_rng(0)
TRAIN, TEST = RNG.standard_normal((40, 5)), RNG.standard_normal((23, 5))
LABELS, TRUTH = RNG.integers(4, size=40), RNG.integers(4, size=23)


def naive(train, labels, test, k, temperature):
    predicted = []
    for f in test:
        s = [float(f @ v / np.linalg.norm(f) / np.linalg.norm(v)) for v in train]
        nearest = sorted(range(len(train)), key=lambda i: -s[i])[:k]
        votes = {}
        for i in nearest:
            votes[labels[i]] = votes.get(labels[i], 0.0) + math.exp(s[i] / temperature)
        predicted.append(max(votes, key=votes.get))
    return np.array(predicted)


@pytest.mark.parametrize("k", [1, 3, 20, 40, 1000])
@pytest.mark.parametrize("temperature", [0.07, 0.1, 10.0])
def test_predictions_are_those_of_the_definition(k, temperature):
    expected = naive(TRAIN, LABELS, TEST, k, temperature)
    found = knn_predict(TRAIN, LABELS, TEST, k=k, temperature=temperature)
    np.testing.assert_array_equal(found.numpy(), expected)
    accuracy = knn_accuracy(TRAIN, LABELS, TEST, TRUTH, k=k, temperature=temperature)
    assert accuracy == pytest.approx((expected == TRUTH).mean())


def test_weights_decide_where_counts_would_say_otherwise():
    train = np.array([[1.0, 0.0], [0.6, 0.8], [0.6, -0.8]])
    test = np.array([[1.0, 0.05]])
    assert knn_predict(train, np.array([7, 3, 3]), test, k=3, temperature=0.1).tolist() == [7]
    assert knn_predict(train, np.array([7, 3, 3]), test, k=3, temperature=100.0).tolist() == [3]


def test_length_of_features_does_not_matter():
    scales = RNG.uniform(0.1, 100, size=(40, 1))
    torch.testing.assert_close(
        knn_predict(TRAIN * scales, LABELS, TEST, k=5), knn_predict(TRAIN, LABELS, TEST, k=5)
    )


def test_chunks_do_not_change_the_answer(monkeypatch):
    whole = knn_predict(TRAIN, LABELS, TEST, k=5)
    monkeypatch.setattr(neighbours, "_CHUNK", 7 * len(TRAIN))
    torch.testing.assert_close(knn_predict(TRAIN, LABELS, TEST, k=5), whole)


def test_tensors_and_half_precision_are_taken():
    found = knn_predict(torch.eye(3).half(), torch.tensor([2, 1, 0]), torch.eye(3), k=2)
    assert found.tolist() == [2, 1, 0]


@pytest.mark.parametrize(("k", "temperature"), [(0, 0.1), (5, 0.0)])
def test_a_setting_that_cannot_be_is_refused(k, temperature):
    with pytest.raises(SettingError, match="must be positive"):
        knn_predict(TRAIN, LABELS, TEST, k=k, temperature=temperature)
