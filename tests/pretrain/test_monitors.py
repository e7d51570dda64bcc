"""Monitors: means by NumPy, collapse and unfinished learning are said, NaN stops the run."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from vireo.errors import TrainingError
from vireo.methods.method import Losses, Progress
from vireo.pretrain.monitors import (
    CollapseWatch,
    Meter,
    demand_finite,
    feature_statistics,
    warnings,
)

NOW = Progress(step=60, num_steps=100, epoch=6, num_epochs=10)
GOOD = {"loss": 1.0, "loss_level": 0.5, "feature_std": 0.8, "feature_rank": 20.0}


def losses(value: float, accuracy: float = 0.5) -> Losses:
    terms = {"accuracy": torch.tensor(accuracy)}
    return Losses(total=torch.tensor(value), terms=terms, features=torch.zeros(1, 1))


def test_means_are_of_the_steps_since_the_last_line_and_survive_a_checkpoint():
    values = [0.1, 0.7, 0.4]
    meter, other = Meter(), Meter()
    meter.add(losses(9.0))
    meter.means()
    for value in values[:2]:
        meter.add(losses(value))
    other.load_state_dict(meter.state_dict(), torch.device("cpu"))
    for each in (meter, other):
        each.add(losses(values[2]))
    assert meter.means() == other.means()
    meter.add(losses(0.3, 0.9))
    assert meter.means() == pytest.approx({"loss": 0.3, "accuracy": 0.9})


def test_feature_statistics_of_known_features():
    spread = torch.eye(16).repeat(4, 1)
    got = feature_statistics(spread)
    units = spread.numpy()
    assert got["feature_std"] == pytest.approx(np.std(units, axis=0).mean() * 4)
    assert got["feature_rank"] == pytest.approx(16, rel=1e-4)
    same = feature_statistics(torch.ones(64, 16))
    assert same["feature_std"] == pytest.approx(0.0, abs=1e-6)
    assert same["feature_rank"] == pytest.approx(1.0, abs=1e-3)


def test_half_precision_features_are_taken():
    got = feature_statistics(torch.rand(8, 4, dtype=torch.bfloat16))
    assert all(math.isfinite(value) for value in got.values())


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"feature_std": 0.001}, "collapse"),
        ({"feature_rank": 1.0}, "collapse"),
        ({"loss_level": 1.0}, "no information"),
        ({"prototype_usage": 0.01}, "prototypes"),
    ],
)
def test_what_looks_wrong_is_said(changes, kind):
    assert list(warnings({**GOOD, **changes}, NOW)) == [kind]


def test_a_run_that_learns_gets_no_warning():
    assert warnings({**GOOD, "prototype_usage": 0.9}, NOW) == {}
    early = Progress(step=1, num_steps=100, epoch=0, num_epochs=10)
    assert warnings({**GOOD, "loss_level": 1.0, "prototype_usage": 0.0}, early) == {}


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_stops_the_run_with_advice(value):
    meter, network = Meter(), nn.Linear(2, 2)
    meter.add(losses(0.5))
    demand_finite(meter, network, NOW)
    meter.add(losses(value))
    meter.add(losses(0.5))
    with pytest.raises(TrainingError, match=r"by step 60 .* Lower the learning rate"):
        demand_finite(meter, network, NOW)


def test_weights_that_are_not_finite_stop_the_run():
    network = nn.Linear(2, 2)
    network.bias.data[0] = math.nan
    with pytest.raises(TrainingError, match="not finite"):
        demand_finite(Meter(), network, NOW)


def at(epoch: int) -> Progress:
    return Progress(step=10 * epoch, num_steps=100, epoch=epoch, num_epochs=10)


FLAT = {**GOOD, "feature_std": 0.001}


@pytest.mark.parametrize(
    ("method", "said"),
    [("swav", "Use fewer prototypes"), ("their.module:Own", "Lower the learning rate")],
)
def test_a_collapse_that_lasts_stops_the_run_with_the_methods_advice(method, said):
    watch = CollapseWatch(method)
    for _ in range(4):
        watch.see(FLAT, at(1))
    with pytest.raises(TrainingError, match=rf"for 5 lines of the log .* collapsed .*{said}"):
        watch.see(FLAT, at(2))


def test_the_first_epoch_and_a_passing_collapse_do_not_stop_a_run():
    watch = CollapseWatch("swav")
    for _ in range(9):
        watch.see(FLAT, at(0))
    for _ in range(3):
        for line in (FLAT, FLAT, FLAT, FLAT, GOOD):
            watch.see(line, at(3))
