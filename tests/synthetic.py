"""Examples in memory for any task: its number of frames, and a target of the kind it takes."""

import dataclasses

import numpy as np

from vireo.data.sources.source import Source
from vireo.records import DatasetSpec, Task
from vireo.tasks.checks import metric_of

SIDE = 16


class SyntheticSource(Source):
    """Noise with a bright square whose place follows the target.

    Args:
        target: what the examples are asked for.
        kind: "class", "numbers" (an image), "mask", or "map" (float numbers a pixel).
        outputs: classes, or numbers.
        frames: an example has.
        count: of examples.
        seed: of the draw.
    """

    def __init__(
        self, *, target: str, kind: str, outputs: int, frames: int, count: int, seed: int
    ) -> None:
        rng = np.random.default_rng(seed)
        self.name, self.targets, self.class_names = "synthetic", (target,), ()
        self.digest = f"synthetic-{target}-{kind}-{outputs}-{frames}-{count}-{seed}"
        self._images = rng.integers(0, 100, (count, frames, SIDE, SIDE, 3)).astype(np.uint8)
        classes = np.arange(count) % outputs
        for number, place in enumerate(classes % 4):
            row, column = divmod(int(place), 2)
            self._images[number, :, 8 * row : 8 * row + 8, 8 * column : 8 * column + 8] += 120
        bright = self._images[:, 0, :, :, 0] > 110
        self._values = {
            "class": classes,
            "numbers": rng.normal(classes[:, None], 1, (count, outputs)).astype(np.float32),
            "mask": np.where(bright, classes[:, None, None], 0).astype(np.uint8),
            "map": np.repeat(bright[:, None] * 2.0 + 1, outputs, 1).astype(np.float32),
        }[kind]

    def __len__(self) -> int:
        return len(self._values)

    def frames(self, index: int) -> tuple[np.ndarray, ...]:
        return tuple(self._images[index])

    def target(self, index: int, name: str):
        assert name in self.targets
        value = self._values[index]
        if value.ndim == 0:
            return int(value)
        return value[0] if value.ndim == 3 and len(value) == 1 else value

    def label(self, index: int) -> str:
        return f"{index}.png"


def with_synthetic_data(task: Task) -> Task:
    """The task, asked of synthetic images for two steps: its head, loss, metric and crop stay."""
    metric = metric_of(task)
    kinds = {(True, False): "class", (False, False): "numbers", (True, True): "mask"}
    options = {
        "target": task.target,
        "kind": kinds.get((metric.classes, metric.dense), "map"),
        "outputs": task.outputs,
        "frames": task.frames,
    }
    splits = {"train": {"count": 24, "seed": 0}, "test": {"count": 12, "seed": 1}}
    spec = DatasetSpec(
        name="synthetic", source="tests.synthetic:SyntheticSource", options=options, splits=splits
    )
    return dataclasses.replace(
        task,
        dataset=spec,
        input_size=(SIDE, SIDE),
        crop=None if task.crop is None else (SIDE, SIDE),
        epochs=1,
        max_steps=2,
        batch_size=8,
        extra_tests=(),
    )
