"""Losses of heads, in float32, averaged over what counts.

All have one signature: `valid` says which targets count (None: all), `weights` is one a class.
A batch in which nothing counts has loss 0 and gradient 0, not NaN, and a target that does not count
may be NaN.
"""

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor
from torch.nn import functional as F

_NOWHERE = -100


def cross_entropy(
    logits: Float[Tensor, "batch classes *size"],
    target: Int64[Tensor, "batch *size"],
    valid: Bool[Tensor, "batch *size"] | None = None,
    weights: Float[Tensor, " classes"] | None = None,
) -> Float[Tensor, ""]:
    """Return sum_i w_{y_i} (-log p_i[y_i]) / sum_i w_{y_i} over the valid i.

    Example:
        >>> cross_entropy(torch.zeros(2, 4), torch.tensor([0, 3])).exp().round().item()
        4.0
    """
    if valid is not None:
        target = target.masked_fill(~valid, _NOWHERE)
    total = F.cross_entropy(logits.float(), target, weights, ignore_index=_NOWHERE, reduction="sum")
    counted = target != _NOWHERE
    weight = counted if weights is None else weights[target.clamp(min=0)] * counted
    return _mean(total, weight.sum())


def masked_l1(
    prediction: Float[Tensor, "batch channels *size"],
    target: Float[Tensor, "batch channels *size"],
    valid: Bool[Tensor, "batch 1 *size"] | None = None,
    weights: Float[Tensor, " classes"] | None = None,
) -> Float[Tensor, ""]:
    """Return the mean of |e|, e = prediction - target, over valid places and channels.

    Example:
        >>> masked_l1(torch.zeros(1, 1, 1, 2), torch.tensor([[[[3.0, 5.0]]]])).item()
        4.0
    """
    assert weights is None, "a regression has no classes to weigh"
    error, counted = _error(prediction, target, valid)
    return _mean(error.abs().sum(), counted)


def masked_huber(
    prediction: Float[Tensor, "batch channels *size"],
    target: Float[Tensor, "batch channels *size"],
    valid: Bool[Tensor, "batch 1 *size"] | None = None,
    weights: Float[Tensor, " classes"] | None = None,
) -> Float[Tensor, ""]:
    """Return the mean of e^2 / 2 where |e| < 1, and |e| - 1/2 elsewhere, in the target's unit.

    References:
        Huber 1964; Girshick 2015 (as smooth L1).

    Example:
        >>> masked_huber(torch.zeros(1, 2), torch.tensor([[0.5, 3.0]])).item()
        1.3125
    """
    assert weights is None, "a regression has no classes to weigh"
    error, counted = _error(prediction, target, valid)
    return _mean(F.smooth_l1_loss(error, torch.zeros_like(error), reduction="sum"), counted)


def _error(
    prediction: Tensor, target: Tensor, valid: Tensor | None
) -> tuple[Float[Tensor, "batch channels *size"], Float[Tensor, ""]]:
    """Return prediction - target, 0 where it does not count, and how many numbers count."""
    assert prediction.shape == target.shape, f"{prediction.shape} against {target.shape}"
    error = prediction.float() - target
    if valid is None:
        return error, error.new_full((), error.numel())
    # filled before the loss is taken: behind a mask, the gradient of NaN would still be NaN
    return error.where(valid, 0), valid.expand_as(error).sum().float()


def _mean(total: Tensor, weight: Tensor) -> Tensor:
    return total / torch.where(weight > 0, weight, 1)
