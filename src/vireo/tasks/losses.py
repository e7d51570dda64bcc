"""Losses of heads, in float32, averaged over what counts.

Both have one signature: `valid` says which targets count (None: all), `weights` is one a class.
A batch in which nothing counts has loss 0 and gradient 0, not NaN.
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
    prediction: Float[Tensor, "batch channels height width"],
    target: Float[Tensor, "batch channels height width"],
    valid: Bool[Tensor, "batch 1 height width"] | None = None,
    weights: Float[Tensor, " classes"] | None = None,
) -> Float[Tensor, ""]:
    """Return the mean absolute error over the valid pixels, in the target's unit.

    Example:
        >>> masked_l1(torch.zeros(1, 1, 1, 2), torch.tensor([[[[3.0, 5.0]]]])).item()
        4.0
    """
    assert weights is None, "a regression has no classes to weigh"
    error = (prediction.float() - target).abs()
    if valid is None:
        return error.mean()
    valid = valid.expand_as(error)
    return _mean(error.masked_fill(~valid, 0).sum(), valid.sum())


def _mean(total: Tensor, weight: Tensor) -> Tensor:
    return total / torch.where(weight > 0, weight, 1)
