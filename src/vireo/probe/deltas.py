"""The gradient of a loss by the answers of many heads at once, written out for the known losses.

With one loss L a head, averaged over its batch, delta = dL / d(answer). Nothing is recorded for
autograd, except for a loss of a person's own, which is asked one head after the other.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from vireo.catalog import resolve
from vireo.tasks import LOSSES

Answers = Float[Tensor, "seeds batch outputs configs"]
Targets = Tensor
"""int64 [seeds, batch] of classes, or float32 [seeds, batch, outputs]."""


def delta_of(
    loss: str, class_weights: Float[Tensor, " classes"] | None = None
) -> Callable[[Answers, Targets], Answers]:
    """Return the function from answers and targets to the gradient of each head's mean loss."""
    match loss:
        case "cross-entropy":
            return lambda p, y: _cross_entropy(p, y, class_weights)
        case "l1":
            return lambda p, y: (p - y[..., None]).sign_().div_(p.shape[1] * p.shape[2])
        case "huber":
            return lambda p, y: (p - y[..., None]).clamp_(-1, 1).div_(p.shape[1] * p.shape[2])
        case _:
            return lambda p, y: _by_autograd(loss, p, y, class_weights)


def _cross_entropy(p: Answers, y: Targets, class_weights: Tensor | None) -> Answers:
    """Softmax minus one-hot, times each example's share of its batch's weight.

    Configurations lie inside classes, so that the softmax runs along whole vectors of them: with
    ten classes innermost it takes three times as long as both matrix products.
    """
    delta = p.softmax(dim=2)
    truth = y[:, :, None, None].expand(-1, -1, 1, p.shape[3])
    delta.scatter_add_(2, truth, delta.new_full((1,), -1.0).expand(truth.shape))
    if class_weights is None:
        return delta.div_(p.shape[1])
    weights = class_weights[y]
    # a batch of classes that all weigh 0 has no loss, not 0 / 0
    share = weights / weights.sum(1, keepdim=True).clamp(min=1e-30)
    return delta.mul_(share[:, :, None, None])


def _by_autograd(loss: str, p: Answers, y: Targets, class_weights: Tensor | None) -> Answers:
    loss_of = resolve(LOSSES, loss, "loss")
    with torch.enable_grad():
        asked = p.detach().requires_grad_()
        losses = [
            loss_of(asked[seed, :, :, config], y[seed], None, class_weights)
            for seed in range(p.shape[0])
            for config in range(p.shape[3])
        ]
        (delta,) = torch.autograd.grad(torch.stack(losses).sum(), asked)
    return delta
