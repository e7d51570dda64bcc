"""Runs of a second: a tiny network on 24 images of 8 pixels, six steps in two epochs."""

import sys

import pytest
from tests.tiny import ARCHITECTURE, DATASET

from vireo.devices import Compute
from vireo.records import DatasetSpec, OptimizerSettings, PretrainSettings

OPTIONS = {
    "moco-v2": {"queue_size": 16, "bn_splits": 2, "momentum": 0.5},
    "swav": {"prototypes": 6, "hidden_size": 8, "queue_size": 16, "queue_start": 0},
    "moco-v1": {"queue_size": 16, "bn_splits": 2, "momentum": 0.5},
    "exemplar-v2": {"queue_size": 16, "bn_splits": 2, "momentum": 0.5},
    "deepcluster-v2": {"prototypes": 6, "hidden_size": 8, "local_crops": 1},
    "dino": {"prototypes": 12, "hidden_size": 8, "bottleneck": 4, "local_crops": 1},
    "simclr": {"dimension": 8, "hidden_size": 8},
    "byol": {"dimension": 8, "hidden_size": 8},
    "simsiam": {"dimension": 8, "predictor_size": 4},
    "barlow-twins": {"dimension": 8, "hidden_size": 8, "scale": 0.01},
    "vicreg": {"dimension": 8, "hidden_size": 8, "covariance": 0.1},
    "pirl": {"num_negatives": 16, "patch_size": 4, "dimension": 8},
    "npid": {"num_negatives": 16, "dimension": 8, "loss": "nce"},
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
