"""Losses against loops over single targets."""

import math

import pytest
import torch

from vireo.tasks.losses import cross_entropy, masked_l1


def naive_cross_entropy(logits, target, valid, weights):
    total = weight_total = 0.0
    for place in torch.nonzero(torch.ones_like(target)).tolist():
        b, rest = place[0], place[1:]
        if valid is not None and not valid[tuple(place)]:
            continue
        scores = logits[(b, slice(None), *rest)].double()
        y = int(target[tuple(place)])
        weight = 1.0 if weights is None else float(weights[y])
        log_p = float(scores[y]) - math.log(sum(math.exp(float(s)) for s in scores))
        total -= weight * log_p
        weight_total += weight
    return total / weight_total


@pytest.mark.parametrize("size", [(), (3, 4)])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("masked", [False, True])
def test_cross_entropy_equals_a_loop(size, weighted, masked):
    draw = torch.Generator().manual_seed(len(size) + 2 * weighted)
    logits = torch.randn(5, 3, *size, generator=draw) * 4
    target = torch.randint(3, (5, *size), generator=draw)
    valid = torch.rand(5, *size, generator=draw) < 0.7 if masked else None
    if valid is not None:
        target = target.masked_fill(~valid, 255)  # void codes are larger than any class
    weights = torch.tensor([0.1, 1.0, 2.0]) if weighted else None
    loss = cross_entropy(logits, target, valid, weights)
    assert loss.item() == pytest.approx(
        naive_cross_entropy(logits, target, valid, weights), rel=1e-5
    )


def test_masked_l1_equals_a_loop_and_ignores_nan_behind_the_mask():
    draw = torch.Generator().manual_seed(0)
    prediction, target = torch.randn(2, 3, 1, 4, 5, generator=draw)
    valid = torch.rand(3, 1, 4, 5, generator=draw) < 0.5
    target = target.masked_fill(~valid, math.nan)
    kept = [
        abs(float(p - t))
        for p, t, v in zip(prediction.flatten(), target.flatten(), valid.flatten(), strict=True)
        if v
    ]
    prediction.requires_grad_()
    loss = masked_l1(prediction, target, valid)
    assert loss.detach().item() == pytest.approx(sum(kept) / len(kept), rel=1e-6)
    loss.backward()
    assert prediction.grad.isfinite().all()
    assert not prediction.grad[~valid].any()
    prediction = prediction.detach()
    assert masked_l1(prediction, target.nan_to_num()).item() == pytest.approx(
        float((prediction - target.nan_to_num()).abs().mean()), rel=1e-6
    )


@pytest.mark.parametrize("loss", [cross_entropy, masked_l1])
def test_nothing_valid_gives_zero_not_nan(loss):
    logits = torch.zeros(2, 2 if loss is cross_entropy else 1, 3, 3, requires_grad=True)
    if loss is cross_entropy:
        value = loss(logits, torch.full((2, 3, 3), 255), torch.zeros(2, 3, 3, dtype=torch.bool))
    else:
        value = loss(logits, torch.zeros(2, 1, 3, 3), torch.zeros(2, 1, 3, 3, dtype=torch.bool))
    value.backward()
    assert value.detach().item() == 0
    assert not logits.grad.any()


def test_losses_are_float32_under_autocast():
    with torch.autocast("cpu", torch.bfloat16):
        logits = torch.nn.Linear(4, 3)(torch.randn(2, 4))
        assert logits.dtype == torch.bfloat16
        assert cross_entropy(logits, torch.tensor([0, 2])).dtype == torch.float32
