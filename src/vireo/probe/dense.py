"""Dense heads: trained by batches on the maps of a frozen encoder, several at once.

Heads with different rates share every pass of features; their parameters are disjoint, so the sum
of their losses gives each its own gradient. Batches are whole: with batch norm in a head a rest of
one image has no variance. A step does not wait for the device.

"paper": one head, Adam at the task's rate, constant, no weight decay, colours changed, last epoch.
"reference": the same with each of the sets of optimiser and rate; the reference encoder chooses.
"tuned": AdamW, cosine to zero, colours as they are. A dense head costs as much to train as hundreds
of linear ones, so of the grid it tries the two rates nearest to 1 and 3 times the task's, and the
first weight decay. Scale, crop and mirror are the task's, under every protocol.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor, nn

from vireo import console, schedules
from vireo.data.stacking import resize_nearest
from vireo.probe.frozen import Frozen, Loss, loss_of
from vireo.probe.grid import Configuration, grid_of, product
from vireo.probe.maps import MapBatch, Maps
from vireo.probe.pixels import Draws
from vireo.probe.training import permutation
from vireo.probe.whole_images import Predicted, predict_whole
from vireo.records import ProbeSettings, Task
from vireo.tasks.checks import metric_of
from vireo.tasks.heads import Head
from vireo.tasks.metrics import Metric, constant_like

_TRIED = (1.0, 3.0)
"""Factors of the task's rate that a dense head tries, or the nearest in the grid (in ratio)."""

Outcomes = dict[str, np.ndarray]


@dataclass(frozen=True, kw_only=True)
class DensePlan:
    """How the dense heads of one seed are trained.

    Attributes:
        grid: one configuration a head.
        digest: seeds batch order, places and colours, with `seed`.
        cosine: whether rates fall to zero along half a cosine; else they are constant.
        recolour: whether images change their colours in every epoch.
    """

    grid: tuple[Configuration, ...]
    seed: int
    digest: str
    cosine: bool
    recolour: bool


def dense_grid(task: Task, settings: ProbeSettings) -> tuple[Configuration, ...]:
    """Return the configurations that dense heads try."""
    if settings.protocol != "tuned":
        return grid_of(task, settings)
    factors = tuple(dict.fromkeys(_nearest(settings.learning_rates, to) for to in _TRIED))
    return product(task.learning_rate, factors, settings.weight_decays[:1])


def num_steps(task: Task, examples: int) -> int:
    """Return how many steps a head is trained for by whole batches."""
    steps = task.epochs * max(1, examples // task.batch_size)
    return steps if task.max_steps is None else min(steps, task.max_steps)


def train_dense(frozen: Frozen, maps: Maps, heads: Sequence[Head], plan: DensePlan) -> None:
    """Train heads in place; they are moved to the device and left in evaluation mode."""
    task, device = frozen.task, frozen.compute.torch_device
    modules = nn.ModuleList(heads).to(device)
    modules.to(memory_format=frozen.compute.memory_format)
    modules.train()
    loss = loss_of(frozen)
    optimizers = [_optimizer(head, tried) for head, tried in zip(heads, plan.grid, strict=True)]
    total, done = num_steps(task, len(maps.part)), 0
    with console.progress(f"{len(heads)} {task.head} heads", total) as bar:
        while done < total:
            order, draws = next_epoch(task, plan, len(maps.part), done)
            for batch in maps.batches(order[: (total - done) * task.batch_size], draws):
                _set_rates(optimizers, plan, done / total)
                for head, optimizer in zip(heads, optimizers, strict=True):
                    _step(frozen, head, batch, optimizer, loss=loss)
                done += 1
                bar.advance()
    modules.eval()


def answer_dense(
    frozen: Frozen,
    maps: Maps,
    heads: Sequence[Head],
    constant: tuple[float, ...] | None = None,
    *,
    scoring: Literal["standard", "released"] = "standard",
) -> list[Outcomes]:
    """Return each head's outcomes on every example of a part, and last the constant answer's."""
    metric = metric_of(frozen.task, scoring)
    found: list[list[dict[str, Tensor]]] = []
    indices = []
    everything = np.arange(len(maps.part), dtype=np.int64)
    with torch.inference_mode(), console.progress("testing heads", len(maps.part)) as bar:
        for batch in _predicted(frozen, maps, heads, everything):
            answers = [answer_of(metric, prediction) for prediction in batch.predictions]
            if constant is not None:
                answers.append(constant_like(constant, batch.target))
            found.append([metric.outcomes(a, batch.target, batch.valid) for a in answers])
            indices.append(batch.index)
            bar.advance(len(batch.index))
    index = np.concatenate(indices)
    return [joined(parts, index) for parts in zip(*found, strict=True)]


def predict_dense(
    frozen: Frozen, maps: Maps, head: Head, places: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return truth and answer of a few examples; NaN where a measure is invalid.

    Both are [k, height, width] at the size that images are shown at, flow [k, 2, height, width]; of
    other measures of several channels the first.
    """
    truths, answers = [], []
    metric = metric_of(frozen.task)
    with torch.inference_mode():
        for batch in _predicted(frozen, maps, [head], places):
            answer = answer_of(metric, batch.predictions[0])
            void = math.nan if answer.is_floating_point() else frozen.task.ignore_index
            truths.append(_shown(batch.target.masked_fill(~batch.valid, void), frozen.size))
            answers.append(_shown(answer, frozen.size))
    return np.concatenate(truths), np.concatenate(answers)


def answer_of(metric: Metric, prediction: Tensor) -> Tensor:
    """Return what a metric takes: the class of the largest logit, or the prediction itself."""
    return prediction.argmax(1) if metric.classes else prediction.float()


def is_finite(network: nn.Module) -> bool:
    """Say whether training left a head, or an encoder, with finite weights."""
    return all(bool(tensor.isfinite().all()) for tensor in network.state_dict().values())


def next_epoch(
    task: Task, plan: DensePlan, examples: int, done: int
) -> tuple[Int64[np.ndarray, " rows"], Draws]:
    """Return order and draws of the epoch that begins after `done` steps: whole batches only."""
    a_epoch = max(1, examples // task.batch_size)
    epoch = done // a_epoch
    order = permutation(plan.digest, plan.seed, epoch, examples)[: a_epoch * task.batch_size]
    digest = f"{plan.digest}|{plan.seed}"
    return order, Draws(digest=digest, epoch=epoch, recolour=plan.recolour)


def joined(parts: Sequence[dict[str, Tensor]], index: np.ndarray) -> Outcomes:
    """Join the outcomes of batches."""
    outcomes = {name: torch.cat([part[name] for part in parts]).cpu().numpy() for name in parts[0]}
    return {"index": index} | outcomes


def _step(
    frozen: Frozen,
    head: Head,
    batch: MapBatch,
    optimizer: torch.optim.Optimizer,
    *,
    loss: Loss,
) -> None:
    optimizer.zero_grad(set_to_none=True)
    with frozen.compute.autocast():
        prediction = head(batch.frames, batch.size)
    loss(prediction, batch.target, batch.valid).backward()  # type: ignore[no-untyped-call]
    optimizer.step()


def _predicted(
    frozen: Frozen, maps: Maps, heads: Sequence[Head], places: np.ndarray
) -> Iterator[Predicted]:
    """Yield all heads' predictions: one pass of features serves them."""
    if frozen.task.crop is not None:
        yield from predict_whole(frozen, maps.part, heads, places)
        return
    for batch in maps.batches(places):
        with frozen.compute.autocast():
            predictions = tuple(head(batch.frames, batch.size).float() for head in heads)
        yield Predicted(
            predictions=predictions, target=batch.target, valid=batch.valid, index=batch.index
        )


def _shown(values: Tensor, size: tuple[int, int]) -> np.ndarray:
    """Return maps as a gallery keeps them: at its images' size; of measures flow or one channel."""
    resized = resize_nearest(values.cpu().numpy(), size)
    return resized if resized.ndim == 3 or resized.shape[1] == 2 else resized[:, 0]


def _nearest(factors: Sequence[float], to: float) -> float:
    return min(factors, key=lambda factor: abs(math.log(factor / to)))


def _optimizer(head: Head, tried: Configuration) -> torch.optim.Optimizer:
    rate, decay = tried.rate, tried.decay
    if tried.optimizer == "sgd":
        return torch.optim.SGD(head.parameters(), lr=rate, momentum=0.9, weight_decay=decay)
    return torch.optim.AdamW(head.parameters(), lr=rate, weight_decay=decay, fused=True)


def _set_rates(
    optimizers: Sequence[torch.optim.Optimizer], plan: DensePlan, progress: float
) -> None:
    for optimizer, tried in zip(optimizers, plan.grid, strict=True):
        for group in optimizer.param_groups:
            group["lr"] = schedules.cosine(progress, tried.rate) if plan.cosine else tried.rate
