"""Image-level tasks: pooled features once, all heads at once, the selected one tested.

"paper": Adam at the task's rate, constant, no weight decay, features as they are.
"tuned": AdamW, cosine to zero, features (and the numbers of a regression) standardised by the mean
and deviation of what the heads are fitted on: published linear probes need rates from 0.02 to 100,
and most of that range is the scale of the features.
"reference": the sets of the study's grid search, constant, features as they are. The reference
encoder's choice is tested; what this encoder would have chosen is noted.
"""

from collections.abc import Sequence

from vireo import seeding
from vireo.errors import TrainingError
from vireo.probe.answering import Supply, answered, warn_if_alike
from vireo.probe.examples import Examples
from vireo.probe.frozen import Frozen
from vireo.probe.grid import grid_of
from vireo.probe.many_heads import many, pad, take
from vireo.probe.one_head import OneHead, first_weights
from vireo.probe.outcomes import Answered
from vireo.probe.scaling import Scales
from vireo.probe.select import select
from vireo.probe.training import Fit, Plan, num_steps, train
from vireo.tasks.checks import head_of

Facts = dict[str, float | int | str]


def answer_images(
    frozen: Frozen, examples: Examples, seeds: Sequence[int], digest: str
) -> list[Answered]:
    """Train and test the heads of all `seeds`; see `protocols.Answering`."""
    supply = Supply(frozen, examples)
    warn_if_alike(supply)
    features, targets = supply.known(examples.fit)
    scales = Scales.of(features, targets, standardise=frozen.settings.protocol == "tuned")
    fit = Fit(pad(scales.features(features)), scales.scaled(targets))
    plan = plan_of(frozen, seeds, digest)
    drawn = [seeding.integer(digest, "head", index=seed) for seed in seeds]
    heads = train_heads(frozen, fit, plan, drawn=drawn, scales=scales)
    steps = num_steps(plan, fit)
    chosen = [_select(supply, each) for each in heads]  # of all seeds, before any test image
    return [
        answered(supply, seed, [tried[place]], facts | {"steps": steps})
        for seed, tried, (place, facts) in zip(seeds, heads, chosen, strict=True)
    ]


def plan_of(frozen: Frozen, seeds: Sequence[int], digest: str) -> Plan:
    """Return how a protocol trains the heads of a task."""
    task = frozen.task
    return Plan(
        configurations=grid_of(task, frozen.settings),
        seeds=tuple(seeds),
        loss=task.loss,
        epochs=task.epochs,
        batch_size=task.batch_size,
        digest=digest,
        cosine=frozen.settings.protocol in ("tuned", "few-shot"),
        class_weights=task.class_weights,
    )


def train_heads(
    frozen: Frozen, fit: Fit, plan: Plan, *, drawn: Sequence[int], scales: Scales
) -> list[list[OneHead]]:
    """Train the heads of a plan together; return those of each seed, one a configuration.

    Args:
        frozen: the encoder at work.
        fit: what they are fitted on.
        plan: its seeds and configurations.
        drawn: seeds the first weights, for each of the plan's seeds.
        scales: of features and numbers in `fit`.
    """
    task = frozen.task
    first = first_weights(frozen.encoder.card, task, drawn)
    weights = train(many(head_of(task)), fit, first, plan)
    configurations = range(len(plan.configurations))
    return [
        [OneHead(task, take(weights, seed, config), scales) for config in configurations]
        for seed in range(len(plan.seeds))
    ]


def _select(supply: Supply, heads: Sequence[OneHead]) -> tuple[int, Facts]:
    """Return the place of one seed's head, and its facts; no test example is looked at."""
    frozen, validation = supply.frozen, supply.examples.validation
    grid = grid_of(frozen.task, frozen.settings)
    place = 0
    facts: Facts = {}
    if validation is not None:
        features, targets = supply.known(validation)
        scores, losses = zip(*[head.judge(features, targets) for head in heads], strict=True)
        place, facts = select(frozen.settings, grid, scores, losses)
    if not heads[place].is_finite:
        raise TrainingError(
            f"A head of '{frozen.task.name}' on '{frozen.encoder.card.name}' diverged at the rate "
            f"{grid[place].rate:g}; lower the task's learning_rate."
        )
    return place, facts | {
        "learning_rate": grid[place].rate,
        "weight_decay": grid[place].decay,
        "features": "cached",
    }
