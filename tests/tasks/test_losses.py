"""Losses against loops over single targets."""

import math

import pytest
import torch

from vireo.tasks.losses import cross_entropy, masked_huber, masked_l1


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


def huber(e: float) -> float:
    return e * e / 2 if abs(e) < 1 else abs(e) - 0.5


@pytest.mark.parametrize(("loss", "of_one"), [(masked_l1, abs), (masked_huber, huber)])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("size", [(), (4, 5)])
def test_regressions_equal_a_loop_and_ignore_nan_behind_the_mask(loss, of_one, channels, size):
    draw = torch.Generator().manual_seed(0)
    prediction, target = torch.randn(2, 6, channels, *size, generator=draw) * 2
    valid = torch.rand(6, 1, *size, generator=draw) < 0.5
    target = target.masked_fill(~valid, math.nan)
    mask = valid.expand_as(target).flatten().tolist()
    values = zip(prediction.flatten().tolist(), target.flatten().tolist(), mask, strict=True)
    kept = [of_one(p - t) for p, t, v in values if v]
    assert 0 < len(kept) < target.numel()
    prediction.requires_grad_()
    found = loss(prediction, target, valid)
    assert found.detach().item() == pytest.approx(sum(kept) / len(kept), rel=1e-5)
    found.backward()
    assert prediction.grad.isfinite().all()
    assert not prediction.grad.masked_select(~valid).any()
    prediction, target = prediction.detach(), target.nan_to_num()
    every = [of_one(e) for e in (prediction - target).flatten().tolist()]
    assert loss(prediction, target).item() == pytest.approx(sum(every) / len(every), rel=1e-5)


def test_the_gradient_of_huber_is_the_error_up_to_one():
    prediction = torch.tensor([[-3.0, -0.5, 0.0, 0.25, 1.0, 9.0]], requires_grad=True)
    (masked_huber(prediction, torch.zeros(1, 6)) * 6).backward()
    assert prediction.grad.tolist() == [[-1.0, -0.5, 0.0, 0.25, 1.0, 1.0]]


@pytest.mark.parametrize("loss", [masked_l1, masked_huber])
def test_a_target_of_other_channels_is_not_broadcast(loss):
    with pytest.raises((AssertionError, TypeError)):
        loss(torch.zeros(2, 2, 3, 3), torch.zeros(2, 1, 3, 3))


@pytest.mark.parametrize("loss", [cross_entropy, masked_l1, masked_huber])
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


@pytest.mark.parametrize("loss", [cross_entropy, masked_l1, masked_huber])
@pytest.mark.parametrize("masked", [False, True])
def test_a_loss_never_waits_for_the_device(loss, masked):
    """On the meta device there is nothing to wait for: reading a number back would fail."""
    answer = torch.zeros(2, 3, 4, 5, device="meta", requires_grad=True)
    classes = loss is cross_entropy
    shape = (2, 4, 5) if classes else (2, 3, 4, 5)
    target = torch.zeros(shape, dtype=torch.int64 if classes else torch.float32, device="meta")
    one = (2, 4, 5) if classes else (2, 1, 4, 5)
    valid = torch.ones(one, dtype=torch.bool, device="meta") if masked else None
    weights = torch.ones(3, device="meta") if classes else None
    loss(answer, target, valid, weights).backward()
    assert answer.grad.device.type == "meta"
