"""The parts of a task's data, disjoint: what heads are fitted, selected and tested on."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Int64
from torch import Tensor

from vireo.console import warn
from vireo.data import DATASETS, Source, find_dataset, load_batches, open_split
from vireo.data.roots import absence
from vireo.data.sources.codes import digest_integers
from vireo.data.splits import Subset, carve_validation
from vireo.digest import digest
from vireo.errors import DataError, SettingError
from vireo.probe.protocols import protocol_of
from vireo.records import EncoderCard, ProbeSettings, Task
from vireo.tasks.checks import metric_of
from vireo.tasks.metrics import counted

Rows = Int64[np.ndarray, " rows"]

_CONSTANT_IMAGES = 512
"""Images whose pixels decide the constant answer of a dense task."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """Some rows of a source. Features are kept for the whole source, so parts share them."""

    source: Source
    split: str
    rows: Rows

    def __len__(self) -> int:
        """Return the number of examples."""
        return len(self.rows)

    @property
    def digest(self) -> str:
        """The identity of its examples.

        Which rows a stratified cut takes follows from its source and the protocol. Which scenes one
        takes has changed before: their rows are a part of it.
        """
        whole = self.source.digest
        cut = self.source.groups and len(self) < len(self.source)
        return digest(whole, digest_integers(self.rows)) if cut else whole


@dataclass(frozen=True)
class Targets:
    """What is asked for of each example of an image-level part.

    Attributes:
        values: int64 [rows] of classes, or float32 [rows, outputs].
        valid: where nothing is missing; what is not valid is 0.
    """

    values: Tensor
    valid: Bool[Tensor, " rows"]


@dataclass(frozen=True, kw_only=True)
class Examples:
    """A task's data.

    Attributes:
        fit: what heads are trained on.
        validation: what one of several heads is selected on; None where there is one.
        test: read once, by the selected head.
        extra: further test sets for the same head, by name.
    """

    fit: Part
    validation: Part | None
    test: Part
    extra: Mapping[str, Part]

    def __len__(self) -> int:
        """Return how many examples all parts have."""
        parts = (self.fit, self.validation or (), self.test, *self.extra.values())
        return sum(map(len, parts))

    @property
    def sources(self) -> dict[str, str]:
        """The digest of the examples of each part that decides a row's score.

        Paths are no part of it, nor are further test sets: the same head is asked whether or not
        they are there.
        """
        found = {"fit": self.fit, "test": self.test}
        if self.validation is not None:
            found["validation"] = self.validation
        return {name: part.digest for name, part in found.items()}


def open_examples(task: Task, settings: ProbeSettings) -> Examples:
    """Open a task's splits, without decoding an image.

    Protocols that select do so on the split "val"; where there is none, on a share cut out of
    "train", the same for every encoder and seed. Others train on all of "train".

    Raises:
        SettingError: no such dataset or split, or the task's target is not there.
        DataError: files are missing.
    """
    spec = find_dataset(task.dataset) if isinstance(task.dataset, str) else task.dataset
    train = open_split(spec, "train")
    fit, validation = _whole(train, "train"), None
    selects = protocol_of(settings).validates
    if selects and "val" in {**spec.splits, **spec.carve}:
        validation = _whole(open_split(spec, "val"), "val")
    elif selects:
        fit, validation = _cut(train, settings.validation)
    extra = {name: _whole(open_split(name, "test"), "test") for name in _present(task)}
    test = _whole(open_split(spec, "test"), "test")
    for part in (fit, test, *extra.values(), *([validation] if validation else [])):
        _check_target(task, part)
    return Examples(fit=fit, validation=validation, test=test, extra=extra)


def input_size(card: EncoderCard, task: Task) -> tuple[int, int]:
    """Return the height and width that images are resized to."""
    return card.input_size if task.input_size == "encoder" else task.input_size


def targets_of(task: Task, part: Part) -> Targets:
    """Return what is asked for of each example of an image-level part.

    Raises:
        DataError: a label that is no class of the task, or a target of the wrong kind.
    """
    found = [np.asarray(part.source.target(int(row), task.target)) for row in part.rows]
    classes = metric_of(task).classes
    kinds = {target.dtype.kind + str(target.shape): row for row, target in enumerate(found)}
    extremes = (np.argmin(found), np.argmax(found)) if classes and len(kinds) == 1 else ()
    for row in {*kinds.values(), *map(int, extremes)}:
        check_label(task, part.source, int(part.rows[row]), found[row])
    values = torch.from_numpy(np.array(found))
    if classes:
        return Targets(values.long(), torch.ones(len(values), dtype=torch.bool))
    values = values.float().view(len(values), task.outputs)
    valid = values.isfinite().all(1)
    return Targets(values.masked_fill(~valid[:, None], 0), valid)


def check_label(task: Task, source: Source, row: int, label: np.ndarray) -> None:
    """Refuse a target of the wrong kind or shape, or codes beyond the task's classes (void apart).

    Raises:
        DataError: naming the example.
    """
    where = f"'{task.target}' of '{source.label(row)}' in {source.name}"
    metric = metric_of(task)
    if label.dtype.kind not in ("iu" if metric.classes else "f") or not _fits(task, label):
        raise DataError(
            f"The task '{task.name}' takes {_wanted(task)} as target; {where} is {label.dtype} of "
            f"shape {list(label.shape)}. Correct the task's target, outputs or metric."
        )
    if not metric.classes:
        return
    counted = label[label != task.ignore_index] if metric.dense else label.reshape(1)
    wrong = counted[(counted < 0) | (counted >= task.outputs)]
    if len(wrong):
        raise DataError(
            f"The task '{task.name}' has {task.outputs} classes, 0 to {task.outputs - 1}, but "
            f"{where} has the label {wrong[0]}. Correct 'outputs', or 'ignore_index' for void."
        )


def _fits(task: Task, label: np.ndarray) -> bool:
    """Say whether a target has as many channels as the task has outputs."""
    metric = metric_of(task)
    channels = label.shape[:-2] if metric.dense else label.shape
    if metric.classes or (task.outputs == 1 and not channels):
        return not channels and label.ndim == 2 * metric.dense
    return channels == (task.outputs,)


def _wanted(task: Task) -> str:
    metric = metric_of(task)
    if metric.classes:
        return "a map of whole numbers" if metric.dense else "a whole number"
    return f"{task.outputs} {'maps of ' if metric.dense else ''}floating point numbers"


def constant_answer(task: Task, part: Part, size: tuple[int, int]) -> tuple[float, ...]:
    """Return the best constant answer to the training labels: majority class, or medians.

    For dense tasks it is measured on at most 512 images, evenly spaced.
    """
    metric = metric_of(task)
    if not metric.dense:
        found = targets_of(task, part)
        valid = None if metric.classes else found.valid[:, None]
        return metric.constant(counted(found.values, valid).numpy())
    chosen = part.rows[np.unique(np.linspace(0, len(part) - 1, _CONSTANT_IMAGES, dtype=np.int64))]
    batches = load_batches(
        part.source,
        size=size,
        target=task.target,
        batch_size=32,
        indices=chosen.tolist(),
        ignore_index=task.ignore_index,
    )
    flat = np.concatenate([counted(batch.target, batch.valid).numpy() for batch in batches])  # type: ignore[arg-type]
    if not len(flat):
        raise DataError(f"No training pixel of '{part.source.name}' is valid; check its masks.")
    return metric.constant(flat)


def _present(task: Task) -> list[str]:
    """Return the further test sets that are there; say which are not."""
    found = []
    for name in task.extra_tests:
        why = absence(find_dataset(name)) if name in DATASETS else ""
        if why:
            warn(f"'{task.name}' is not tested on '{name}' too: {why}")
        else:
            found.append(name)
    return found


def _whole(source: Source, split: str) -> Part:
    if not len(source):
        raise DataError(f"'{source.name}' has no examples in '{split}'; check its folder.")
    return Part(source=source, split=split, rows=np.arange(len(source), dtype=np.int64))


def _cut(train: Source, share: float) -> tuple[Part, Part]:
    rest, held_out = carve_validation(train, share, seed=0)
    assert isinstance(rest, Subset)
    assert isinstance(held_out, Subset)
    return (
        Part(source=train, split="train", rows=rest.indices),
        Part(source=train, split="train", rows=held_out.indices),
    )


def _check_target(task: Task, part: Part) -> None:
    if task.target not in part.source.targets:
        known = ", ".join(part.source.targets) or "none"
        raise SettingError(
            f"The task '{task.name}' asks for the target '{task.target}', but the split "
            f"'{part.split}' of '{part.source.name}' has: {known}. Correct the task's target."
        )
