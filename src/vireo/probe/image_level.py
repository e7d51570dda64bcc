"""Image-level tasks: pooled features once, all linear heads at once, the selected one tested."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from vireo import seeding
from vireo.console import warn
from vireo.errors import TrainingError
from vireo.features import encode
from vireo.probe import linear
from vireo.probe.examples import Examples, Part, class_labels, constant_answer
from vireo.probe.maps import Frozen
from vireo.probe.outcomes import Answered, gallery_images, gallery_places
from vireo.probe.select import best
from vireo.records import EncoderCard, ProbeSettings, Task
from vireo.tasks.checks import head_of, metric_of
from vireo.tasks.heads import LinearHead, initialised

Outcomes = dict[str, np.ndarray]


def answer_images(
    frozen: Frozen, examples: Examples, seeds: Sequence[int], digest: str
) -> list[Answered]:
    """Train and test the heads of all `seeds`.

    Args:
        frozen: the encoder at work.
        examples: the data.
        seeds: one answer each; a seed's answer does not depend on the others.
        digest: seeds first weights and batch order, with the seed.

    Raises:
        TrainingError: no configuration of a seed ends with finite weights.
    """
    task, tuned = frozen.task, frozen.settings.protocol == "tuned"
    fit = _pooled(frozen, examples.fit)
    _warn_if_alike(fit, frozen)
    scale = (linear.Standardiser.fit if tuned else linear.Standardiser.identity)(fit)
    plan = linear_plan(task, frozen.settings, seeds, digest)
    start = torch.stack([first_weights(frozen.encoder.card, task, seed, digest) for seed in seeds])
    labels = class_labels(task, examples.fit)
    weights = linear.train(linear.pad(scale(fit)), labels.to(fit.device), start, plan)
    chosen = _select(frozen, examples, weights, scale)
    constant = constant_answer(task, examples.fit, frozen.size)
    heads = weights[torch.arange(len(seeds)), torch.tensor(chosen)]
    tested = [_outcomes(frozen, examples.test, scale, head) for head in heads]
    extra = {
        name: [_outcomes(frozen, part, scale, head) for head in heads]
        for name, part in examples.extra.items()
    }
    return [
        Answered(
            seed=seed,
            outcomes=tested[place],
            constant=_constant(task, tested[place]["truth"], constant),
            extra={name: outcomes[place] for name, outcomes in extra.items()},
            gallery=_gallery(frozen, examples.test, tested[place]),
            chosen=_facts(frozen, examples, plan, chosen[place]),
        )
        for place, seed in enumerate(seeds)
    ]


def _warn_if_alike(features: Float[Tensor, "n dim"], frozen: Frozen) -> None:
    """Say it where most images share their feature with another: no head can tell them apart."""
    different = len(np.unique(features.double().sum(1).cpu().numpy()))  # equal rows have equal sums
    if 2 * different < len(features):
        height, width = frozen.size
        warn(
            f"'{frozen.encoder.card.name}' gives only {different} different features for the "
            f"{len(features)} images of '{frozen.task.name}' at {height} x {width} pixels. Set a "
            "larger input_size in the task, and check the encoder's mean and std."
        )


def _facts(
    frozen: Frozen, examples: Examples, plan: linear.Plan, place: int
) -> dict[str, float | int | str]:
    return {
        "learning_rate": plan.rates[place],
        "weight_decay": plan.decays[place],
        "features": "cached",
        "steps": plan.epochs * -(-len(examples.fit) // plan.batch_size),
    }


def linear_plan(
    task: Task, settings: ProbeSettings, seeds: Sequence[int], digest: str
) -> linear.Plan:
    """Return the configurations of a protocol."""
    factors, decays = settings.learning_rates, settings.weight_decays
    if settings.protocol == "paper":
        factors, decays = (1.0,), (0.0,)
    rates, decays = linear.configurations(task.learning_rate, factors, decays)
    return linear.Plan(
        rates=rates,
        decays=decays,
        seeds=tuple(seeds),
        epochs=task.epochs,
        batch_size=task.batch_size,
        digest=digest,
        cosine=settings.protocol == "tuned",
        class_weights=task.class_weights,
    )


def first_weights(
    card: EncoderCard, task: Task, seed: int, digest: str
) -> Float[Tensor, "classes padded"]:
    """Return the weights and bias that a seed's heads start from, padded as features are."""
    drawn = seeding.integer(digest, "head", index=seed)
    head = initialised(head_of(task), card, task.outputs, drawn)
    assert isinstance(head, LinearHead)
    weights, bias = head.layer.weight.detach(), head.layer.bias.detach()
    padded = torch.zeros_like(linear.pad(weights))
    padded[:, : weights.shape[1]] = weights
    padded[:, weights.shape[1]] = bias
    return padded


def _pooled(frozen: Frozen, part: Part) -> Float[Tensor, "rows dim"]:
    block = encode(
        frozen.encoder,
        part.source,
        size=frozen.size,
        output=("pooled",),
        store=frozen.store,
        split=part.split,
        compute=frozen.compute,
        workers=frozen.workers,
    )["pooled"]
    return torch.from_numpy(block[part.rows, 0]).to(frozen.compute.torch_device)


def _select(
    frozen: Frozen,
    examples: Examples,
    weights: Float[Tensor, "seeds configs classes padded"],
    scale: linear.Standardiser,
) -> list[int]:
    """Return the place of each seed's configuration; no test example is looked at."""
    finite = weights.isfinite().all(3).all(2).cpu().numpy()
    if not finite.any(1).all():
        raise TrainingError(
            f"A linear head of '{frozen.task.name}' on '{frozen.encoder.card.name}' diverged; "
            "lower the task's learning_rate."
        )
    if examples.validation is None:
        return [0] * len(weights)
    features = linear.pad(scale(_pooled(frozen, examples.validation)))
    labels = class_labels(frozen.task, examples.validation).to(features.device)
    accuracy, loss = linear.scores(weights, features, labels)
    accuracy = np.where(finite, accuracy, np.nan)
    return [best(list(a), list(b)) for a, b in zip(accuracy, loss, strict=True)]


def _outcomes(
    frozen: Frozen, part: Part, scale: linear.Standardiser, head: Float[Tensor, "classes padded"]
) -> Outcomes:
    logits = linear.pad(scale(_pooled(frozen, part))) @ head.T
    found = metric_of(frozen.task).outcomes(logits.argmax(1).cpu(), class_labels(frozen.task, part))
    return {"index": part.rows} | {name: tensor.numpy() for name, tensor in found.items()}


def _constant(task: Task, truth: Int64[np.ndarray, " n"], answer: float) -> Outcomes:
    target = torch.from_numpy(truth)
    found = metric_of(task).outcomes(torch.full_like(target, int(answer)), target)
    return {name: tensor.numpy() for name, tensor in found.items()}


def _gallery(frozen: Frozen, part: Part, outcomes: Outcomes) -> Outcomes:
    places = gallery_places(part)
    return {
        "image": gallery_images(part, places, frozen.size),
        "truth": outcomes["truth"][places],
        "prediction": outcomes["predicted"][places],
    }
