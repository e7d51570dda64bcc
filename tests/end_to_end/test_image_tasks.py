"""Every image-level task of the study, from files in the published layout to a stored row."""

import dataclasses
import shutil

import numpy as np
import pytest
from tests import miniatures
from tests.tiny import tiny_encoder

from vireo.devices import Compute
from vireo.probe import probe
from vireo.records import ProbeSettings
from vireo.store.folder import StudyFolder
from vireo.store.results import ResultStore
from vireo.tasks import find_task

NAMES = tuple(miniatures.MAKERS)
COMPUTE = Compute(device="cpu", precision="float32", threads=1, reason="test")
SIZES = {
    "imagenet": (12, 3),
    "imagenet-v2": (12, 3),
    "pets": (9, 9),
    "caltech-101": (90, 6),
    "cifar-100": (12, 6),
    "sun397": (12, 3),
    "eurosat": (12, 3),
    "dtd": (12, 6),
    "kinetics-action": (4, 2),
    "clevr-count": (8, 4),
    "thor-num-steps": (10, 5),
    "thor-egomotion": (10, 5),
    "nuscenes-egomotion": (8, 4),
}


@pytest.fixture
def datasets(tmp_path, monkeypatch):
    """Write miniatures where the variables say that datasets are: datasets(name, ...)."""
    root = tmp_path / "datasets"
    monkeypatch.setenv("VIREO_DATASETS", str(root))

    def make(*names):
        for name in names:
            monkeypatch.delenv(f"VIREO_{name.upper().replace('-', '_')}", raising=False)
            miniatures.MAKERS[name](root / name)
            if name == "cifar-100":
                miniatures.trust_cifar_100(monkeypatch, root / name)

    return make


@pytest.mark.parametrize("name", NAMES)
def test_a_task_runs_from_files_to_a_stored_row(datasets, tmp_path, name):
    datasets(*(("imagenet", "imagenet-v2") if name.startswith("imagenet") else (name,)))
    task = dataclasses.replace(find_task(name), epochs=2, input_size=(16, 16))
    settings = ProbeSettings(protocol="paper", resamples=20)
    encoder = tiny_encoder()
    (row,) = probe(encoder, task, settings, store=tmp_path / "store", compute=COMPUTE)
    stored = ResultStore(StudyFolder(tmp_path / "store").results)
    assert stored.row(row.key) == row
    assert (row.task, row.dataset, row.metric, row.protocol) == (name, name, "top-1", "paper")
    assert (row.hyperparameters["train_images"], row.n) == SIZES[name]
    assert row.hyperparameters["learning_rate"] == 3e-4
    outcomes = stored.outcomes(row.key)
    assert row.raw == pytest.approx(np.mean(outcomes["predicted"] == outcomes["truth"]))
    assert outcomes["truth"].max() < task.outputs
    assert ("count-error" in row.metrics) == (task.target == "count")


def test_imagenet_v2_is_scored_by_imagenets_head(datasets, tmp_path):
    """Where its images are those of ImageNet's own test, so is the score."""
    datasets("imagenet", "imagenet-v2")
    second = tmp_path / "datasets/imagenet-v2/imagenetv2-matched-frequency-format-val"
    shutil.rmtree(second)
    for code, folder in enumerate(sorted((tmp_path / "datasets/imagenet/val").iterdir())):
        shutil.copytree(folder, second / str(code))
    task = dataclasses.replace(find_task("imagenet"), epochs=40, learning_rate=0.1)
    task = dataclasses.replace(task, input_size=(16, 16))
    settings = ProbeSettings(protocol="paper", resamples=20)
    (row,) = probe(tiny_encoder(), task, settings, store=tmp_path / "store", compute=COMPUTE)
    assert row.metrics["top-1@imagenet-v2"] == row.raw
