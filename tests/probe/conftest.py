"""A task in memory for every kind of target, and a frozen encoder of a few hundred weights."""

import dataclasses
import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch

from vireo.data import Source
from vireo.data.datasets import DATASETS
from vireo.devices import Compute
from vireo.records import Carve, DatasetSpec, Task

_TINY = importlib.util.spec_from_file_location("tiny", Path(__file__).parents[1] / "tiny.py")
tiny = importlib.util.module_from_spec(_TINY)
_TINY.loader.exec_module(tiny)


class Blobs(Source):
    """A grey noise image with a bright square: its class, mask and depth can be read off it."""

    targets = ("class", "mask", "depth", "place", "broken")
    class_names = ("left", "right", "top")

    def __init__(
        self, *, split: str = "train", count: int = 40, void: float = 0.1, frames: int = 1
    ) -> None:
        rng = np.random.default_rng({"train": 0, "val": 1, "test": 2}[split])
        self.name, self.digest = "blobs", f"blobs-{split}-{count}-{void}"
        self._labels = rng.integers(3, size=count)
        self._images = rng.integers(0, 90, size=(count, 16, 16, 3)).astype(np.uint8)
        self._masks = np.zeros((count, 16, 16), dtype=np.uint8)
        for place, label in enumerate(self._labels):
            row, column = [(7, 0), (7, 8), (0, 4)][label]
            square = np.s_[place, row : row + 8, column : column + 8]
            self._images[square] += 150
            self._masks[square] = 1
        self._void = rng.random(self._masks.shape) < void
        self._frames = frames
        self.digest += f"-{frames}" * (frames > 1)

    def __len__(self) -> int:
        return len(self._images)

    def frames(self, index: int) -> tuple[np.ndarray, ...]:
        """Of several frames the last decides the class; the others are earlier examples."""
        shown = [self._images[(index - 3 * back) % len(self)] for back in range(self._frames)]
        return tuple(shown[::-1])

    def target(self, index: int, name: str):
        void = self._void[index]
        match name:
            case "class":
                return int(self._labels[index])
            case "mask":
                return np.where(void, 255, self._masks[index]).astype(np.uint8)
            case "depth":
                metres = 4.0 - 2.5 * self._masks[index]
                return np.where(void, np.nan, metres).astype(np.float32)
            case "place":  # row and column of the square's centre; some are missing
                row, column = [(11, 4), (11, 12), (4, 8)][self._labels[index]]
                return np.array([np.nan if index % 7 == 3 else row, column], dtype=np.float32)
            case _:
                return 7

    def label(self, index: int) -> str:
        return f"{index}.png"


SPEC = DatasetSpec(
    name="blobs",
    source="blobs",
    splits={"train": {"split": "train"}, "test": {"split": "test", "count": 21}},
)
SPEC_WITH_VAL = dataclasses.replace(
    SPEC, splits={**SPEC.splits, "val": {"split": "val", "count": 15}}
)
PAIRS = dataclasses.replace(
    SPEC, splits={name: {**options, "frames": 2} for name, options in SPEC.splits.items()}
)
CARVED = DatasetSpec(name="blobs", source="blobs", carve={"test": Carve(fraction=0.3)})


@pytest.fixture(autouse=True)
def blobs_in_the_catalogues(monkeypatch):
    """Put `Blobs` where a source's name is looked up; a test's module has no importable name."""
    import vireo.data.opening as opening

    real = opening.resolve

    def resolve(table, name, kind, base=None):
        return Blobs if name == "blobs" else real(table, name, kind, base)

    monkeypatch.setattr(opening, "resolve", resolve)
    assert "blobs" not in DATASETS


@pytest.fixture
def compute() -> Compute:
    return Compute(device="cpu", precision="float32", threads=1, reason="test")


@pytest.fixture
def encoder():
    return tiny.tiny_encoder(input_size=(16, 16))


@pytest.fixture(name="tiny")
def tiny_networks():
    return tiny


@pytest.fixture
def spec_with_val() -> DatasetSpec:
    return SPEC_WITH_VAL


@pytest.fixture
def carved() -> DatasetSpec:
    return CARVED


def make_task(**changes) -> Task:
    facts = {
        "name": "blobs-class",
        "summary": "where the square is",
        "dataset": SPEC,
        "target": "class",
        "outputs": 3,
        "family": "semantic-image",
        "head": "linear",
        "loss": "cross-entropy",
        "metric": "top-1",
        "epochs": 20,
        "batch_size": 8,
        "learning_rate": 1e-2,
        "input_size": (16, 16),
    }
    return Task(**(facts | changes))


@pytest.fixture
def class_task() -> Task:
    return make_task()


@pytest.fixture
def pair_task() -> Task:
    return make_task(name="blobs-pair", dataset=PAIRS, head="fusion", frames=2)


@pytest.fixture
def place_task() -> Task:
    return make_task(
        name="blobs-place",
        target="place",
        outputs=2,
        loss="huber",
        metric="mae",
        higher_is_better=False,
        unit="px",
    )


@pytest.fixture
def mask_task() -> Task:
    return make_task(
        name="blobs-mask",
        target="mask",
        outputs=2,
        family="semantic-pixel",
        head="deeplabv3+",
        metric="miou",
        epochs=4,
    )


@pytest.fixture
def depth_task() -> Task:
    return make_task(
        name="blobs-depth",
        target="depth",
        outputs=1,
        family="structural-pixel",
        head="unet",
        loss="l1",
        metric="l1",
        higher_is_better=False,
        unit="m",
        epochs=4,
    )


@pytest.fixture
def some_features():
    """Features and labels that are partly separable, [48, 5] of 4 classes."""
    draw = torch.Generator().manual_seed(0)
    labels = torch.randint(4, (48,), generator=draw)
    features = torch.randn(48, 5, generator=draw) * torch.tensor([1.0, 5, 0.1, 1, 1]) + 2
    features[:, 0] += labels
    return features, labels
