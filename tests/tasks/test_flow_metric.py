"""Fl-all and end-point error against a loop over pixels, and at their thresholds."""

import math

import numpy as np
import pytest
import torch
from tests.oracles.metrics import accumulate, flow, mean, outliers, value

from vireo.tasks.metrics import FlowInliers
from vireo.tasks.metrics.flow import densest


def flows(seed, n=5):
    """Errors around 3 px on motions from 0 to 150 px, so that both thresholds decide."""
    draw = torch.Generator().manual_seed(seed)
    truth = torch.randn(n, 2, 4, 5, generator=draw) * torch.logspace(-1, 2, n).view(-1, 1, 1, 1)
    answer = truth + torch.randn(n, 2, 4, 5, generator=draw) * 3
    valid = torch.rand(n, 1, 4, 5, generator=draw) < torch.linspace(0.2, 1, n).view(-1, 1, 1, 1)
    return answer, truth.masked_fill(~valid, math.nan), valid


@pytest.mark.parametrize("batch_size", [1, 7])
@pytest.mark.parametrize("n", [1, 5])
@pytest.mark.parametrize("seed", range(3))
def test_it_equals_a_loop_over_pixels(seed, n, batch_size):
    split = flows(seed, n)
    errors = flow(*split)
    outcomes = accumulate(FlowInliers(2), *split, batch_size)
    assert value(FlowInliers(2), outcomes) == pytest.approx(1 - outliers(errors), rel=1e-12)
    assert FlowInliers(2).others(outcomes) == pytest.approx(
        {"epe": mean(e for e, _ in errors), "within-1px": mean(e < 1 for e, _ in errors)}
    )
    if n > 1:
        large = [error > 3 for error, _ in errors]
        far = [error > 0.05 * length for error, length in errors]
        assert any(a and not b for a, b in zip(large, far, strict=True))
        assert any(b and not a for a, b in zip(large, far, strict=True))


@pytest.mark.parametrize(
    ("truth", "answer", "inlier"),
    [
        ((0.0, 0.0), (3.0, 0.0), True),  # exactly 3 px, of nothing
        ((0.0, 0.0), (3.0001, 0.0), False),
        ((10.0, 0.0), (10.0, -3.0), True),
        ((100.0, 0.0), (105.0, 0.0), True),  # exactly 5 %, more than 3 px
        ((100.0, 0.0), (105.01, 0.0), False),
        ((60.0, 80.0), (63.0, 84.0), True),  # exactly 5 % of 100 px
        ((60.0, 80.0), (63.0, 84.01), False),
        ((60.0, 0.0), (63.0, 0.0), True),  # exactly both
        ((20.0, 0.0), (22.9, 0.0), True),  # more than 5 %, less than 3 px
        ((0.0, 0.0), (math.nan, 0.0), False),
    ],
)
def test_an_error_of_exactly_3_px_or_5_percent_is_no_outlier(truth, answer, inlier):
    a, t = (torch.tensor(v).view(1, 2, 1, 1) for v in (answer, truth))
    assert value(FlowInliers(2), accumulate(FlowInliers(2), a, t, None, 1)) == float(inlier)


def test_pixels_count_and_not_images():
    truth = torch.zeros(2, 2, 2, 2)
    answer = torch.zeros(2, 2, 2, 2)
    answer[1] = 9.0
    valid = torch.ones(2, 1, 2, 2, dtype=torch.bool)
    valid[1, 0, 0] = False
    outcomes = accumulate(FlowInliers(2), answer, truth, valid, 1)
    assert value(FlowInliers(2), outcomes) == pytest.approx(4 / 6)
    assert FlowInliers(2).others(outcomes)["epe"] == pytest.approx(2 * math.hypot(9, 9) / 6)


def test_the_constant_flow_is_found_in_the_crowd():
    """Most move by (40, -7); the median and no motion agree with few."""
    rng = np.random.default_rng(0)
    crowd = np.array([40.0, -7.0]) + rng.uniform(-1, 1, size=(300, 2))
    others = rng.uniform(-100, 100, size=(400, 2))
    targets = np.concatenate([crowd, others]).astype(np.float32)
    u, v = densest(targets)
    assert math.hypot(u - 40, v + 7) < 2
    assert densest(np.full((3, 2), 500.0)) == (500.0, 500.0)  # beyond reach: the median
    assert densest(np.zeros((4, 2))) == (0.0, 0.0)
