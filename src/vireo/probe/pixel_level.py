"""Pixel-level tasks: dense heads on maps, one seed after the other, the selected one tested."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from vireo import seeding
from vireo.data.stacking import resize_nearest
from vireo.errors import DataError, TrainingError
from vireo.probe.augment import recolours
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
from vireo.probe.examples import Examples, Part, constant_answer
from vireo.probe.frozen import Frozen
from vireo.probe.grid import Configuration
from vireo.probe.maps import Choice, Maps, open_maps, plan_features
from vireo.probe.outcomes import Answered, gallery_images, gallery_places, raw_value, score_of
from vireo.probe.select import select
from vireo.probe.whole_images import piece_pixels
from vireo.records import Task
from vireo.tasks.checks import head_of, metric_of
from vireo.tasks.heads import Head, initialised
from vireo.tasks.metrics import counted

_CONSTANT_IMAGES = 512
"""Images whose pixels decide the constant answer of a task with a crop, evenly spaced."""


@dataclass(frozen=True, kw_only=True)
class _Supplies:
    """What all seeds of a task share."""

    fit: Maps
    validation: Maps | None
    test: Maps
    extra: Mapping[str, Maps]
    choice: Choice
    constant: tuple[float, ...]


def answer_pixels(
    frozen: Frozen, examples: Examples, seeds: Sequence[int], digest: str
) -> list[Answered]:
    """Train and test the heads of all `seeds`; see `protocols.Answering`."""
    supplies = _open(frozen, examples)
    return [_answer(frozen, supplies, seed, digest) for seed in seeds]


def _open(frozen: Frozen, examples: Examples) -> _Supplies:
    choice = plan_features(
        frozen.encoder.card, frozen.task, len(examples), frozen.settings.protocol
    )
    held_out = examples.validation
    return _Supplies(
        fit=open_maps(frozen, examples.fit, choice),
        validation=open_maps(frozen, held_out, choice) if held_out else None,
        test=open_maps(frozen, examples.test, choice),
        extra={name: open_maps(frozen, part, choice) for name, part in examples.extra.items()},
        choice=choice,
        constant=constant_pixel(frozen, examples.fit),
    )


def _answer(frozen: Frozen, supplies: _Supplies, seed: int, digest: str) -> Answered:
    task = frozen.task
    plan = dense_plan(frozen, seed, digest)
    heads = [first_head(frozen, seed, digest) for _ in plan.grid]
    train_dense(frozen, supplies.fit, heads, plan)
    chosen, facts = _select(frozen, supplies, heads, plan.grid)
    head = heads[chosen]
    outcomes, constant, extra = tested(
        frozen, head, supplies.test, supplies.extra, constant=supplies.constant
    )
    return Answered(
        seed=seed,
        outcomes=outcomes,
        constant=constant,
        extra=extra,
        gallery=dense_gallery(frozen, supplies.test, head),
        chosen={
            "learning_rate": plan.grid[chosen].rate,
            "weight_decay": plan.grid[chosen].decay,
            **facts,
            "features": supplies.choice,
            "steps": num_steps(task, len(supplies.fit.part)),
            **whole_facts(frozen),
        },
    )


def tested(
    frozen: Frozen,
    head: Head,
    test: Maps,
    extra: Mapping[str, Maps],
    *,
    constant: tuple[float, ...],
) -> tuple[Outcomes, Outcomes, dict[str, Outcomes]]:
    """Return the outcomes of a head and of the constant answer, and those on further test sets."""
    scoring = frozen.settings.scoring
    outcomes, floor = answer_dense(frozen, test, [head], constant, scoring=scoring)
    further = {
        name: answer_dense(frozen, maps, [head], scoring=scoring)[0] for name, maps in extra.items()
    }
    return outcomes, floor, further


def dense_plan(frozen: Frozen, seed: int, digest: str) -> DensePlan:
    """Return how the heads of a seed are trained under the settings' protocol."""
    settings = frozen.settings
    return DensePlan(
        grid=dense_grid(frozen.task, settings),
        seed=seed,
        digest=digest,
        cosine=settings.protocol not in ("paper", "reference"),
        recolour=recolours(settings.protocol),
    )


def first_head(frozen: Frozen, seed: int, digest: str) -> Head:
    """Return a seed's head with its first weights."""
    task, drawn = frozen.task, seeding.integer(digest, "head", index=seed)
    card = frozen.encoder.card
    return initialised(head_of(task), card, task.outputs, drawn, frames=task.frames)


def whole_facts(frozen: Frozen) -> dict[str, int]:
    """Return, for a row, up to how many pixels a task with a crop answers images in one piece."""
    if frozen.task.crop is None:
        return {}
    return {"whole_up_to_pixels": piece_pixels(frozen.encoder.card, frozen.task)}


def constant_pixel(frozen: Frozen, part: Part) -> tuple[float, ...]:
    """Return the best constant answer to the training labels, as the task's images have them.

    Those of a task with a crop are read at their own resolution, for the flow of a resized image is
    another, and looked at on a grid.
    """
    task, size = frozen.task, frozen.size
    if task.crop is None:
        return constant_answer(task, part, size)
    chosen = np.unique(np.linspace(0, len(part) - 1, _CONSTANT_IMAGES, dtype=np.int64))
    flat = np.concatenate([_counted(task, part, int(row), size) for row in part.rows[chosen]])
    if not len(flat):
        raise DataError(f"No training pixel of '{part.source.name}' is valid; check its masks.")
    return metric_of(task).constant(flat)


def _counted(task: Task, part: Part, row: int, size: tuple[int, int]) -> np.ndarray:
    values = resize_nearest(np.asarray(part.source.target(row, task.target)), size)
    if values.dtype.kind != "f":
        codes = torch.from_numpy(values.astype(np.int64))[None]
        return counted(codes, codes != task.ignore_index).numpy()
    measures = torch.from_numpy(values.astype(np.float32)).reshape(1, -1, *size)
    return counted(measures, measures.isfinite().all(1, keepdim=True)).numpy()


def _select(
    frozen: Frozen, supplies: _Supplies, heads: Sequence[Head], grid: Sequence[Configuration]
) -> tuple[int, dict[str, float | int | str]]:
    """Return the place of the head that is tested, and what the row says of the choice.

    No test example is looked at.
    """
    finite = [is_finite(head) for head in heads]
    place = 0
    facts: dict[str, float | int | str] = {}
    if supplies.validation is not None and any(finite):
        # A head that diverged may answer NaN, which has no value: it is not asked.
        kept = [head for head, ok in zip(heads, finite, strict=True) if ok]
        answers: list[Outcomes] = answer_dense(frozen, supplies.validation, kept)
        raws = iter([raw_value(frozen.task, answer, "validation") for answer in answers])
        scores = [score_of(frozen.task, next(raws)) if ok else math.nan for ok in finite]
        place, facts = select(frozen.settings, grid, scores, [0.0] * len(scores))
    if not finite[place]:
        raise TrainingError(
            f"The head of '{frozen.task.name}' on '{frozen.encoder.card.name}' diverged; lower the "
            "task's learning_rate."
        )
    return place, facts


def dense_gallery(frozen: Frozen, maps: Maps, head: Head) -> Outcomes:
    """Return a few test images with truth and answer, at the size that images are shown."""
    places = gallery_places(maps.part)
    truth, prediction = predict_dense(frozen, maps, head, places)
    images = gallery_images(maps.part, places, frozen.size)
    return {"image": images, "truth": truth, "prediction": prediction}
