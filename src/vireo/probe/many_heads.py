"""Many heads on pooled features at once: linear ones, and those that join several images.

The heads of a task differ in seed and configuration only. Their weights are kept in tensors of
[seeds, rows, configs, columns], and one step of all of them is a few matrix products a seed.
Biases are the weights of a feature that is always one (`pad`).
"""

from abc import ABC, abstractmethod
from typing import NamedTuple, final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from vireo.errors import SettingError
from vireo.tasks.heads import FusionHead, Head, LinearHead

_LANES = 8
"""Rows are padded to whole vectors of this many numbers, or matrix products slow down."""

Weights = tuple[Float[Tensor, "seeds _rows configs _columns"], ...]
Inputs = Float[Tensor, "seeds batch frames padded"]
Answers = Float[Tensor, "seeds batch outputs configs"]


class Forward(NamedTuple):
    """The answers of all heads to a batch, and what lies before the last layer."""

    answers: Answers
    hidden: Tensor


class ManyHeads(ABC):
    """The arithmetic of one kind of head; final classes only, without state."""

    @abstractmethod
    def first(self, head: Head) -> tuple[Float[Tensor, "_rows _columns"], ...]:
        """Return the weights and biases of one head in the order and shape of `Weights`."""

    @abstractmethod
    def answer(self, weights: Weights, x: Inputs) -> Forward:
        """Answer for every example; each seed has its own batch, its configurations share it."""

    @abstractmethod
    def gradient(self, weights: Weights, x: Inputs, hidden: Tensor, delta: Answers) -> Weights:
        """Return the gradient by all weights, from that by the answers."""


@final
class ManyLinear(ManyHeads):
    """y = W x: one tensor of [seeds, outputs, configs, padded]."""

    def first(self, head: Head) -> tuple[Float[Tensor, "_rows _columns"], ...]:
        """Return the layer."""
        assert isinstance(head, LinearHead)
        return (_with_bias(head.layer),)

    def answer(self, weights: Weights, x: Inputs) -> Forward:
        """One product a seed, [batch, padded] x [padded, outputs x configs]."""
        (w,) = weights
        answers = torch.bmm(x[:, :, 0], w.flatten(1, 2).transpose(1, 2))
        return Forward(answers.view(*x.shape[:2], *w.shape[1:3]), x)

    def gradient(self, weights: Weights, x: Inputs, hidden: Tensor, delta: Answers) -> Weights:
        """With D for the gradient: DW = delta^T x."""
        return (torch.bmm(delta.flatten(2).transpose(1, 2), x[:, :, 0]).view_as(weights[0]),)


@final
class ManyFusion(ManyHeads):
    """h_f = relu(A_f x_f), y = B [h_1 ... h_F 1]: modules of the frames, and what joins them.

    A is [seeds, frames, configs, width x padded] and B [seeds, outputs, configs, padded widths].
    """

    def first(self, head: Head) -> tuple[Float[Tensor, "_rows _columns"], ...]:
        """Return the modules, flat, and the fusion layer."""
        assert isinstance(head, FusionHead)
        modules = [_with_bias(module) for module in head.modules_of_frames]
        return torch.stack(modules).flatten(1), _with_bias(head.fusion)

    def answer(self, weights: Weights, x: Inputs) -> Forward:
        """Modules share the features of their frame; fusion layers have each their own input."""
        a, b = weights
        configs, padded = a.shape[2], x.shape[3]
        modules = a.view(*a.shape[:3], -1, padded).flatten(
            2, 3
        )  # [seeds, frames, configs x width, p]
        h = torch.matmul(x.transpose(1, 2), modules.transpose(2, 3)).relu_()
        h = h.view(*h.shape[:3], configs, -1).permute(0, 3, 2, 1, 4).flatten(3)
        hidden = pad(h, b.shape[3])  # [seeds, configs, batch, padded widths]
        return Forward(torch.matmul(hidden, b.permute(0, 2, 3, 1)).permute(0, 2, 3, 1), hidden)

    def gradient(self, weights: Weights, x: Inputs, hidden: Tensor, delta: Answers) -> Weights:
        """With D for the gradient: DB = delta^T h; DA_f = (B_f^T delta where h_f > 0)^T x_f."""
        a, b = weights
        frames, padded = x.shape[2:]
        d = delta.permute(0, 3, 1, 2)  # [seeds, configs, batch, outputs]
        by_b = torch.matmul(d.transpose(2, 3), hidden).transpose(1, 2)
        width = frames * (a.shape[3] // padded)
        back = torch.matmul(d, b[..., :width].transpose(1, 2)).mul_(hidden[..., :width] > 0)
        back = back.view(*back.shape[:3], frames, -1).permute(0, 3, 1, 4, 2).flatten(2, 3)
        return torch.matmul(back, x.transpose(1, 2)).view_as(a), by_b


def many(kind: type[Head]) -> ManyHeads:
    """Return the arithmetic of a kind of head.

    Raises:
        SettingError: a head of a person's own, which only a dense task can have.
    """
    if kind is LinearHead:
        return ManyLinear()
    if kind is FusionHead:
        return ManyFusion()
    raise SettingError(
        f"Image-level heads are 'linear' and 'fusion', trained many at a time; got {kind.__name__}."
    )


def take(
    weights: Weights, seed: int, config: int
) -> tuple[Float[Tensor, "1 _rows 1 _columns"], ...]:
    """Return one head, as many heads of one seed and one configuration."""
    return tuple(w[seed : seed + 1, :, config : config + 1] for w in weights)


def padded_length(length: int) -> int:
    """Return how many numbers `pad` makes of `length`.

    Example:
        >>> padded_length(7), padded_length(8)
        (8, 16)
    """
    return length + 1 + -(length + 1) % _LANES


def pad(
    features: Float[Tensor, "*batch dim"], length: int | None = None
) -> Float[Tensor, "*batch padded"]:
    """Append a one, whose weight is the bias, and zeros, whose weights stay zero."""
    dim = features.shape[-1]
    ones = torch.ones_like(features[..., :1])
    short = (length or padded_length(dim)) - dim - 1
    return F.pad(torch.cat([features, ones], dim=-1), (0, short))


def _with_bias(layer: nn.Module) -> Float[Tensor, "rows columns"]:
    assert isinstance(layer, nn.Linear)
    weight, bias = layer.weight.detach(), layer.bias.detach()
    joined = torch.cat([weight, bias[:, None]], dim=1)
    return F.pad(joined, (0, padded_length(weight.shape[1]) - joined.shape[1]))
