"""Batch norm over the batch of all processes, where torch's own, which needs a GPU, cannot run.

    y = w (x - mean) / sqrt(var + eps) + b,  mean and var over the N rows of all processes
    dL/dx = w / sqrt(var + eps) (g - mean of g - x^ mean of (g x^))

g is the gradient of y, x^ the normalised x. Gradients of w and b are of this process's rows:
DistributedDataParallel averages them, as it does all parameters'.

References:
    Ioffe & Szegedy 2015, arXiv 1502.03167.
"""

from typing import Any

import torch
from torch import Tensor, distributed, nn

from vireo.methods.processes import rank_of


class AllReducedBatchNorm(nn.modules.batchnorm._BatchNorm):
    """A plain layer's parameters and buffers, of the same names; evaluation is the plain layer's.

    Args:
        plain: of one or two dimensions, with running statistics and a momentum.
    """

    def __init__(self, plain: nn.modules.batchnorm._BatchNorm) -> None:
        super().__init__(plain.num_features, plain.eps, plain.momentum, plain.affine)
        self.weight, self.bias = plain.weight, plain.bias
        self.running_mean, self.running_var = plain.running_mean, plain.running_var
        self.num_batches_tracked = plain.num_batches_tracked
        self.train(plain.training)

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - [n, c] or [n, c, h, w], as torch's
        """Normalise by the statistics of all processes while training."""
        if not self.training or rank_of()[1] == 1:
            return super().forward(input)
        normalised, mean, var, count = _Normalise.apply(input, self.eps)
        self._track(mean, var, float(count))
        if self.weight is not None:
            normalised = _along(self.weight, input) * normalised + _along(self.bias, input)
        out: Tensor = normalised.to(input.dtype)
        return out

    @torch.no_grad()
    def _track(self, mean: Tensor, var: Tensor, count: float) -> None:
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        assert self.momentum is not None
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), self.momentum)
        unbiased = var.to(self.running_var.dtype) * (count / (count - 1))
        self.running_var.lerp_(unbiased, self.momentum)
        self.num_batches_tracked += 1

    def _check_input_dim(self, input: Tensor) -> None:  # noqa: A002 - torch's name
        assert input.ndim >= 2


class _Normalise(torch.autograd.Function):
    """x to (x - mean) / sqrt(var + eps); in two passes, so that no large numbers are subtracted."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, eps: float) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        x = x.to(torch.promote_types(x.dtype, torch.float32))
        rows = x.new_tensor([x.numel() / x.shape[1]])
        total = torch.cat([_sum(x), rows])
        distributed.all_reduce(total)
        mean, count = total[:-1] / total[-1], total[-1]
        centred = x - _along(mean, x)
        squares = _sum(centred.square())
        distributed.all_reduce(squares)
        var = squares / count
        scale = (var + eps).rsqrt()
        normalised = centred * _along(scale, x)
        ctx.save_for_backward(normalised, scale, count)
        ctx.mark_non_differentiable(mean, var, count)
        return normalised, mean, var, count

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        g, (normalised, scale, count) = gradients[0], ctx.saved_tensors
        sums = torch.stack([_sum(g), _sum(g * normalised)])
        distributed.all_reduce(sums)
        g_mean, g_along = sums / count
        rest = g - _along(g_mean, g) - normalised * _along(g_along, g)
        return rest * _along(scale, g), None


def _sum(x: Tensor) -> Tensor:
    return x.sum([axis for axis in range(x.ndim) if axis != 1])


def _along(channels: Tensor, x: Tensor) -> Tensor:
    return channels.view(1, -1, *[1] * (x.ndim - 2))
