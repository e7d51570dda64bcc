"""A study whose computations are replaced by fast ones that still write real rows and runs."""

import hashlib
import importlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.tiny import tiny_encoder

import vireo.encoders
import vireo.study.check
from vireo.digest import digest
from vireo.errors import SettingError, TrainingError
from vireo.files import read_json, write_json
from vireo.records import Cost, ResultRow, RowKey
from vireo.store.results import ResultStore

FILE = """
name = "small"
summary = "a small study"
tasks = ["digits", "rooms-count"]
baseline = "random"

[probe]
protocol = "paper"
seeds = [0, 1]

[[encoders]]
name = "random"
spec = "random:resnet20"

[[encoders]]
name = "other"
spec = "random:resnet20"
seed = 7

[pretrain.moco]
method = "moco-v2"
architecture = "resnet20"
data = "digits"
epochs = 1
batch_size = 64
image_size = 32
"""


@pytest.fixture
def write(tmp_path):
    """Write a study file, with replacements, and return its path."""

    def written(*replacements, name="study.toml"):
        text = FILE
        for old, new in replacements:
            assert old in text
            text = text.replace(old, new)
        path = tmp_path / name
        path.write_text(text)
        return path

    return written


class Fake:
    """Stands for `probe` and `pretrain`; counts what is computed, and fails or stops on demand."""

    def __init__(self):
        self.computed, self.opened, self.fail, self.stop = [], [], set(), set()

    def _enter(self, name):
        if name in self.stop:
            raise KeyboardInterrupt
        if name in self.fail:
            raise TrainingError(f"{name} diverged; lower the rate.")
        self.computed.append(name)

    def keys(self, encoder, task, settings):
        weight = next(encoder.parameters()).detach().numpy().tobytes()
        facts = {
            "encoder": hashlib.sha256(weight).hexdigest()[:16],
            "task": digest(task),
            "protocol": settings.protocol,
            "scoring": "standard",
        }
        return [RowKey(seed=seed, **facts) for seed in settings.seeds]

    def probe(self, encoder, task, settings, *, store, compute, workers=0, beside=()):
        self._enter(f"{encoder.card.name} x {task.name}")
        results = ResultStore(store.results)
        rows = [self.row(encoder, task, key) for key in self.keys(encoder, task, settings)]
        for row in rows:
            results.write(row, {"index": np.arange(2)})
        return rows

    def row(self, encoder, task, key):
        cost = Cost(
            seconds=1.0,
            images_per_second=1.0,
            flops=1,
            peak_memory_bytes=1,
            device="cpu",
            threads=1,
        )
        card = encoder.card
        return ResultRow(
            key=key,
            encoder=card.name,
            method=card.method,
            pretraining_set=card.pretraining_set,
            images=None,
            epochs=None,
            steps=None,
            balance="unknown",
            recipe="",
            architecture=card.architecture,
            parameters=card.parameters,
            encoder_flops=card.flops,
            task=task.name,
            dataset="d",
            family=task.family,
            metric=task.metric,
            unit=task.unit,
            protocol="paper",
            score=0.5,
            raw=0.5,
            low=0.4,
            high=0.6,
            n=10,
            floor=0.1,
            cost=cost,
            time="2026-01-01T00:00:00Z",
        )

    def pretrain(self, settings, out, *, compute=None, workers=None):
        self._enter(f"pretrain {settings.method} {settings.epochs}")
        for name in ("encoder.safetensors", "card.json"):
            write_json(out / name, 100 + settings.epochs)
        return out

    def open(self, spec):
        """Open `random:resnet20` and what the pre-training above left."""
        kind, _, rest = spec.spec.partition(":")
        if kind == "random" and rest != "resnet20":
            raise SettingError(f"Unknown architecture '{rest}'.")
        self.opened.append(spec.name)
        seed = spec.seed if kind == "random" else read_json(Path(rest) / "card.json")
        encoder = tiny_encoder(seed=seed)
        encoder.card = replace(encoder.card, name=spec.name, method=kind)
        return encoder


@pytest.fixture
def fake(monkeypatch):
    """Replace the computations, and the reading of images in the plan's check."""
    made = Fake()
    probing = importlib.import_module("vireo.probe")
    monkeypatch.setattr(probing, "probe", made.probe)
    monkeypatch.setattr(probing, "row_keys", made.keys)
    monkeypatch.setattr(probing, "validate", lambda card, task, settings: None)
    monkeypatch.setattr(importlib.import_module("vireo.pretrain"), "pretrain", made.pretrain)
    monkeypatch.setattr(vireo.encoders, "open_encoder", made.open, raising=False)
    monkeypatch.setattr(vireo.study.check, "check_run", lambda settings: tiny_encoder().card)
    monkeypatch.setattr(vireo.study.check, "check_room", lambda plan, cards, folder: [])
    return made
