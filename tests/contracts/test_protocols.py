"""What every protocol promises, tested the moment it is listed."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from tests import tiny

from vireo.data.opening import open_split
from vireo.devices import Compute
from vireo.encoders.weights import weights_digest
from vireo.errors import SettingError
from vireo.probe import probe
from vireo.probe.protocols import PROTOCOLS
from vireo.records import HeadOptimizer, ProbeSettings
from vireo.store import ResultStore, read_table

TASK = tiny.bright_task(48, epochs=12, batch_size=8, learning_rate=3e-2)
COMPUTE = Compute(device="cpu", precision="float32", threads=1, reason="test")


@pytest.fixture(params=sorted(PROTOCOLS))
def settings(request):
    quick = {"learning_rates": (0.3, 1.0), "weight_decays": (0.0,), "resamples": 20, "draws": 3}
    sets = tuple(
        HeadOptimizer(optimizer=name, learning_rate=rate)
        for name, rate in (("adam", 3e-2), ("sgd", 1e-1))
    )
    return ProbeSettings(protocol=request.param, sets=sets, **quick)


@pytest.fixture
def encoder():
    return tiny.tiny_encoder()


def test_it_scores_a_frozen_encoder_and_leaves_it_as_it_was(settings, encoder, tmp_path):
    before = weights_digest(encoder), {name: t.clone() for name, t in encoder.state_dict().items()}
    (row,) = probe(encoder, TASK, settings, store=tmp_path, compute=COMPUTE)
    assert weights_digest(encoder) == before[0]
    for name, tensor in encoder.state_dict().items():
        assert tensor.equal(before[1][name]), name
    assert not encoder.training
    assert not any(p.requires_grad for p in encoder.parameters())
    assert row.protocol == settings.protocol
    assert row.floor < row.score <= 1
    assert row.low <= row.score <= row.high
    assert row.n == len(open_split(TASK.dataset, "test"))
    json.dumps(dataclasses.asdict(row), allow_nan=False)
    outcomes = ResultStore(tmp_path / "results").outcomes(row.key)
    np.testing.assert_array_equal(np.unique(outcomes["index"]), np.arange(row.n))
    assert row.score == pytest.approx(outcomes["correct"].mean())
    assert read_table(tmp_path / "results")["protocol"].tolist() == [settings.protocol]
    assert probe(encoder, TASK, settings, store=tmp_path, compute=COMPUTE) == [row]


def test_the_same_seed_gives_the_same_score(settings, encoder, tmp_path):
    rows = [
        probe(encoder, TASK, settings, store=tmp_path / name, compute=COMPUTE)[0] for name in "ab"
    ]
    assert rows[0].score == rows[1].score
    assert rows[0].hyperparameters == rows[1].hyperparameters


def test_its_fields_are_settings_and_it_says_where_it_is_not_for_a_task(settings, encoder):
    protocol = PROTOCOLS[settings.protocol]
    assert set(protocol.uses) <= {field.name for field in dataclasses.fields(ProbeSettings)}
    dense = dataclasses.replace(
        TASK, head="unet", target="mask", metric="miou", family="semantic-pixel"
    )
    if ":" not in protocol.pixels:
        with pytest.raises(SettingError, match=protocol.pixels):
            probe(encoder, dense, settings, store=Path("none"), compute=COMPUTE)
