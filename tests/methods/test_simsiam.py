"""SimSiam against Chen & He 2021 in NumPy: the loss, whole steps, what stops and what collapses."""

import numpy as np
import pytest
import torch
from tests.oracles.networks import Arrays, pixel_encoder
from tests.oracles.optimizers import sgd
from tests.oracles.siamese import EPOCHS, head, pair, standardised, whole_steps
from tests.tiny import tiny_encoder, view_batch

from vireo.errors import SettingError
from vireo.methods.building import build_method
from vireo.methods.simsiam import SimSiam, SimSiamSettings, distance

SETTINGS = SimSiamSettings(image_size=8, dimension=4, hidden_size=5, predictor_size=3)


def build(settings=SETTINGS, *, pixel=True) -> SimSiam:
    return build_method(
        SimSiam,
        tiny_encoder(4, pixel=pixel),
        settings,
        num_examples=99,
        num_classes=None,
        seed=0,
    ).train()


def cosine_distance(p: np.ndarray, z: np.ndarray) -> float:
    total = 0.0
    for i in range(len(p)):
        total -= p[i] @ z[i] / np.sqrt(p[i] @ p[i]) / np.sqrt(z[i] @ z[i])
    return total / len(p)


def projections(parameters: Arrays, views: np.ndarray) -> list[np.ndarray]:
    features = [pixel_encoder(parameters, x)[0] for x in views]
    return [standardised(head(parameters, "projector", y)) for y in features]


def oracle_loss(parameters: Arrays, stopped: Arrays, views: np.ndarray) -> float:
    p_1, p_2 = (head(parameters, "predictor", z) for z in projections(parameters, views))
    z_1, z_2 = projections(stopped, views)
    return 1 + cosine_distance(p_1, z_2) / 2 + cosine_distance(p_2, z_1) / 2


def test_two_whole_steps_equal_the_paper_in_numpy():
    """The rate falls by the epoch, but the predictor's stays."""
    base, velocities = 0.05 * 4096 / 256, {}

    def update(step: int, parameters: Arrays, gradients: Arrays) -> None:
        falling = base * 0.5 * (1 + np.cos(np.pi * (step // 2) / EPOCHS))
        for name, g in gradients.items():
            rate = base if name.startswith("predictor.") else falling
            one = {name: velocities[name]} if name in velocities else {}
            sgd(parameters, {name: g}, one, rate=rate, decay=1e-4)
            velocities.update(one)

    whole_steps(build().double(), (31, 33), oracle_loss, update)


def test_distance_equals_the_loop():
    draw = torch.Generator().manual_seed(0)
    p, z = (torch.randn(6, 5, generator=draw, dtype=torch.float64) for _ in range(2))
    assert distance(p, z).item() == pytest.approx(cosine_distance(p.numpy(), z.numpy()), rel=1e-12)


def test_identical_views_that_predict_themselves_have_no_loss():
    method, batch = build().double(), pair(0)
    method.predictor = torch.nn.Identity()
    batch.groups[0][1] = batch.groups[0][0]
    losses = method(batch)
    assert losses.total.item() == pytest.approx(0.0, abs=1e-12)
    assert losses.terms["positive_similarity"].item() == pytest.approx(1.0)


def test_identical_predictions_give_no_loss_and_unrelated_ones_no_information():
    method, draw = build(), torch.Generator().manual_seed(0)
    z = torch.randn(20000, 64, generator=draw)
    assert (1 + distance(z, 3 * z)).item() == pytest.approx(0.0, abs=1e-5)
    other = torch.randn(20000, 64, generator=draw)
    assert (1 + distance(z, other)).item() == pytest.approx(method.no_information, abs=0.01)


def test_the_spread_of_projections_tells_collapse():
    """Figure 2 of the paper: near 1 as long as projections differ, 0 when they are all the same."""
    method = build(pixel=False)
    spread = method(view_batch(64, ((2, 8),))).terms["projection_std"]
    assert 0.8 < spread < 1.05
    same = view_batch(64, ((2, 8),))
    same.groups[0][:] = same.groups[0][:1, :1]
    assert method(same).terms["projection_std"] < 1e-3


def test_the_projector_ends_in_a_batch_norm_without_weights_and_the_predictor_in_none():
    method = build(SimSiamSettings())
    kinds = [type(layer).__name__ for layer in method.projector]
    assert kinds == ["Linear", "BatchNorm1d", "ReLU"] * 2 + ["Linear", "BatchNorm1d"]
    assert not method.projector[-1].affine
    sizes = [layer.out_features for layer in method.projector if hasattr(layer, "out_features")]
    assert sizes == [4, 4, 2048]
    assert [type(layer).__name__ for layer in method.predictor] == [*kinds[:3], "Linear"]
    assert method.predictor[-1].bias is not None
    assert method.predictor[0].out_features == 512


def test_published_settings():
    optimizer = SimSiam.published_optimizer(512)
    assert (optimizer.name, optimizer.learning_rate, optimizer.weight_decay) == ("sgd", 0.1, 1e-4)
    assert (optimizer.schedule_unit, optimizer.warmup_epochs) == ("epoch", 0.0)
    names = [type(op).__name__ for op in build(SimSiamSettings()).views.views[0].operations]
    assert names == ["Crop", "ColorJitter", "Grayscale", "GaussianBlur", "Flip"]
    bare = build(SimSiamSettings(blur=False)).views.views[0].operations
    assert "GaussianBlur" not in [type(op).__name__ for op in bare]


@pytest.mark.parametrize("name", ["dimension", "predictor_size", "projector_layers"])
def test_settings_that_cannot_work_are_refused(name):
    with pytest.raises(SettingError, match=f"{name} must be at least 1; got 0"):
        SimSiam.check(SimSiamSettings(**{name: 0}), batch_size=8, num_examples=99, num_classes=None)
