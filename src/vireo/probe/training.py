"""Heads on pooled features: the encoder runs once, then every configuration and seed at once.

All configurations of a seed see the same batches. The gradients are written out (`deltas`,
`many_heads`), so nothing is recorded for autograd.
"""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from vireo import console, schedules, seeding
from vireo.probe.adam import BatchedAdamW
from vireo.probe.deltas import delta_of
from vireo.probe.grid import Configuration
from vireo.probe.many_heads import ManyHeads, Weights
from vireo.probe.momentum import BatchedSGD

_CACHE_BYTES = 4 << 20
"""State of the heads that are trained together on a CPU."""
_SHARED = 1 << 24
"""Multiply-adds a step from which on threads share it; about a millisecond of one core."""

First = tuple[Float[Tensor, "seeds _rows _columns"], ...]


@dataclass(frozen=True)
class Fit:
    """What heads are fitted on.

    Attributes:
        features: padded by `pad`.
        targets: int64 [n] of classes, or float32 [n, outputs].
        rows: the examples that each seed is trained on; None means all.
    """

    features: Float[Tensor, "n frames padded"]
    targets: Tensor
    rows: Int64[Tensor, "seeds m"] | None = None


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How heads are trained.

    Attributes:
        configurations: every seed trains all of them.
        seeds: of batch order; the first axis of the heads.
        digest: seeds the batch order, with the seed.
        cosine: whether rates fall to zero along half a cosine; else they are constant.
        class_weights: of the loss; empty means all one.
    """

    configurations: tuple[Configuration, ...]
    seeds: tuple[int, ...]
    loss: str
    epochs: int
    batch_size: int
    digest: str
    cosine: bool
    class_weights: tuple[float, ...] = ()


def train(heads: ManyHeads, fit: Fit, first: First, plan: Plan) -> Weights:
    """Train all heads; the result is on the device of the features.

    Args:
        heads: the arithmetic of their kind.
        fit: what they are fitted on.
        first: the first weights of each seed's heads, the same for all its configurations.
        plan: the configurations and the schedule.
    """
    groups = _groups(plan, sum(w.numel() for w in first), fit.features.is_cuda)
    title = f"{len(plan.seeds) * len(plan.configurations)} heads"
    with console.progress(title, plan.epochs * len(groups)) as bar:
        trained = [_train_group(heads, fit, first, group, bar=bar) for group in groups]
    return tuple(torch.cat(parts, dim=2) for parts in zip(*trained, strict=True))


def _groups(plan: Plan, numbers: int, on_gpu: bool) -> list[Plan]:
    """Split the configurations into groups of one optimiser whose state a processor's cache holds.

    One of 100 classes x 2048 features and its optimiser take 4 MB; eighteen together wait for
    memory in each of a step's passes. A GPU takes all at once.
    """
    each = 4 * 5 * numbers  # bytes of weights, gradient, two moments and work
    size = len(plan.configurations) if on_gpu else max(1, _CACHE_BYTES // each)
    groups: list[list[Configuration]] = []
    for configuration in plan.configurations:
        last = groups[-1] if groups else []
        if last and len(last) < size and last[0].optimizer == configuration.optimizer:
            last.append(configuration)
        else:
            groups.append([configuration])
    return [replace(plan, configurations=tuple(group)) for group in groups]


def _train_group(
    heads: ManyHeads, fit: Fit, first: First, plan: Plan, *, bar: console.Bar
) -> Weights:
    device, num_configs = fit.features.device, len(plan.configurations)
    weights = tuple(w.to(device).unsqueeze(2).repeat(1, 1, num_configs, 1) for w in first)
    optimizers = [_optimizer(w, plan.configurations) for w in weights]
    class_weights = torch.tensor(plan.class_weights, device=device) if plan.class_weights else None
    delta = delta_of(plan.loss, class_weights)
    steps = num_steps(plan, fit)
    with _threads_for(plan.batch_size * sum(w.numel() for w in weights)):
        for step, (x, y) in enumerate(_batches(fit, plan, bar)):
            factor = schedules.cosine(step / steps, 1.0) if plan.cosine else 1.0
            answers, hidden = heads.answer(weights, x)
            gradients = heads.gradient(weights, x, hidden, delta(answers, y))
            for optimizer, gradient in zip(optimizers, gradients, strict=True):
                optimizer.step(gradient, factor)
    return weights


def _batches(fit: Fit, plan: Plan, bar: console.Bar) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield features and targets [seeds, batch, ...] of every step; each seed has its own order."""
    rows = torch.arange(len(fit.features)).expand(len(plan.seeds), -1)
    rows = rows if fit.rows is None else fit.rows
    for epoch in range(plan.epochs):
        order = rows.gather(1, _order(plan, epoch, rows.shape[1])).to(fit.features.device)
        for chosen in torch.split(order, plan.batch_size, dim=1):
            yield fit.features[chosen], fit.targets[chosen]
        bar.advance()


def num_steps(plan: Plan, fit: Fit) -> int:
    """Return how many steps every head is trained for."""
    examples = len(fit.features) if fit.rows is None else fit.rows.shape[1]
    return plan.epochs * -(-examples // plan.batch_size)


def _optimizer(
    weights: Float[Tensor, "seeds rows configs columns"], grid: Sequence[Configuration]
) -> BatchedAdamW | BatchedSGD:
    rates = torch.tensor([configuration.rate for configuration in grid])
    if grid[0].optimizer == "sgd":
        return BatchedSGD(weights, rates)
    return BatchedAdamW(weights, rates, torch.tensor([c.decay for c in grid]))


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


def _order(plan: Plan, epoch: int, examples: int) -> Int64[Tensor, "seeds n"]:
    """Each seed's own permutation; it does not depend on which other seeds are trained."""
    return torch.from_numpy(
        np.stack([permutation(plan.digest, seed, epoch, examples) for seed in plan.seeds])
    )


def permutation(digest: str, seed: int, epoch: int, examples: int) -> Int64[np.ndarray, " n"]:
    """Return the order of the examples in one epoch of one seed."""
    return seeding.generator(digest, f"order of seed {seed}", epoch).permutation(examples)
