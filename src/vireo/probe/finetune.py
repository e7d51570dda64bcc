"""The protocol "fine-tune": a copy of the encoder is trained together with the head.

The study names it as future work. The stored encoder stays as it is: each seed trains a copy, which
is thrown away with its head once both are tested.

Adam, cosine to zero, no weight decay; the head at the task's rate, the encoder at a factor of it
(`ProbeSettings.encoder_rate`). The encoder stays in evaluation mode: batch norm keeps the running
statistics of pre-training, while its scales and shifts are trained, and nothing is dropped out. So
a step does not depend on how many images fit into a batch, and what is tested is what was trained.
Batches are whole. Dense tasks change places and colours as under "paper"; images of image-level
tasks stay as they are, for a mirrored or cut image may have another label (left and right, counts).
"""

import copy
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from vireo import console, schedules
from vireo.encoders.encoder import Features
from vireo.errors import TrainingError
from vireo.probe.answering import Supply, answered
from vireo.probe.dense import DensePlan, answer_of, is_finite, next_epoch, num_steps
from vireo.probe.examples import Examples
from vireo.probe.frozen import Frozen, features_of, loss_of
from vireo.probe.grid import Configuration
from vireo.probe.maps import Recomputed
from vireo.probe.outcomes import Answered
from vireo.probe.pixel_level import (
    constant_pixel,
    dense_gallery,
    first_head,
    tested,
    whole_facts,
)
from vireo.probe.pixels import PixelBatch, load_pixels
from vireo.records import ProbeSettings, Task
from vireo.tasks.checks import head_of, metric_of
from vireo.tasks.heads import Head

_ROWS = 4096
"""Pooled features that a head answers for at once."""


def mistakes(task: Task, settings: ProbeSettings) -> Iterator[str]:
    """Say what cannot work, one sentence each."""
    if not 0 < settings.encoder_rate < math.inf:
        yield f"encoder_rate must be above 0 and finite; got {settings.encoder_rate}"


def answer_finetuned(
    frozen: Frozen, examples: Examples, seeds: Sequence[int], digest: str
) -> list[Answered]:
    """Train a copy of the encoder and a head for each of `seeds`; see `protocols.Answering`."""
    return [_answer(frozen, examples, seed, digest) for seed in seeds]


def _answer(frozen: Frozen, examples: Examples, seed: int, digest: str) -> Answered:
    encoder = copy.deepcopy(frozen.encoder).eval().requires_grad_(True)
    # features of a network that is thrown away are not kept
    own = replace(frozen, encoder=encoder, store=None)
    head = first_head(own, seed, digest).to(own.compute.torch_device)
    fine_tune(own, examples, head, _plan(own, seed, digest))
    encoder.freeze().zero_grad(set_to_none=True)
    answer = _of_pixels if head_of(own.task).dense else _of_images
    return replace(answer(own, examples, head, seed), chosen=_facts(own, examples))


def fine_tune(frozen: Frozen, examples: Examples, head: Head, plan: DensePlan) -> None:
    """Train the encoder of `frozen` and the head in place; both are left in evaluation mode."""
    task, loss = frozen.task, loss_of(frozen)
    total, done = num_steps(task, len(examples.fit)), 0
    optimizer = _optimizer(frozen, head)
    rates = [group["lr"] for group in optimizer.param_groups]
    head.to(memory_format=frozen.compute.memory_format).train()
    with console.progress(f"{task.head} and {frozen.encoder.card.name}", total) as bar:
        while done < total:
            for batch in _epoch(frozen, examples, plan, done):
                for group, rate in zip(optimizer.param_groups, rates, strict=True):
                    group["lr"] = schedules.cosine(done / total, rate)
                optimizer.zero_grad(set_to_none=True)
                prediction = _predict(frozen, head, batch)
                loss(prediction, batch.target, batch.valid).backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                done += 1
                bar.advance()
    head.eval()
    if not is_finite(head) or not is_finite(frozen.encoder.backbone):
        raise TrainingError(
            f"'{frozen.encoder.card.name}' diverged while it was fine-tuned on '{task.name}'; "
            "lower the task's learning_rate, or encoder_rate."
        )


def _plan(frozen: Frozen, seed: int, digest: str) -> DensePlan:
    return DensePlan(
        grid=(Configuration(rate=frozen.task.learning_rate),),
        seed=seed,
        digest=digest,
        cosine=True,
        recolour=head_of(frozen.task).dense,
    )


def _optimizer(frozen: Frozen, head: Head) -> torch.optim.Optimizer:
    rate, factor = frozen.task.learning_rate, frozen.settings.encoder_rate
    groups = [
        {"params": list(head.parameters()), "lr": rate},
        {"params": list(frozen.encoder.backbone.parameters()), "lr": rate * factor},
    ]
    return torch.optim.Adam(groups, fused=True)


def _epoch(frozen: Frozen, examples: Examples, plan: DensePlan, done: int) -> Iterator[PixelBatch]:
    """Yield the batches of the epoch that begins after `done` steps, at most those still to do."""
    task, part = frozen.task, examples.fit
    order, draws = next_epoch(task, plan, len(part), done)
    left = (num_steps(task, len(part)) - done) * task.batch_size
    return load_pixels(frozen, part, order[:left], draws if head_of(task).dense else None)


def _predict(frozen: Frozen, head: Head, batch: PixelBatch) -> Tensor:
    height, width = batch.images.shape[-2:]
    frames = features_of(frozen, batch.images, maps=head.dense)
    with frozen.compute.autocast():
        prediction: Tensor = head(frames, (height, width))
    return prediction


def _of_pixels(frozen: Frozen, examples: Examples, head: Head, seed: int) -> Answered:
    test = Recomputed(frozen, examples.test)
    further = {name: Recomputed(frozen, part) for name, part in examples.extra.items()}
    constant = constant_pixel(frozen, examples.fit)
    outcomes, floor, extra = tested(frozen, head, test, further, constant=constant)
    return Answered(
        seed=seed,
        outcomes=outcomes,
        constant=floor,
        extra=extra,
        gallery=dense_gallery(frozen, test, head),
    )


def _of_images(frozen: Frozen, examples: Examples, head: Head, seed: int) -> Answered:
    metric = metric_of(frozen.task)

    def answer(features: Float[Tensor, "n frames dim"]) -> Tensor:
        rows = torch.split(features, _ROWS)
        return torch.cat([answer_of(metric, _of_pooled(frozen, head, part)) for part in rows])

    return answered(Supply(frozen, examples), seed, [answer], {})


def _of_pooled(
    frozen: Frozen, head: Head, features: Float[Tensor, "n frames dim"]
) -> Float[Tensor, "n outputs"]:
    frames = tuple(map(Features, features.unbind(1)))
    with torch.inference_mode():
        prediction: Tensor = head(frames, frozen.size)
    return prediction


def _facts(frozen: Frozen, examples: Examples) -> dict[str, float | int | str]:
    rate, factor = frozen.task.learning_rate, frozen.settings.encoder_rate
    return {
        "learning_rate": rate,
        "encoder_learning_rate": rate * factor,
        "weight_decay": 0.0,
        "batch_norm": "statistics kept, scale and shift trained",
        "features": "fine-tuned",
        "steps": num_steps(frozen.task, len(examples.fit)),
        **whole_facts(frozen),
    }
