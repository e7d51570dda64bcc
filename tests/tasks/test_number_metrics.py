"""Errors of numbers, by pixel and by image, against their definitions and scikit-learn."""

import math

import pytest
import torch
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error
from tests.oracles.metrics import accumulate, mean, pairs, value

from vireo.tasks.metrics import L1, MeanAbsolute


def depths(seed, n=6, channels=1):
    draw = torch.Generator().manual_seed(seed)
    answer = torch.randn(n, channels, 4, 5, generator=draw)
    truth = torch.rand(n, channels, 4, 5, generator=draw) * 3
    shown = torch.linspace(0.1, 1, n).view(-1, 1, 1, 1)  # images differ in how much is valid
    valid = torch.rand(n, 1, 4, 5, generator=draw) < shown
    valid[n // 2] = n == 1  # one image without any truth
    truth[0, 0, 0, 0], valid[0, 0, 0, 0] = 0, True  # a true zero: no relative error
    truth[0, 0, 0, 2], answer[0, 0, 0, 2], valid[0, 0, 0, 2] = 2.0, 2.5, True  # exactly 1.25
    truth[0, 0, 0, 1], answer[0, 0, 0, 1], valid[0, 0, 0, 1] = 2.0, 1.75, True
    truth[0, 0, 0, 3], answer[0, 0, 0, 3], valid[0, 0, 0, 3] = 2.5, 2.0, True  # and its inverse
    return answer, truth.masked_fill(~valid, math.nan), valid


@pytest.mark.parametrize("batch_size", [1, 7])
@pytest.mark.parametrize("n", [1, 6])
@pytest.mark.parametrize("channels", [1, 3])
def test_l1_weighs_pixels_and_its_companions_follow_their_definitions(channels, n, batch_size):
    split = depths(channels, n, channels)
    outcomes = accumulate(L1(channels), *split, batch_size)
    everything = pairs(*split)
    positive = [(p, t) for p, t in everything if t > 0]
    within = [p > 0 and max(p / t, t / p) < 1.25 for p, t in positive]
    assert value(L1(channels), outcomes) == pytest.approx(mean(abs(p - t) for p, t in everything))
    assert L1(channels).others(outcomes) == pytest.approx(
        {
            "rmse": math.sqrt(mean((p - t) ** 2 for p, t in everything)),
            "abs-rel": mean(abs(p - t) / t for p, t in positive),
            "delta-1.25": mean(within),
        }
    )
    assert outcomes["positive"].sum() == len(positive) < len(everything)
    if n > 1:
        assert outcomes["weight"][n // 2] == outcomes["error"][n // 2] == 0


def test_a_truth_that_is_never_positive_has_no_relative_error():
    answer, truth = torch.ones(1, 1, 2, 2), torch.zeros(1, 1, 2, 2)
    outcomes = accumulate(L1(1), answer, truth, None, 1)
    assert value(L1(1), outcomes) == 1.0
    assert L1(1).others(outcomes) == {"rmse": 1.0}


@pytest.mark.parametrize("batch_size", [1, 7])
@pytest.mark.parametrize("channels", [1, 3])
def test_regression_of_images_equals_scikit_learn(channels, batch_size):
    draw = torch.Generator().manual_seed(channels)
    truth = torch.randn(20, channels, generator=draw) + 5
    answer = truth + torch.randn(20, channels, generator=draw)
    valid = torch.rand(20, 1, generator=draw) < 0.8
    hidden = truth.masked_fill(~valid, math.nan)
    outcomes = accumulate(MeanAbsolute(channels), answer, hidden, valid, batch_size)
    kept = truth[valid[:, 0]].double(), answer[valid[:, 0]].double()
    assert 0 < len(kept[0]) < 20
    assert value(MeanAbsolute(channels), outcomes) == pytest.approx(mean_absolute_error(*kept))
    others = MeanAbsolute(channels).others(outcomes)
    assert others["rmse"] == pytest.approx(
        math.sqrt(mean(root_mean_squared_error(*kept, multioutput="raw_values") ** 2))
    )
    assert others["r2"] == pytest.approx(r2_score(*kept))
    assert outcomes["truth"].shape == outcomes["predicted"].shape == (20, channels)


def test_r2_of_the_mean_is_zero_and_of_one_image_undefined():
    truth = torch.tensor([[1.0], [2.0], [6.0]])
    outcomes = accumulate(MeanAbsolute(1), torch.full((3, 1), 3.0), truth, None, 2)
    assert MeanAbsolute(1).others(outcomes)["r2"] == pytest.approx(0)
    single = accumulate(MeanAbsolute(1), torch.tensor([[2.0]]), truth[:1], None, 1)
    assert MeanAbsolute(1).others(single) == {"rmse": 1.0}


def test_an_answer_of_another_shape_is_no_answer():
    with pytest.raises((AssertionError, RuntimeError, TypeError)):
        L1(1).outcomes(torch.zeros(2, 2, 3, 3), torch.zeros(2, 1, 3, 3), None)
