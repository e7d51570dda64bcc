"""Top-1 and counts against scikit-learn and loops."""

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, balanced_accuracy_score, mean_absolute_error
from tests.oracles.metrics import accumulate, macro, pairs, value

from vireo.tasks.metrics import Count, Top1


@pytest.mark.parametrize("kind", [Top1, Count])
@pytest.mark.parametrize("batch_size", [1, 7])
@pytest.mark.parametrize("seed", range(3))
def test_top1_and_its_companions_equal_scikit_learn(kind, batch_size, seed):
    rng = np.random.default_rng(seed)
    truth = torch.from_numpy(rng.choice([0, 1, 3, 7], size=50))  # classes 2, 4, 5, 6 are absent
    answer = torch.from_numpy(np.where(rng.random(50) < 0.5, truth, rng.choice([0, 1, 3], 50)))
    outcomes = accumulate(kind(8), answer, truth, None, batch_size)
    assert value(kind(8), outcomes) == pytest.approx(accuracy_score(truth, answer))
    others = kind(8).others(outcomes)
    assert others["macro-accuracy"] == pytest.approx(balanced_accuracy_score(truth, answer))
    everything = torch.ones(50, dtype=torch.bool)
    assert others["macro-accuracy"] == pytest.approx(macro(pairs(answer, truth, everything)))
    if kind is Count:
        assert others["count-error"] == pytest.approx(mean_absolute_error(truth, answer))


def test_one_image_has_a_whole_or_no_point():
    for answer, expected in [(2, 1.0), (1, 0.0)]:
        outcomes = accumulate(Count(3), torch.tensor([answer]), torch.tensor([2]), None, 1)
        assert value(Count(3), outcomes) == expected
        assert Count(3).others(outcomes)["macro-accuracy"] == expected
        assert Count(3).others(outcomes)["count-error"] == 2 - answer


def test_a_class_that_is_answered_and_never_true_costs_only_the_true_one():
    answer, truth = torch.tensor([0, 3, 3, 1]), torch.tensor([0, 0, 1, 1])
    outcomes = accumulate(Top1(4), answer, truth, None, 2)
    assert value(Top1(4), outcomes) == 0.5
    assert Top1(4).others(outcomes) == {"macro-accuracy": 0.5}
