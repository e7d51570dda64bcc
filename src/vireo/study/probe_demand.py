"""What a probe takes: its heads, and encoding what no cell before it has stored."""

from collections.abc import Iterator, Set
from dataclasses import dataclass, replace

import numpy as np

from vireo.errors import VireoError
from vireo.probe.examples import input_size
from vireo.probe.many_heads import padded_length
from vireo.probe.maps import flops_each, map_bytes, stored_outputs
from vireo.probe.protocols import protocol_of
from vireo.records import EncoderCard, ProbeSettings, Task
from vireo.study.cells import Cell
from vireo.study.demand import Block, Demand
from vireo.study.images import SplitImages, TaskImages
from vireo.study.rates import Rates, dense_heads
from vireo.tasks.checks import head_of

_FLOAT32 = 4
_HEAD_COPIES = 5
"""Of a head's numbers: weights, gradient, two moments, work."""


@dataclass(frozen=True)
class Asked:
    """One encoder and one task, and all that decides what asking takes."""

    card: EncoderCard
    task: Task
    settings: ProbeSettings
    images: TaskImages
    rates: Rates

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the images."""
        return input_size(self.card, self.task)

    @property
    def outputs(self) -> tuple[str, ...]:
        """Return the outputs that are kept: the pooled feature, or maps, or none."""
        total = self.images.total
        if total is None and head_of(self.task).dense:
            return ()
        return stored_outputs(self.card, self.task, total or 0, self.settings.protocol)

    def encode_seconds(self) -> float:
        """Return seconds an example: all its frames at the task's size, without decoding."""
        share = flops_each(self.card, self.task) / max(1, self.card.flops)
        return self.task.frames * share * self.rates.encode(self.card)

    def decode_seconds(self, split: SplitImages) -> float:
        """Return seconds an example takes to be read; 0 where the images are not here."""
        if split.source is None or not len(split.source):
            return 0.0
        try:
            return self.rates.decode(split.source, self.size)
        except VireoError:
            return 0.0

    def block(self, split: SplitImages, output: str) -> Block:
        """Return the block of an output on a split."""
        return Block(
            encoder=self.card.name,
            dataset=split.dataset,
            split=split.name,
            size=self.size,
            output=output,
        )


def probe_demand(cell: Cell, asked: Asked, there: Set[Block]) -> Demand:
    """Return what a probe takes where `there` is stored already.

    What several tasks read of one set of images is stored by one pass.
    """
    blocks = read_blocks(asked)
    new = tuple(block for block in blocks if block not in there)
    seen = {replace(block, output="") for block in there}
    passes = {(b.dataset, b.split) for b in new if replace(b, output="") not in seen}
    splits = [split for split in asked.images.splits if (split.dataset, split.name) in passes]
    counts = [split.examples or 0 for split in splits]
    each = [asked.encode_seconds() + asked.decode_seconds(split) for split in splits]
    known = asked.images.fit is not None
    return Demand(
        cell=cell,
        seconds=_heads(asked) if known else None,
        why="" if known else f"nobody says how many images '{asked.task.name}' has",
        encode_seconds=float(np.dot(counts, each)),
        images=sum(counts) * asked.task.frames,
        blocks=blocks,
        new=new,
        memory_bytes=_memory(asked),
    )


def read_blocks(asked: Asked) -> dict[Block, int]:
    """Return the blocks that a probe reads, and their bytes."""
    return dict(_blocks(asked))


def _blocks(asked: Asked) -> Iterator[tuple[Block, int]]:
    card, task = asked.card, asked.task
    for split in asked.images.splits:
        examples = split.examples or 0
        for output in asked.outputs:
            if output == "pooled":
                each = _FLOAT32 * card.features
            else:
                each = map_bytes(card, task) // len(asked.outputs)  # exact for their sum
            yield asked.block(split, output), examples * task.frames * each


def _heads(asked: Asked) -> float:
    if asked.settings.protocol == "fine-tune":
        return _finetuned(asked)
    return _dense(asked) if head_of(asked.task).dense else _pooled(asked)


def _pooled(asked: Asked) -> float:
    """Return seconds of all heads on pooled features."""
    if not protocol_of(asked.settings).trains:
        return 0.0
    task, settings, examples = asked.task, asked.settings, asked.images.fit or 0
    if settings.protocol == "few-shot":
        settings = replace(settings, seeds=tuple(range(settings.draws)))
        examples = settings.shots * task.outputs
    steps = task.epochs * -(-examples // task.batch_size)
    return steps * asked.rates.head_step(asked.card, task, settings)


def _dense(asked: Asked) -> float:
    """Return seconds of all dense heads: trained in batches, selected, tested."""
    task, images, rates = asked.task, asked.images, asked.rates
    height, width = task.crop or asked.size
    steps = _steps(task, images.fit or 0)
    heads = dense_heads(task, asked.settings)
    trained = steps * task.batch_size
    answered = heads * (images.validation or 0) + (images.test or 0)
    pixels = rates.dense_pixel(asked.card, task, True) * heads * trained
    pixels += rates.dense_pixel(asked.card, task, False) * answered
    once = pixels * height * width
    if not asked.outputs:
        decode = max(map(asked.decode_seconds, asked.images.splits), default=0.0)
        seen = trained + (images.validation or 0) + (images.test or 0)
        once += seen * (asked.encode_seconds() + decode)
    return once * len(asked.settings.seeds)


def _finetuned(asked: Asked) -> float:
    task, images = asked.task, asked.images
    share = flops_each(asked.card, task) / max(1, asked.card.flops)
    dense = head_of(task).dense
    steps = (
        _steps(task, images.fit or 0)
        if dense
        else task.epochs * -(-(images.fit or 0) // task.batch_size)
    )
    trained = steps * task.batch_size * task.frames * share * asked.rates.train(asked.card)
    tested = (images.test or 0) * asked.encode_seconds()
    return (trained + tested) * len(asked.settings.seeds)


def _steps(task: Task, examples: int) -> int:
    steps = task.epochs * max(1, examples // task.batch_size)
    return steps if task.max_steps is None else min(steps, task.max_steps)


def _memory(asked: Asked) -> int:
    """Return the bytes that a cell holds at least: features or a batch of maps, heads, encoder."""
    card, task = asked.card, asked.task
    encoder = _FLOAT32 * card.parameters
    if head_of(task).dense:
        height, width = task.crop or asked.size
        batch = task.batch_size * task.frames
        share = height * width / (asked.size[0] * asked.size[1])
        return encoder + round(2 * map_bytes(card, task) * batch * share)
    width = padded_length(card.features)
    examples = (asked.images.fit or 0) * task.frames
    weights = task.outputs * width * len(asked.settings.seeds)
    return encoder + _FLOAT32 * (examples * width + _HEAD_COPIES * weights)
