"""Pixel-level tasks: dense heads on maps, one seed after the other, the selected one tested."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vireo import seeding
from vireo.errors import TrainingError
from vireo.probe.dense import (
    DensePlan,
    Outcomes,
    answer_dense,
    dense_grid,
    is_finite,
    num_steps,
    predict_dense,
    train_dense,
)
from vireo.probe.examples import Examples, constant_answer
from vireo.probe.maps import Choice, Frozen, Maps, open_maps, plan_features
from vireo.probe.outcomes import Answered, gallery_images, gallery_places, raw_value, score_of
from vireo.probe.select import best
from vireo.tasks.checks import head_of
from vireo.tasks.heads import Head, initialised


@dataclass(frozen=True, kw_only=True)
class _Supplies:
    """What all seeds of a task share."""

    fit: Maps
    validation: Maps | None
    test: Maps
    extra: Mapping[str, Maps]
    choice: Choice
    constant: float


def answer_pixels(
    frozen: Frozen, examples: Examples, seeds: Sequence[int], digest: str
) -> list[Answered]:
    """Train and test the heads of all `seeds`.

    Args:
        frozen: the encoder at work.
        examples: the data.
        seeds: one answer each; a seed's answer does not depend on the others.
        digest: seeds first weights, batch order and colours, with the seed.

    Raises:
        TrainingError: no head of a seed ends with finite weights.
    """
    supplies = _open(frozen, examples)
    return [_answer(frozen, supplies, seed, digest) for seed in seeds]


def num_images(examples: Examples) -> int:
    """Return how many images all parts have."""
    held_out = examples.validation or ()
    extra = sum(map(len, examples.extra.values()))
    return len(examples.fit) + len(held_out) + len(examples.test) + extra


def _open(frozen: Frozen, examples: Examples) -> _Supplies:
    choice = plan_features(
        frozen.encoder.card, frozen.task, num_images(examples), frozen.settings.protocol
    )
    held_out = examples.validation
    return _Supplies(
        fit=open_maps(frozen, examples.fit, choice),
        validation=open_maps(frozen, held_out, choice) if held_out else None,
        test=open_maps(frozen, examples.test, choice),
        extra={name: open_maps(frozen, part, choice) for name, part in examples.extra.items()},
        choice=choice,
        constant=constant_answer(frozen.task, examples.fit, frozen.size),
    )


def _answer(frozen: Frozen, supplies: _Supplies, seed: int, digest: str) -> Answered:
    task, paper = frozen.task, frozen.settings.protocol == "paper"
    rates, decays = dense_grid(task, frozen.settings)
    plan = DensePlan(
        rates=rates, decays=decays, seed=seed, digest=digest, cosine=not paper, recolour=paper
    )
    heads = [_first_head(frozen, seed, digest) for _ in rates]
    train_dense(frozen, supplies.fit, heads, plan)
    chosen = _select(frozen, supplies, heads)
    head = heads[chosen]
    outcomes, constant = answer_dense(frozen, supplies.test, [head], supplies.constant)
    extra = {name: answer_dense(frozen, maps, [head])[0] for name, maps in supplies.extra.items()}
    return Answered(
        seed=seed,
        outcomes=outcomes,
        constant=constant,
        extra=extra,
        gallery=_gallery(frozen, supplies.test, head),
        chosen={
            "learning_rate": rates[chosen],
            "weight_decay": decays[chosen],
            "features": supplies.choice,
            "steps": num_steps(task, len(supplies.fit.part)),
        },
    )


def _first_head(frozen: Frozen, seed: int, digest: str) -> Head:
    drawn = seeding.integer(digest, "head", index=seed)
    return initialised(head_of(frozen.task), frozen.encoder.card, frozen.task.outputs, drawn)


def _select(frozen: Frozen, supplies: _Supplies, heads: Sequence[Head]) -> int:
    """Return the place of the best head on validation; no test example is looked at."""
    finite = [is_finite(head) for head in heads]
    if not any(finite):
        raise TrainingError(
            f"The head of '{frozen.task.name}' on '{frozen.encoder.card.name}' diverged; lower the "
            "task's learning_rate."
        )
    if supplies.validation is None or len(heads) == 1:
        return 0
    # A head that diverged may answer NaN, which has no value: it is not asked.
    places = [place for place, ok in enumerate(finite) if ok]
    kept = [heads[place] for place in places]
    answers: list[Outcomes] = answer_dense(frozen, supplies.validation, kept)
    raws = [raw_value(frozen.task, answer, "validation") for answer in answers]
    scores = [score_of(frozen.task, raw) for raw in raws]
    return places[best(scores, [0.0] * len(scores))]


def _gallery(frozen: Frozen, maps: Maps, head: Head) -> Outcomes:
    places = gallery_places(maps.part)
    truth, prediction = predict_dense(frozen, maps, head, places)
    images = gallery_images(maps.part, places, frozen.size)
    return {"image": images, "truth": truth, "prediction": prediction}
