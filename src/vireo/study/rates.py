"""How fast this machine is at a study's own work, measured for a moment before hours are planned.

Each kind of work is run as the study runs it, on random numbers, and each only once: encoding by
every architecture, steps of every kind of head, a pass forward and back, decoding. What would take
long itself is measured smaller and scaled: dense heads and whole batches by their pixels. On a CPU
the clock is processor time shared by torch's threads, so that other work on the machine counts
little; waiting for a disk does not count at all.
"""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vireo.catalog import resolve
from vireo.data import Subset, load_batches
from vireo.data.sources.source import Source
from vireo.devices import Compute
from vireo.encoders import build
from vireo.encoders.encoder import Encoder, Features
from vireo.probe.dense import dense_grid
from vireo.probe.grid import Configuration, grid_of
from vireo.probe.many_heads import many, padded_length
from vireo.probe.one_head import first_weights
from vireo.probe.training import Fit, Plan, train
from vireo.records import EncoderCard, ProbeSettings, Task
from vireo.tasks import LOSSES
from vireo.tasks.checks import head_of, metric_of
from vireo.tasks.geometry import map_size

_LEAST_SECONDS, _MOST_RUNS = 0.1, 50
_MOST_FLOPS = 4e10
"""Of a measured batch: about a second of one core."""
_MOST_SIDE, _MOST_BATCH = 64, 4
"""Of the images on which a dense head is measured."""
_STEPS = 4
_DECODED = 16
"""Examples of a batch that is decoded to see how long that takes."""


class Rates:
    """Rates of one machine, each measured when it is first asked for.

    Args:
        compute: where the study will run.
        measures: if not, everything takes no time: for those who ask about storage alone.
    """

    def __init__(self, compute: Compute, *, measures: bool = True) -> None:
        self.compute, self.measures = compute, measures
        self._known: dict[tuple[Any, ...], float] = {}

    def encode(self, card: EncoderCard) -> float:
        """Return seconds an image of an encoder's own size, forward."""
        return self._once(("encode", card.architecture, card.input_size), self._encode, card)

    def train(self, card: EncoderCard) -> float:
        """Return seconds an image of an encoder's own size, forward and back."""
        return self._once(("train", card.architecture, card.input_size), self._train, card)

    def decode(self, source: Source, size: tuple[int, int]) -> float:
        """Return seconds an example, read from disk and resized in this process."""
        return self._once(("decode", source.digest, size), self._decode, source, size)

    def head_step(self, card: EncoderCard, task: Task, settings: ProbeSettings) -> float:
        """Return seconds a step of all heads of an image-level task and protocol, all seeds."""
        grid, seeds = grid_of(task, settings), len(settings.seeds)
        facts = (task.head, task.loss, card.features, task.outputs, task.frames, task.batch_size)
        return self._once((*facts, len(grid), seeds), self._head_step, card, task, grid, seeds)

    def dense_pixel(self, card: EncoderCard, task: Task, training: bool) -> float:
        """Return seconds a pixel of the input of one dense head, forward (and back)."""
        facts = (task.head, card.architecture, task.outputs, task.frames, training)
        return self._once(facts, self._dense_pixel, card, task, training)

    def _once(self, key: tuple[Any, ...], measure: Callable[..., float], *facts: Any) -> float:
        if not self.measures:
            return 0.0
        if key not in self._known:
            self._known[key] = measure(*facts)
        return self._known[key]

    def _time(self, work: Callable[[], Any]) -> float:
        """Return the median seconds of some runs, the first apart: it takes memory and plans."""
        work()
        taken: list[float] = []
        while sum(taken) < _LEAST_SECONDS and len(taken) < _MOST_RUNS:
            start = self.clock()
            work()
            taken.append(self.clock() - start)
        return float(np.median(taken))

    def clock(self) -> float:
        """Return seconds since some moment, when everything asked for is done."""
        if self.compute.torch_device.type == "cuda":
            torch.cuda.synchronize()
            return time.perf_counter()
        return time.process_time() / self.compute.threads

    def _encoder(self, card: EncoderCard) -> Encoder:
        encoder = build(card.architecture, input_size=card.input_size)
        return encoder.to(self.compute.torch_device, memory_format=self.compute.memory_format)  # type: ignore[call-overload,no-any-return]

    def _images(self, card: EncoderCard, flops: int) -> Tensor:
        batch = max(1, min(64, int(_MOST_FLOPS / max(1, flops))))
        images = torch.randn(batch, 3, *card.input_size, device=self.compute.torch_device)
        return images.contiguous(memory_format=self.compute.memory_format)

    def _encode(self, card: EncoderCard) -> float:
        encoder, images = self._encoder(card).freeze(), self._images(card, card.flops)

        def work() -> None:
            with torch.no_grad(), self.compute.autocast():
                encoder.backbone(images, False)

        return self._time(work) / len(images)

    def _train(self, card: EncoderCard) -> float:
        encoder = self._encoder(card).train()
        images = self._images(card, 3 * card.flops)
        images = images if len(images) > 1 else images.repeat(2, 1, 1, 1)  # for batch norm

        def work() -> None:
            encoder.zero_grad(set_to_none=True)
            with self.compute.autocast():
                features = encoder.backbone(images, False).pooled
            features.float().square().mean().backward()

        return self._time(work) / len(images)

    def _decode(self, source: Source, size: tuple[int, int]) -> float:
        rows = np.arange(min(2 * _DECODED, len(source)))
        batches = load_batches(
            Subset(source, rows), size=size, target=None, batch_size=_DECODED, workers=0
        )
        taken = []
        for _ in range(-(-len(rows) // _DECODED)):
            start = time.process_time()
            taken.append((len(next(batches).images), time.process_time() - start))
        examples, seconds = taken[-1]  # the first opens files
        return seconds / examples

    def _head_step(
        self, card: EncoderCard, task: Task, grid: tuple[Configuration, ...], seeds: int
    ) -> float:
        device, examples = self.compute.torch_device, _STEPS * task.batch_size
        shape = (examples, task.frames, padded_length(card.features))
        target = torch.zeros(examples, dtype=torch.int64, device=device)
        if not metric_of(task).classes:
            target = torch.zeros(examples, task.outputs, device=device)
        fit = Fit(torch.randn(shape, device=device), target)
        plan = Plan(
            configurations=grid,
            seeds=tuple(range(seeds)),
            loss=task.loss,
            epochs=1,
            batch_size=task.batch_size,
            digest="rates",
            cosine=True,
        )
        first = first_weights(card, task, plan.seeds)
        return self._time(lambda: train(many(head_of(task)), fit, first, plan)) / _STEPS

    def _dense_pixel(self, card: EncoderCard, task: Task, training: bool) -> float:
        device = self.compute.torch_device
        head = head_of(task)(card, task.outputs, task.frames).to(device)
        head.to(memory_format=self.compute.memory_format).train(training)
        size, batch = (_MOST_SIDE, _MOST_SIDE), _MOST_BATCH
        frames = tuple(self._features(card, size, batch) for _ in range(task.frames))
        loss = resolve(LOSSES, task.loss, "loss")
        target = torch.zeros(batch, *size, dtype=torch.int64, device=device)
        if not metric_of(task).classes:
            target = torch.zeros(batch, task.outputs, *size, device=device)
        valid = torch.ones(batch, *([1] * (target.dim() - 3)), *size, dtype=torch.bool).to(device)

        def work() -> None:
            with torch.set_grad_enabled(training), self.compute.autocast():
                answer = head(frames, size)
            if training:
                head.zero_grad(set_to_none=True)
                loss(answer.float(), target, valid, None).backward()

        return self._time(work) / (batch * size[0] * size[1])

    def _features(self, card: EncoderCard, size: tuple[int, int], batch: int) -> Features:
        device, strides = self.compute.torch_device, card.native_strides or card.strides
        maps = tuple(
            torch.randn(batch, channels, *map_size(size, stride), device=device).contiguous(
                memory_format=self.compute.memory_format
            )
            for channels, stride in zip(card.channels, strides, strict=True)
        )
        return Features(torch.randn(batch, card.features, device=device), maps)


def dense_heads(task: Task, settings: ProbeSettings) -> int:
    """Return how many heads of one seed share each batch of a dense task."""
    return len(dense_grid(task, settings))
