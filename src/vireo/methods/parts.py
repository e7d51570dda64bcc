"""Parts that several methods share: heads, momentum twin, queue, Sinkhorn, split batch norm.

Shapes: n examples, d dimensions, K prototypes or queue entries. Statistics and losses are at least
float32 whatever the precision of the network around them.
"""

import contextlib
import copy
import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, TypeVar

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock, Bottleneck

from vireo.data.views.recipe import GaussianBlur, ViewRecipe
from vireo.encoders.cifar_resnet import Block
from vireo.errors import SettingError

Network = TypeVar("Network", bound=nn.Module)


@contextlib.contextmanager
def full_precision(device: torch.device) -> Iterator[None]:
    """Run the block outside autocast, as losses, similarities and Sinkhorn must."""
    with torch.autocast(device.type, enabled=False):
        yield


def widen(x: Tensor) -> Tensor:
    """Return `x` in float32, or in float64 if it is that already."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def unit(x: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
    """Divide each row by its length; the result is at least float32."""
    return F.normalize(widen(x), dim=1)


def mlp(inputs: int, hidden: int, outputs: int, *, batch_norm: bool) -> nn.Sequential:
    """Build a projector of two linear layers, with ReLU and perhaps batch norm between."""
    norm = (nn.BatchNorm1d(hidden),) if batch_norm else ()
    return nn.Sequential(
        nn.Linear(inputs, hidden), *norm, nn.ReLU(inplace=True), nn.Linear(hidden, outputs)
    )


def batch_norm_mlp(inputs: int, *sizes: int, last_bias: bool = False) -> nn.Sequential:
    """Build linear layers of `sizes` with batch norm and ReLU after each but the last.

    No bias stands before a batch norm, which would take it out again, whatever the released codes
    say; the last layer's is `last_bias`.
    """
    layers: list[nn.Module] = []
    for width in sizes[:-1]:
        layers += [nn.Linear(inputs, width, bias=False), nn.BatchNorm1d(width)]
        layers += [nn.ReLU(inplace=True)]
        inputs = width
    return nn.Sequential(*layers, nn.Linear(inputs, sizes[-1], bias=last_bias))


def demand_sizes(settings: Any, *names: str, least: int = 1) -> None:
    """Refuse settings of these names that are below `least`.

    Raises:
        SettingError: the first of them.
    """
    for name in names:
        value = getattr(settings, name)
        if value < least:
            raise SettingError(f"{name} must be at least {least}; got {value}.")


def demand_classes(num_classes: int | None, method: str) -> int:
    """Return the number of classes that a method learns from.

    Raises:
        SettingError: the images have none, or one.
    """
    if num_classes is None or num_classes < 2:
        raise SettingError(
            f"{method} needs images with at least two classes; these have {num_classes or 'none'}. "
            "Take another data set, or a method that needs no labels."
        )
    return num_classes


def zero_residuals(encoder: nn.Module) -> None:
    """Set the last batch norm's weight of every residual block to 0: blocks begin as the identity.

    Blocks are those of torchvision's ResNets and of the CIFAR ones. timm's own do this themselves;
    other networks have no such blocks and are left as they are.

    References:
        Goyal et al. 2017, arXiv 1706.02677, section 5.1.
    """
    for module in encoder.modules():
        if isinstance(module, Bottleneck):
            nn.init.zeros_(module.bn3.weight)
        elif isinstance(module, BasicBlock | Block):
            nn.init.zeros_(module.bn2.weight)


def off_diagonal(C: Float[Tensor, "d d"]) -> Float[Tensor, " rest"]:
    """Return all entries of a square matrix that are not on its diagonal."""
    d = len(C)
    return C.flatten()[1:].view(d - 1, d + 1)[:, :-1].flatten()


def usage(scores: Float[Tensor, "views n K"], T: float) -> Float[Tensor, ""]:
    """Return how evenly the views predict the prototypes: 1 evenly, 0 all the same one."""
    p = F.softmax(scores / T, dim=2).mean((0, 1))  # [K]
    entropy: Tensor = torch.special.entr(p).sum()
    return entropy / math.log(len(p))


def momentum_copy(online: Network) -> Network:
    """Return a deep copy that takes no gradient; `follow` moves it."""
    return copy.deepcopy(online).requires_grad_(False)


@torch.no_grad()
def follow(twin: nn.Module, online: nn.Module, m: float) -> None:
    """Set each parameter of `twin` to m * itself + (1 - m) * the online network's.

    Only parameters are averaged. The twin's batch-norm buffers evolve by its own forward passes in
    training mode, as in the released code of MoCo.
    """
    for theta_k, theta_q in zip(twin.parameters(), online.parameters(), strict=True):
        theta_k.mul_(m).add_(theta_q, alpha=1 - m)


class Queue(nn.Module):
    """First in, first out: `size` unit columns, random at first; all of it is saved."""

    columns: Tensor
    pointer: Tensor

    def __init__(self, dimension: int, size: int) -> None:
        super().__init__()
        self.register_buffer("columns", F.normalize(torch.randn(dimension, size), dim=0))
        self.register_buffer("pointer", torch.zeros(1, dtype=torch.int64))

    @torch.no_grad()
    def push(self, keys: Float[Tensor, "n d"]) -> Int64[Tensor, " n"]:
        """Replace the n oldest columns by `keys`, and return which ones these were.

        n divides the size, so no batch is cut.
        """
        n, K = len(keys), self.columns.shape[1]
        assert K % n == 0, f"a queue of {K} takes batches that divide it, not {n}"
        # By tensors, for an integer would make the host wait for the GPU in every step.
        places = self.pointer + torch.arange(n, device=self.pointer.device)
        self.columns.index_copy_(1, places, keys.T)
        self.pointer.add_(n).remainder_(K)
        return places


@torch.no_grad()
def sinkhorn(scores: Float[Tensor, "n K"], epsilon: float, iterations: int) -> Float[Tensor, "n K"]:
    """Assign n examples to K prototypes softly, each prototype getting an equal share.

    Alternates between giving every prototype a mass of 1 / K and every example one of 1 / n. The
    maximum is subtracted first, which changes nothing after normalisation; without it
    exp(1 / 0.05) overflows half precision.

    Returns:
        Rows that sum to one, at least float32.

    Example:
        >>> sinkhorn(torch.eye(2), 0.05, 3).round()
        tensor([[1., 0.],
                [0., 1.]])

    References:
        Cuturi 2013; Caron et al. 2020, appendix A.
    """
    with full_precision(scores.device):
        scores = widen(scores)
        Q = torch.exp((scores - scores.max()) / epsilon).T  # [K, n]
        Q /= Q.sum()
        K, n = Q.shape
        for _ in range(iterations):
            Q /= Q.sum(dim=1, keepdim=True) * K
            Q /= Q.sum(dim=0, keepdim=True) * n
        return (Q * n).T


class SplitBatchNorm2d(nn.BatchNorm2d):
    """Batch norm whose training statistics are of each of `splits` parts of the batch.

    Stands in for the separate devices of the paper on one device, after the CIFAR-10 demonstration
    that the authors of MoCo released: every part updates the running statistics from the same
    start, and their mean is kept. A part is a run of neighbouring examples, as a device would get
    it; the demonstration takes every `splits`-th example, the same but for the order of examples,
    and slower in the memory format of convolutions. Parameters and buffers have the names of the
    plain layer, and evaluation is the plain layer's.
    """

    def __init__(self, plain: nn.BatchNorm2d, splits: int) -> None:
        super().__init__(plain.num_features, plain.eps, plain.momentum, plain.affine)
        self.splits = splits
        self.weight, self.bias = plain.weight, plain.bias
        self.running_mean, self.running_var = plain.running_mean, plain.running_var
        self.num_batches_tracked = plain.num_batches_tracked
        self.train(plain.training)

    def forward(self, input: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:  # noqa: A002
        """Normalise each part by itself while training."""
        if not self.training:
            return super().forward(input)
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        assert len(input) % self.splits == 0, f"{len(input)} examples in {self.splits} parts"
        means = self.running_mean.repeat(self.splits, 1)
        variances = self.running_var.repeat(self.splits, 1)
        parts = [
            F.batch_norm(
                part,
                mean,
                variance,
                self.weight,
                self.bias,
                training=True,
                momentum=self.momentum or 0.0,
                eps=self.eps,
            )
            for part, mean, variance in zip(input.chunk(self.splits), means, variances, strict=True)
        ]
        self.running_mean.copy_(means.mean(0))
        self.running_var.copy_(variances.mean(0))
        self.num_batches_tracked += 1
        return torch.cat(parts)


def split_batch_norm(network: nn.Module, splits: int) -> None:
    """Replace, in place, every batch norm of `network` by one with split statistics.

    Raises:
        SettingError: a batch norm of another kind, whose statistics cannot be split.
    """
    for name, child in network.named_children():
        if type(child) is nn.BatchNorm2d and child.track_running_stats and child.momentum:
            setattr(network, name, SplitBatchNorm2d(child, splits))
        elif isinstance(child, nn.modules.batchnorm._BatchNorm):
            raise SettingError(
                f"bn_splits needs plain BatchNorm2d layers with a momentum; layer '{name}' is a "
                f"{type(child).__name__}. Set bn_splits = 1 or take another architecture."
            )
        else:
            split_batch_norm(child, splits)


def without_blur(recipe: ViewRecipe) -> ViewRecipe:
    """Return the recipe with every Gaussian blur taken out."""
    views = tuple(
        replace(
            view,
            operations=tuple(op for op in view.operations if not isinstance(op, GaussianBlur)),
        )
        for view in recipe.views
    )
    return replace(recipe, views=views)
