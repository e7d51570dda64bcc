"""Runs of a second: a tiny network on 24 images of 8 pixels, six steps in two epochs."""

import sys

import pytest
from tests.tiny import ARCHITECTURE, DATASET

from vireo.devices import Compute
from vireo.records import DatasetSpec, OptimizerSettings, PretrainSettings

OPTIONS = {
    "moco-v2": {"queue_size": 16, "bn_splits": 2, "momentum": 0.5},
    "swav": {"prototypes": 6, "hidden_size": 8, "queue_size": 16, "queue_start": 0},
    "supervised": {},
}


@pytest.fixture(autouse=True)
def no_tensorboard(monkeypatch):
    """TensorBoard may or may not be installed; a test that wants it brings its own."""
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)


@pytest.fixture
def compute() -> Compute:
    return Compute(device="cpu", precision="float32", threads=1, reason="test")


@pytest.fixture
def make_settings():
    def make(method: str = "moco-v2", **changes) -> PretrainSettings:
        options = {"count": 27, "labelled": True, **changes.pop("data", {})}
        facts = {
            "method": method,
            "architecture": ARCHITECTURE,
            "data": DatasetSpec(name=DATASET.name, source=DATASET.source, options=options),
            "epochs": 2,
            "batch_size": 8,
            "image_size": 8,
            "options": OPTIONS[method],
            "optimizer": OptimizerSettings(learning_rate=0.05, weight_decay=1e-4),
            "engine": "torch",
            **changes,
        }
        return PretrainSettings(**facts)

    return make
