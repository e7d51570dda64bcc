"""Dense heads: trained by batches on the maps of a frozen encoder, several at once.

Heads with different rates share every pass of features; their parameters are disjoint, so the sum
of their losses gives each its own gradient. Batches are whole: with batch norm in a head a rest of
one image has no variance.

"paper": one head, Adam at the task's rate, constant, no weight decay, colours changed, last epoch.
"tuned": AdamW, cosine to zero, no augmentation. A dense head costs as much to train as hundreds of
linear ones, so of the grid it tries the two rates nearest to 1 and 3 times the task's, and the
first weight decay.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor, nn

from vireo import console, schedules
from vireo.catalog import resolve
from vireo.errors import DataError
from vireo.probe.linear import configurations, permutation
from vireo.probe.maps import Frozen, MapBatch, Maps
from vireo.records import ProbeSettings, Task
from vireo.tasks import LOSSES
from vireo.tasks.checks import metric_of
from vireo.tasks.heads import Head
from vireo.tasks.metrics import Metric

_TRIED = (1.0, 3.0)
"""Factors of the task's rate that a dense head tries, or the nearest in the grid (in ratio)."""

Outcomes = dict[str, np.ndarray]


@dataclass(frozen=True, kw_only=True)
class DensePlan:
    """How the dense heads of one seed are trained.

    Attributes:
        rates, decays: one a head.
        digest: seeds batch order and colours, with `seed`.
        cosine: whether rates fall to zero along half a cosine; else they are constant.
        recolour: whether images change their colours in every epoch.
    """

    rates: tuple[float, ...]
    decays: tuple[float, ...]
    seed: int
    digest: str
    cosine: bool
    recolour: bool


def dense_grid(task: Task, settings: ProbeSettings) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the rates and decays that dense heads try."""
    if settings.protocol == "paper":
        return (task.learning_rate,), (0.0,)
    factors = tuple(dict.fromkeys(_nearest(settings.learning_rates, to) for to in _TRIED))
    return configurations(task.learning_rate, factors, settings.weight_decays[:1])


def num_steps(task: Task, examples: int) -> int:
    """Return how many steps a dense head is trained for.

    Raises:
        DataError: there are too few images for batch norm.
    """
    if examples < 2:
        raise DataError(f"A dense head needs at least 2 training images; '{task.name}' has one.")
    steps = task.epochs * max(1, examples // task.batch_size)
    return steps if task.max_steps is None else min(steps, task.max_steps)


def train_dense(frozen: Frozen, maps: Maps, heads: Sequence[Head], plan: DensePlan) -> None:
    """Train heads in place; they are moved to the device and left in evaluation mode."""
    task, device = frozen.task, frozen.compute.torch_device
    modules = nn.ModuleList(heads).to(device)
    modules.to(memory_format=frozen.compute.memory_format)
    modules.train()
    optimizer = _optimizer(heads, plan)
    total, done = num_steps(task, len(maps.part)), 0
    with console.progress(f"{len(heads)} {task.head} heads", total) as bar:
        while done < total:
            order, colours = _epoch(maps, task, plan, done)
            for batch in maps.batches(order[: (total - done) * task.batch_size], colours):
                _set_rates(optimizer, plan, done / total)
                _step(frozen, heads, batch, optimizer)
                done += 1
                bar.advance()
    modules.eval()


def answer_dense(
    frozen: Frozen, maps: Maps, heads: Sequence[Head], constant: float | None = None
) -> list[Outcomes]:
    """Return each head's outcomes on every example of a part, and last the constant answer's."""
    metric = metric_of(frozen.task)
    found: list[list[dict[str, Tensor]]] = []
    indices = []
    everything = np.arange(len(maps.part), dtype=np.int64)
    with torch.inference_mode(), console.progress("testing heads", len(maps.part)) as bar:
        for batch in maps.batches(everything):
            answers = [_answer(frozen, head, batch, metric) for head in heads]
            if constant is not None:
                answers.append(torch.full_like(batch.target, constant))
            found.append([metric.outcomes(a, batch.target, batch.valid) for a in answers])
            indices.append(batch.index)
            bar.advance(len(batch.index))
    index = np.concatenate(indices)
    return [_joined(parts, index) for parts in zip(*found, strict=True)]


def predict_dense(
    frozen: Frozen, maps: Maps, head: Head, places: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return truth and answer of a few examples, [k, height, width]; NaN where depth is invalid."""
    truths, answers = [], []
    metric = metric_of(frozen.task)
    with torch.inference_mode():
        for batch in maps.batches(places):
            answer = _answer(frozen, head, batch, metric)
            void = math.nan if answer.is_floating_point() else frozen.task.ignore_index
            truths.append(batch.target.masked_fill(~batch.valid, void).cpu())
            answers.append(answer.cpu())
    truth, answer = torch.cat(truths), torch.cat(answers)
    if truth.dim() == 4:
        truth, answer = truth[:, 0], answer[:, 0]
    return truth.numpy(), answer.numpy()


def is_finite(head: Head) -> bool:
    """Say whether training left a head with finite weights."""
    return all(bool(tensor.isfinite().all()) for tensor in head.state_dict().values())


def _epoch(
    maps: Maps, task: Task, plan: DensePlan, done: int
) -> tuple[Int64[np.ndarray, " rows"], tuple[str, int] | None]:
    """Return order and colours of the epoch that begins after `done` steps: whole batches only."""
    examples = len(maps.part)
    a_epoch = max(1, examples // task.batch_size)
    epoch = done // a_epoch
    order = permutation(plan.digest, plan.seed, epoch, examples)[: a_epoch * task.batch_size]
    return order, ((f"{plan.digest}|{plan.seed}", epoch) if plan.recolour else None)


def _step(
    frozen: Frozen, heads: Sequence[Head], batch: MapBatch, optimizer: torch.optim.Optimizer
) -> None:
    task = frozen.task
    loss_of = resolve(LOSSES, task.loss, "loss")
    weights = batch.target.new_tensor(task.class_weights, dtype=torch.float32)
    optimizer.zero_grad(set_to_none=True)
    for head in heads:
        with frozen.compute.autocast():
            prediction = head(batch.frames, frozen.size)
        loss_of(
            prediction, batch.target, batch.valid, weights if task.class_weights else None
        ).backward()
    optimizer.step()


def _answer(frozen: Frozen, head: Head, batch: MapBatch, metric: Metric) -> Tensor:
    with frozen.compute.autocast():
        prediction: Tensor = head(batch.frames, frozen.size)
    return prediction.argmax(1) if metric.classes else prediction.float()


def _joined(parts: Sequence[dict[str, Tensor]], index: np.ndarray) -> Outcomes:
    joined = {name: torch.cat([part[name] for part in parts]).cpu().numpy() for name in parts[0]}
    return {"index": index} | joined


def _nearest(factors: Sequence[float], to: float) -> float:
    return min(factors, key=lambda factor: abs(math.log(factor / to)))


def _optimizer(heads: Sequence[Head], plan: DensePlan) -> torch.optim.Optimizer:
    groups = [
        {"params": list(head.parameters()), "lr": rate, "weight_decay": decay}
        for head, rate, decay in zip(heads, plan.rates, plan.decays, strict=True)
    ]
    return torch.optim.AdamW(groups, fused=True)


def _set_rates(optimizer: torch.optim.Optimizer, plan: DensePlan, progress: float) -> None:
    for group, rate in zip(optimizer.param_groups, plan.rates, strict=True):
        group["lr"] = schedules.cosine(progress, rate) if plan.cosine else rate
