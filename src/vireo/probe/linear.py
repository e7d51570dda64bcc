"""Linear heads: the encoder runs once, then every learning rate, weight decay and seed at once.

All heads of a seed see the same batches, so one step of all of them is one matrix product
[batch, dim] x [dim, heads x classes] a seed. The gradient of the cross-entropy is written out
(softmax minus one-hot), so nothing is recorded for autograd.

"paper": Adam at the task's rate, constant, no weight decay, features as they are.
"tuned": AdamW, cosine to zero, features standardised by the mean and deviation of the images the
heads are fitted on: published linear probes need rates from 0.02 to 100, and most of that range is
the scale of the features.
"""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional as F

from vireo import console, schedules, seeding
from vireo.probe.adam import BatchedAdamW

_LANES = 8
"""Rows are padded to whole vectors of this many numbers, or matrix products slow down."""
_CACHE_BYTES = 4 << 20
"""State of the heads that are trained together on a CPU."""
_SHARED = 1 << 24
"""Multiply-adds a step from which on threads share it; about a millisecond of one core."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How linear heads are trained.

    Attributes:
        rates, decays: one a configuration; every seed trains every configuration.
        seeds: of batch order; the first axis of the heads.
        digest: seeds the batch order, with the seed.
        cosine: whether rates fall to zero along half a cosine; else they are constant.
        class_weights: of the loss; empty means all one.
    """

    rates: tuple[float, ...]
    decays: tuple[float, ...]
    seeds: tuple[int, ...]
    epochs: int
    batch_size: int
    digest: str
    cosine: bool
    class_weights: tuple[float, ...] = ()


@dataclass(frozen=True)
class Standardiser:
    """Shift and scale of features; a feature that never changes is only shifted."""

    mean: Float[Tensor, " dim"]
    deviation: Float[Tensor, " dim"]

    @classmethod
    def fit(cls, features: Float[Tensor, "n dim"]) -> "Standardiser":
        """Measure features, in float64."""
        deviation, mean = torch.std_mean(features.double(), dim=0, correction=0)
        deviation = torch.where(deviation > 1e-12 * mean.abs().clamp(min=1), deviation, 1.0)
        return cls(mean.float(), deviation.float())

    @classmethod
    def identity(cls, features: Float[Tensor, "n dim"]) -> "Standardiser":
        """Leave features as they are."""
        return cls(torch.zeros_like(features[0]), torch.ones_like(features[0]))

    def __call__(self, features: Float[Tensor, "n dim"]) -> Float[Tensor, "n dim"]:
        """Return (features - mean) / deviation."""
        return (features - self.mean) / self.deviation


def pad(features: Float[Tensor, "n dim"]) -> Float[Tensor, "n padded"]:
    """Append a one, whose weight is the bias, and zeros, whose weights stay zero."""
    ones = torch.ones_like(features[:, :1])
    short = -(features.shape[1] + 1) % _LANES
    return F.pad(torch.cat([features, ones], dim=1), (0, short))


def train(
    features: Float[Tensor, "n padded"],
    labels: Int64[Tensor, " n"],
    start: Float[Tensor, "seeds classes padded"],
    plan: Plan,
) -> Float[Tensor, "seeds configs classes padded"]:
    """Train all heads; the result is on the device of `features`.

    Args:
        features: padded by `pad`.
        labels: of the features.
        start: the first weights of each seed's heads, the same for all its configurations.
        plan: the configurations and the schedule.
    """
    groups = _groups(plan, start.numel(), features.is_cuda)
    title = f"{len(plan.seeds) * len(plan.rates)} linear heads"
    with console.progress(title, plan.epochs * len(groups)) as bar:
        trained = [_train_group(features, labels, start, group, bar=bar) for group in groups]
    return torch.cat(trained, dim=1)


def _groups(plan: Plan, numbers: int, on_gpu: bool) -> list[Plan]:
    """Split the configurations into groups whose state a processor's cache holds.

    One of 100 classes x 2048 features and its optimiser take 4 MB; eighteen together wait for
    memory in each of a step's passes. A GPU takes all at once.
    """
    each = 4 * 5 * numbers  # bytes of weights, gradient, two moments and work
    size = len(plan.rates) if on_gpu else max(1, _CACHE_BYTES // each)
    return [
        replace(plan, rates=plan.rates[i : i + size], decays=plan.decays[i : i + size])
        for i in range(0, len(plan.rates), size)
    ]


def _train_group(
    features: Float[Tensor, "n padded"],
    labels: Int64[Tensor, " n"],
    start: Float[Tensor, "seeds classes padded"],
    plan: Plan,
    *,
    bar: console.Bar,
) -> Float[Tensor, "seeds configs classes padded"]:
    weights = start.to(features.device).unsqueeze(2).repeat(1, 1, len(plan.rates), 1)
    adam = BatchedAdamW(weights, torch.tensor(plan.rates), torch.tensor(plan.decays))
    label_weights = _label_weights(labels, plan)
    batches = -(-len(labels) // plan.batch_size)
    done, total = 0, plan.epochs * batches
    with _threads_for(plan.batch_size * weights.numel()):
        for epoch in range(plan.epochs):
            order = _order(plan, epoch, len(labels)).to(features.device)
            for chosen in torch.split(order, plan.batch_size, dim=1):
                factor = schedules.cosine(done / total, 1.0) if plan.cosine else 1.0
                gradient = gradient_of(
                    weights, features[chosen], labels[chosen], label_weights[chosen]
                )
                adam.step(gradient, factor)
                done += 1
            bar.advance()
    return weights.transpose(1, 2)


def gradient_of(
    weights: Float[Tensor, "seeds classes configs padded"],
    x: Float[Tensor, "seeds batch padded"],
    y: Int64[Tensor, "seeds batch"],
    label_weights: Float[Tensor, "seeds batch"],
) -> Float[Tensor, "seeds classes configs padded"]:
    """Return the gradient of each head's weighted mean cross-entropy over its seed's batch.

    Configurations lie inside classes, so that the softmax runs along whole vectors of them: with
    ten classes innermost it takes three times as long as both matrix products.
    """
    _, classes, configs, _ = weights.shape
    flat = weights.flatten(1, 2)  # [seeds, classes x configs, padded]
    logits = torch.bmm(x, flat.transpose(1, 2))
    delta = logits.view(*logits.shape[:2], classes, configs).softmax(dim=2)
    truth = y[:, :, None, None].expand(-1, -1, 1, configs)
    delta.scatter_add_(2, truth, delta.new_full((1,), -1.0).expand(truth.shape))
    # a batch of classes that all weigh 0 has no loss, not 0 / 0
    share = label_weights / label_weights.sum(1, keepdim=True).clamp(min=1e-30)
    delta.mul_(share[:, :, None, None])
    return torch.bmm(delta.flatten(2).transpose(1, 2), x).view_as(weights)


def scores(
    weights: Float[Tensor, "seeds configs classes padded"],
    features: Float[Tensor, "n padded"],
    labels: Int64[Tensor, " n"],
) -> tuple[Float[np.ndarray, "seeds configs"], Float[np.ndarray, "seeds configs"]]:
    """Return accuracy and mean cross-entropy of every head."""
    seeds, configs, classes, _ = weights.shape
    correct = torch.zeros(seeds * configs, dtype=torch.float64, device=features.device)
    loss = torch.zeros_like(correct)
    heads = weights.flatten(0, 1)
    rows = max(1, (1 << 24) // (seeds * configs * classes))
    for x, y in zip(torch.split(features, rows), torch.split(labels, rows), strict=True):
        logits = torch.einsum("nd,hkd->hnk", x, heads)
        truth = y.expand(len(heads), -1)
        correct += (logits.argmax(2) == truth).sum(1)
        loss += (
            F.cross_entropy(logits.flatten(0, 1), truth.flatten(), reduction="none")
            .view(len(heads), -1)
            .sum(1, dtype=torch.float64)
        )
    shape = (seeds, configs)
    return (
        (correct / len(labels)).view(shape).cpu().numpy(),
        (loss / len(labels)).view(shape).cpu().numpy(),
    )


@contextlib.contextmanager
def _threads_for(multiply_adds: int) -> Iterator[None]:
    """Take one thread where a step is too small to be shared: waiting would cost more than work."""
    threads = torch.get_num_threads()
    try:
        if multiply_adds < _SHARED:
            torch.set_num_threads(1)
        yield
    finally:
        torch.set_num_threads(threads)


def _label_weights(labels: Int64[Tensor, " n"], plan: Plan) -> Float[Tensor, " n"]:
    if not plan.class_weights:
        return torch.ones(len(labels), device=labels.device)
    return torch.tensor(plan.class_weights, device=labels.device)[labels]


def _order(plan: Plan, epoch: int, examples: int) -> Int64[Tensor, "seeds n"]:
    """Each seed's own permutation; it does not depend on which other seeds are trained."""
    return torch.from_numpy(
        np.stack([permutation(plan.digest, seed, epoch, examples) for seed in plan.seeds])
    )


def permutation(digest: str, seed: int, epoch: int, examples: int) -> Int64[np.ndarray, " n"]:
    """Return the order of the examples in one epoch of one seed."""
    return seeding.generator(digest, f"order of seed {seed}", epoch).permutation(examples)


def configurations(
    rate: float, factors: Sequence[float], decays: Sequence[float]
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return rates and decays of the grid, one entry a configuration."""
    grid = [(rate * factor, decay) for factor in factors for decay in decays]
    return tuple(pair[0] for pair in grid), tuple(pair[1] for pair in grid)
