"""Parts of DINO: head, loss, temperature, clipping.

The head is three layers to a bottleneck, where the length is taken out, and a weight-normalised
layer to the outputs.

References:
    Caron et al. 2021, arXiv 2104.14294; Salimans & Kingma 2016, arXiv 1602.07868 (weight norm).
"""

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from vireo import schedules
from vireo.methods.parts import full_precision, unit

STD = 0.02  # of the first weights, a normal distribution; biases start at 0


class DINOHead(nn.Module):
    """Features to `outputs` scores; those are products of unit vectors while `unit_rows`."""

    def __init__(
        self,
        sizes: tuple[int, int, int, int],
        *,
        batch_norm: bool,
        unit_rows: bool,
    ) -> None:
        super().__init__()
        inputs, hidden, bottleneck, outputs = sizes
        layers: list[nn.Module] = []
        for width in (inputs, hidden):
            norm = (nn.BatchNorm1d(hidden),) if batch_norm else ()
            layers += [_linear(width, hidden), *norm, nn.GELU()]
        self.mlp = nn.Sequential(*layers, _linear(hidden, bottleneck))
        self.last_layer = WeightNorm(bottleneck, outputs, unit_rows=unit_rows)

    def forward(self, features: Float[Tensor, "n inputs"]) -> Float[Tensor, "n outputs"]:
        """Return at least float32."""
        z = unit(self.mlp(features))
        with full_precision(z.device):
            scores: Tensor = self.last_layer(z)
        return scores


class WeightNorm(nn.Module):
    """A linear layer without bias whose rows are g v / |v|; g stays at 1 while `unit_rows`.

    Our own lines: torch's, old and new, keep g and v under names that depend on its version.
    """

    def __init__(self, inputs: int, outputs: int, *, unit_rows: bool) -> None:
        super().__init__()
        self.g = nn.Parameter(torch.ones(outputs, 1), requires_grad=not unit_rows)
        self.v = nn.Parameter(nn.Linear(inputs, outputs, bias=False).weight.detach().clone())

    def forward(self, x: Float[Tensor, "n inputs"]) -> Float[Tensor, "n outputs"]:
        """Multiply by the normalised rows."""
        return F.linear(x, self.g * F.normalize(self.v, dim=1))


def self_distillation(
    P: Float[Tensor, "2 n K"], log_p: Float[Tensor, "views n K"]
) -> Float[Tensor, ""]:
    """Return the mean cross-entropy of teacher s and student t over the images and all s != t."""
    pairs = [(s, t) for s in range(len(P)) for t in range(len(log_p)) if s != t]
    losses = [-(P[s] * log_p[t]).sum(dim=1).mean() for s, t in pairs]
    return torch.stack(losses).mean()


def warmed_up(epoch: int, epochs: int, start: float, end: float) -> float:
    """Return a temperature: a line from `start`, whose last of `epochs` has `end`; then `end`."""
    if epoch >= epochs:
        return end
    return schedules.warmup(float(epoch), max(1.0, epochs - 1.0), start, end)


@torch.no_grad()
def clip_each(parameters: Iterable[Tensor], limit: float) -> None:
    """Shorten, in place, each gradient by itself to the norm `limit`, where it is longer."""
    for g in (p.grad for p in parameters if p.grad is not None):
        g.mul_((limit / (g.norm() + 1e-6)).clamp(max=1.0))


def _linear(inputs: int, outputs: int) -> nn.Linear:
    layer = nn.Linear(inputs, outputs)
    # The released code's truncated normal cuts at -2 and 2, a hundred deviations: not at all.
    nn.init.normal_(layer.weight, std=STD)
    nn.init.zeros_(layer.bias)
    return layer
