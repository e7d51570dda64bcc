"""What every metric of the catalogue promises, on easy and on adversarial splits."""

import math

import numpy as np
import pytest
import torch
from tests.oracles.metrics import accumulate, value

from vireo.catalog import resolve
from vireo.tasks import LOSSES, METRICS
from vireo.tasks.metrics import FlowInliers, Metric, constant_like, counted

OUTPUTS = {"top-1": 4, "count": 4, "miou": 4, "miou-foreground": 4, "iou": 2}
OUTPUTS |= {"l1": 3, "mae": 3, "fl": 2}


@pytest.fixture(params=sorted(METRICS))
def metric(request) -> Metric:
    return resolve(METRICS, request.param, "metric", Metric)(OUTPUTS[request.param])


def split_of(metric, n=9, seed=0, shown=0.7):
    """Answers, truth and validity; what is not valid holds a void code or NaN."""
    draw = torch.Generator().manual_seed(seed)
    size = (5, 6) if metric.dense else ()
    if metric.classes:
        answer, target = torch.randint(metric.outputs, (2, n, *size), generator=draw)
        valid = torch.rand(n, *size, generator=draw) < shown
        return answer, target.masked_fill(~valid, 255) if size else target, valid if size else None
    answer, target = torch.randn(2, n, metric.outputs, *size, generator=draw) * 6
    valid = torch.rand(n, 1, *size, generator=draw) < shown
    return answer, target.masked_fill(~valid, math.nan), valid


@pytest.mark.parametrize("batch_size", [1, 4, 7])
@pytest.mark.parametrize("n", [1, 9])
def test_the_size_of_batches_changes_nothing(metric, batch_size, n):
    split = split_of(metric, n=n, shown=0.9)
    whole, parts = accumulate(metric, *split, n), accumulate(metric, *split, batch_size)
    for name in whole:
        np.testing.assert_array_equal(whole[name], parts[name])
        assert len(whole[name]) == n
    assert value(metric, whole) == value(metric, parts)
    assert metric.others(whole) == metric.others(parts)


def test_what_is_not_valid_may_be_anything(metric):
    answer, target, valid = split_of(metric)
    if valid is None:
        return
    other = target.masked_fill(~valid, 0)
    wrong = answer.masked_fill(~valid, 1 if metric.classes else 1e9)
    first, second = (accumulate(metric, *s, valid, 4) for s in [(answer, target), (wrong, other)])
    assert value(metric, first) == value(metric, second)
    assert metric.others(first) == metric.others(second)
    assert math.isfinite(value(metric, first))


def test_a_split_in_which_nothing_counts_has_no_value_and_says_nothing_else(metric):
    answer, target, valid = split_of(metric, shown=0.0)
    if valid is None:
        return
    assert not valid.any()
    outcomes = accumulate(metric, answer, target, valid, 2)
    assert math.isnan(value(metric, outcomes))
    assert metric.others(outcomes) == {}


def test_an_image_in_which_nothing_counts_changes_nothing(metric):
    answer, target, valid = split_of(metric, n=5)
    if valid is None:
        return
    valid[3] = False
    kept = [0, 1, 2, 4]
    whole = accumulate(metric, answer, target, valid, 5)
    rest = accumulate(metric, answer[kept], target[kept], valid[kept], 5)
    assert value(metric, whole) == value(metric, rest)
    assert metric.others(whole) == pytest.approx(metric.others(rest))


def test_perfect_answers_have_the_best_value(metric):
    _, target, valid = split_of(metric)
    perfect = target if metric.classes else target.nan_to_num()
    perfect = perfect if valid is None else perfect.masked_fill(~valid, 0)
    found = value(metric, accumulate(metric, perfect, target, valid, 4))
    assert found == (1.0 if metric.higher_is_better else 0.0)


def test_many_sums_at_once_equal_one_at_a_time(metric):
    statistics = metric.statistics(accumulate(metric, *split_of(metric), 9))
    assert statistics.dtype == np.float64
    many = metric.value(np.stack([statistics, 2 * statistics]))
    assert many.shape == (2, 9)
    for i in range(9):
        np.testing.assert_equal(many[0, i], metric.value(statistics[i]))
    np.testing.assert_allclose(many[0], many[1])


def test_no_other_constant_beats_the_constant_answer(metric):
    rng = np.random.default_rng(0)
    if metric.classes:
        shares = np.array([0.2, 0.4, 0.3, 0.1])[: metric.outputs]
        codes = rng.choice(metric.outputs, size=500, p=shares / shares.sum())
        target = (
            torch.from_numpy(codes).view(5, 10, 10) if metric.dense else torch.from_numpy(codes)
        )
        others = [(float(code),) for code in range(metric.outputs)]
    else:
        size = (7, 8) if metric.dense else ()
        target = torch.from_numpy(rng.exponential(6, size=(11, metric.outputs, *size)))
        others = [tuple(rng.exponential(6, size=metric.outputs).tolist()) for _ in range(200)]
    best = metric.constant(counted(target, None).numpy())
    assert len(best) == (1 if metric.classes else metric.outputs)
    sign = 1 if metric.higher_is_better else -1
    score = {
        constant: sign
        * value(metric, accumulate(metric, constant_like(constant, target), target, None, 4))
        for constant in [best, *others]
    }
    # a constant flow is searched for, on a grid; other answers are exact
    slack = 0.02 if isinstance(metric, FlowInliers) else 0
    assert max(score.values()) - score[best] <= slack


def test_counting_a_batch_never_waits_for_the_device(metric):
    """On the meta device there is nothing to wait for: reading a number back would fail."""
    answer, target, valid = (None if t is None else t.to("meta") for t in split_of(metric))
    found = metric.outcomes(answer, target, valid)
    assert {tensor.device.type for tensor in found.values()} == {"meta"}
    assert {len(tensor) for tensor in found.values()} == {9}


def test_its_losses_are_in_the_catalogue(metric):
    assert set(metric.losses) <= set(LOSSES)
    assert metric.channels in (None, metric.outputs)


def test_what_counts_is_flat_with_channels_last():
    codes = torch.tensor([[[3, 255], [1, 2]]])
    assert counted(codes, codes != 255).tolist() == [3, 1, 2]
    assert counted(torch.tensor([4, 5]), None).tolist() == [4, 5]
    flow = torch.arange(8.0).view(1, 2, 2, 2)
    valid = torch.tensor([[[[True, False], [False, True]]]])
    assert counted(flow, valid).tolist() == [[0, 4], [3, 7]]
    numbers = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    assert counted(numbers, torch.tensor([[False], [True]])).tolist() == [[3, 4]]


def test_a_constant_fills_each_channel():
    assert constant_like((2.0,), torch.zeros(2, 2, dtype=torch.int64)).tolist() == [[2, 2], [2, 2]]
    filled = constant_like((1.0, -2.0), torch.zeros(3, 2, 4, 5))
    assert filled.shape == (3, 2, 4, 5)
    assert (filled[:, 0] == 1).all()
    assert (filled[:, 1] == -2).all()
    assert constant_like((1.0, 2.0), torch.zeros(2, 2)).tolist() == [[1, 2], [1, 2]]
