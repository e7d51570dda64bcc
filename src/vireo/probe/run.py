"""One encoder on one task: check, skip what is stored, train heads, test once, write the rows."""

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from vireo import console
from vireo.devices import Compute, peak_memory_bytes, versions
from vireo.digest import digest
from vireo.encoders.encoder import Encoder
from vireo.encoders.weights import weights_digest
from vireo.errors import SettingError, VireoError
from vireo.features.encode import preprocessing_digest
from vireo.probe.checks import check_examples, check_settings
from vireo.probe.examples import Examples, check_label, input_size, open_examples
from vireo.probe.frozen import Frozen
from vireo.probe.maps import flops_each, stored_outputs
from vireo.probe.outcomes import Answered, scored
from vireo.probe.protocols import answering, protocol_digest, protocol_of
from vireo.records import Cost, EncoderCard, ProbeSettings, ResultRow, RowKey, Task
from vireo.store.blocks import FeatureStore
from vireo.store.folder import StudyFolder
from vireo.store.results import ResultStore
from vireo.tasks.checks import head_of, mistakes
from vireo.tasks.released import unit_of

_LOOKED_AT = 200
"""Targets that `validate` reads in each split; all of them are checked when they are used."""


def probe(  # noqa: PLR0913 - who, what, how, where: none of these follows from another
    encoder: Encoder,
    task: Task,
    settings: ProbeSettings,
    *,
    store: Path | StudyFolder,
    compute: Compute,
    workers: int = 0,
    beside: Sequence[Task] = (),
) -> list[ResultRow]:
    """Score an encoder on a task: one row for each seed; rows that exist are read, not computed.

    The encoder is frozen for good: evaluation mode, no gradients. A head that was selected on
    validation is tested as it was trained, without the validation images.

    Args:
        encoder: what is probed.
        task: the question.
        settings: protocol, seeds, grid and interval.
        store: folder of a study, or any other: rows go to `results` and features to `features`.
        compute: device, precision, threads.
        workers: processes that decode images.
        beside: tasks that will be asked of the same images: what they read is stored by the same
            pass.

    Returns:
        The rows in the order of `settings.seeds`.

    Raises:
        SettingError: the task cannot be asked of this encoder.
        DataError: images or labels are missing or broken.
        TrainingError: a head diverged.
    """
    validate(encoder.card, task, settings)
    folder = store if isinstance(store, StudyFolder) else StudyFolder(store)
    results = ResultStore(folder.results)
    examples = open_examples(task, settings)
    keys = _keys(encoder, task, settings, examples)
    missing = {seed: key for seed, key in keys.items() if not results.has(key)}
    _warn_of_untested(examples, [results.row(keys[seed]) for seed in keys if seed not in missing])
    if missing:
        encoder.freeze().to(compute.torch_device, memory_format=compute.memory_format)  # type: ignore[call-overload]
        frozen = Frozen(
            encoder=encoder,
            task=task,
            settings=settings,
            store=FeatureStore(folder.features),
            compute=compute,
            workers=workers,
            beside=tuple(_outputs(encoder.card, beside, settings)),
        )
        console.say(f"{encoder.card.name}: {task.name}, seeds {[*missing]}")
        started = time.perf_counter()
        answer = answering(task, settings)
        answers = answer(frozen, examples, list(missing), next(iter(keys.values())).task)
        cost = _cost(frozen, examples, answers, time.perf_counter() - started)
        for answered in answers:
            row = _row(frozen, examples, answered, key=missing[answered.seed], cost=cost)
            results.write(row, answered.outcomes, answered.gallery)
    return [results.row(key) for key in keys.values()]


def _outputs(card: EncoderCard, tasks: Sequence[Task], settings: ProbeSettings) -> Iterator[str]:
    """Yield what tasks read of their images; broken data are told of in their own turn."""
    for task in tasks:
        with contextlib.suppress(VireoError):
            examples = open_examples(task, settings)
            yield from stored_outputs(card, task, len(examples), settings.protocol)


def row_keys(encoder: Encoder, task: Task, settings: ProbeSettings) -> list[RowKey]:
    """Return the identity of each seed's row, without decoding an image."""
    return list(_keys(encoder, task, settings, open_examples(task, settings)).values())


def validate(card: EncoderCard, task: Task, settings: ProbeSettings | None = None) -> None:
    """Refuse, before any work, a task that cannot be asked of an encoder.

    Names, numbers and their combination; the splits, the target and some labels of the data; that
    the head fits the encoder; and the settings, where there are.

    Raises:
        SettingError: the task's facts do not go together, or not with the settings, or there is no
            such split or target.
        DataError: files are missing, or a label is none of the task's classes.
    """
    settings = settings or ProbeSettings(protocol="paper")
    wrong = mistakes(task)
    if not card.weights:
        wrong.append(f"the encoder '{card.name}' has no digest of its weights")
    if wrong:
        raise SettingError(f"Task '{task.name}' on '{card.name}': {'; '.join(wrong)}.")
    check_settings(task, settings)
    examples = open_examples(task, settings)
    frames = len(examples.fit.source.frames(0))
    if frames != task.frames:
        raise SettingError(
            f"The task '{task.name}' takes {task.frames} image{'s' * (task.frames > 1)} an example,"
            f" but '{examples.fit.source.name}' has {frames}; correct the task's frames, or give it"
            " another source."
        )
    for part in (examples.fit, examples.test):
        chosen = np.unique(np.linspace(0, len(part) - 1, _LOOKED_AT, dtype=np.int64))
        for row in part.rows[chosen].tolist():
            label = np.asarray(part.source.target(row, task.target))
            check_label(task, part.source, row, label)
    check_examples(task, settings, examples)


def _keys(
    encoder: Encoder, task: Task, settings: ProbeSettings, examples: Examples
) -> dict[int, RowKey]:
    """Return the row key of each seed.

    A task is what decides its score: its text, its dataset's paths and further test sets do not,
    its examples do.
    """
    size = input_size(encoder.card, task)
    preprocessing = preprocessing_digest(encoder.card, size, maps=head_of(task).dense)
    asked = replace(task, dataset="", summary="", similar_pretraining=(), extra_tests=())
    shared = {
        "encoder": digest(weights_digest(encoder.backbone), preprocessing),
        "task": digest(asked, examples.sources),
        "protocol": protocol_digest(settings),
        "scoring": settings.scoring,
    }
    return {seed: RowKey(seed=seed, **shared) for seed in settings.seeds}


def _warn_of_untested(examples: Examples, rows: Sequence[ResultRow]) -> None:
    """Say which further test sets the heads of kept rows were not asked, as they are now."""
    for name, part in examples.extra.items():
        if any(row.hyperparameters.get(_tested_on(name)) != part.digest for row in rows):
            console.warn(
                f"Rows of '{rows[0].task}' on '{rows[0].encoder}' are kept from when '{name}' was "
                "not there, or was another; delete them to have their heads tested on it too."
            )


def _tested_on(name: str) -> str:
    return f"examples@{name}"


def _row(
    frozen: Frozen, examples: Examples, answered: Answered, *, key: RowKey, cost: Cost
) -> ResultRow:
    card, task = frozen.encoder.card, frozen.task
    numbers = scored(task, answered, frozen.settings, examples.test)
    return ResultRow(
        key=key,
        encoder=card.name,
        method=card.method,
        pretraining_set=card.pretraining_set,
        images=card.images,
        epochs=card.epochs,
        steps=card.steps,
        balance=card.balance,
        recipe=card.recipe,
        architecture=card.architecture,
        parameters=card.parameters,
        encoder_flops=card.flops,
        task=task.name,
        dataset=examples.test.source.name,
        family=task.family,
        metric=task.metric,
        unit=unit_of(task, frozen.settings.scoring),
        protocol=frozen.settings.protocol,
        score=numbers.score,
        raw=numbers.raw,
        low=numbers.low,
        high=numbers.high,
        n=len(examples.test),
        floor=numbers.floor,
        metrics=numbers.metrics,
        hyperparameters=_facts(frozen, examples) | dict(answered.chosen),
        cost=cost,
        versions=versions(),
        time=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _facts(frozen: Frozen, examples: Examples) -> dict[str, float | int | str]:
    protocol, task = protocol_of(frozen.settings), frozen.task
    trained = {"epochs": task.epochs, "batch_size": task.batch_size} if protocol.trains else {}
    return {
        **dict(protocol.facts),
        **trained,
        "train_images": len(examples.fit),
        "validation_images": len(examples.validation or ()),
        "precision": frozen.compute.precision,
        **{_tested_on(name): part.digest for name, part in examples.extra.items()},
    }


def _cost(frozen: Frozen, examples: Examples, answers: Sequence[Answered], seconds: float) -> Cost:
    """Return what one row took: the seeds that were trained together share the time.

    Images a second are those that heads were trained and tested on. Operations are the encoder's,
    as if no features had been stored: once an image, or once a step where they are recomputed.
    """
    chosen = answers[0].chosen
    trained = int(chosen["steps"]) * frozen.task.batch_size
    once = len(examples)
    # a backward pass takes the operations of two forward ones
    steps = trained * (3 if chosen["features"] == "fine-tuned" else 1)
    encoded = once if chosen["features"] == "cached" else once - len(examples.fit) + steps
    each = seconds / len(answers)
    return Cost(
        seconds=each,
        images_per_second=(trained + len(examples.test)) / each,
        flops=encoded * frozen.task.frames * flops_each(frozen.encoder.card, frozen.task),
        peak_memory_bytes=peak_memory_bytes(frozen.compute.device),
        device=frozen.compute.device,
        threads=frozen.compute.threads,
    )
