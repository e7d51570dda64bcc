"""Barlow Twins against Zbontar et al. 2021 in NumPy: the loss, whole steps, the limits."""

import numpy as np
import pytest
import torch
from tests.oracles.networks import Arrays, pixel_encoder
from tests.oracles.optimizers import lars
from tests.oracles.siamese import head, standardised, warm_cosine, whole_steps
from tests.tiny import tiny_encoder, view_batch

from vireo.errors import SettingError
from vireo.methods.barlow_twins import BarlowTwins, BarlowTwinsSettings, cross_correlation
from vireo.methods.building import build_method

SETTINGS = BarlowTwinsSettings(image_size=8, dimension=3, hidden_size=4, redundancy=0.1, scale=0.5)


def build(settings=SETTINGS, *, pixel=True) -> BarlowTwins:
    return build_method(
        BarlowTwins,
        tiny_encoder(4, pixel=pixel),
        settings,
        num_examples=99,
        num_classes=None,
        seed=0,
    ).train()


def oracle_barlow(z_A: np.ndarray, z_B: np.ndarray) -> float:
    """Equations 1 and 2, with the deviations of batch norm: of the whole batch, and its epsilon."""
    N, d = z_A.shape
    total = 0.0
    for i in range(d):
        for j in range(d):
            a, b = (z[:, k] - z[:, k].mean() for z, k in ((z_A, i), (z_B, j)))
            C = sum(a * b) / N / np.sqrt((a**2).mean() + 1e-5) / np.sqrt((b**2).mean() + 1e-5)
            total += (1 - C) ** 2 if i == j else 0.1 * C**2
    return total


def oracle_loss(parameters: Arrays, stopped: Arrays, views: np.ndarray) -> float:
    z_A, z_B = (head(parameters, "projector", pixel_encoder(parameters, x)[0]) for x in views)
    return 0.5 * oracle_barlow(z_A, z_B)


def test_two_whole_steps_equal_the_paper_in_numpy():
    """Weights by LARS; biases and norms slower, neither adapted nor decayed."""
    velocities: Arrays = {}

    def update(step: int, parameters: Arrays, gradients: Arrays) -> None:
        weights, biases = (warm_cosine(step, 16 * base, 16 * base / 1000) for base in (0.2, 0.0048))
        lars(parameters, gradients, velocities, rate=weights, bias_rate=biases, decay=1e-6)

    whole_steps(build().double(), (10, 30), oracle_loss, update)


def test_the_correlation_equals_numpys():
    draw = np.random.default_rng(0)
    z_A, z_B = draw.normal(size=(2, 50, 4))
    C = cross_correlation(*(torch.from_numpy(standardised(z)) for z in (z_A, z_B)))
    wanted = np.corrcoef(z_A.T, z_B.T)[:4, 4:]
    np.testing.assert_allclose(C, wanted, atol=1e-5)  # batch norm's epsilon


def test_loss_equals_the_double_loop():
    method, batch = build(), view_batch(16, ((2, 2),))
    with torch.no_grad():
        z = [method.projector(method.encoder(x).pooled).double().numpy() for x in batch.groups[0]]
    losses = method(batch)
    assert losses.total.item() == pytest.approx(0.5 * oracle_barlow(*z), rel=1e-4)
    terms = losses.terms
    parts = terms["invariance"] + 0.1 * terms["redundancy"]
    assert losses.total.item() == pytest.approx(0.5 * parts.item())


def test_collapsed_features_give_no_information():
    method, batch = build(pixel=False), view_batch(8)
    batch.groups[0][:] = batch.groups[0][:1, :1]
    assert method(batch).total.item() == pytest.approx(method.no_information, rel=1e-3)
    assert method.no_information == 0.5 * 3


def test_identical_views_leave_only_redundancy_and_independent_dimensions_nothing():
    method, batch = build(pixel=False), view_batch(8)
    batch.groups[0][1] = batch.groups[0][0]
    assert method(batch).terms["invariance"] < 1e-3
    z = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
    torch.testing.assert_close(cross_correlation(z, z), torch.eye(2))


def test_published_settings():
    optimizer = BarlowTwins.published_optimizer(2048)
    assert (optimizer.name, optimizer.trust, optimizer.exclude_1d) == ("lars", 0.001, True)
    assert (optimizer.learning_rate, optimizer.final_learning_rate) == (1.6, 0.0016)
    assert optimizer.bias_learning_rate == pytest.approx(0.0384)
    assert (optimizer.weight_decay, optimizer.warmup_epochs) == (1e-6, 10.0)
    method = build(BarlowTwinsSettings(hidden_size=64))
    assert [m.out_features for m in method.projector if hasattr(m, "out_features")] == [
        64,
        64,
        8192,
    ]
    assert not method.normalise.affine
    assert BarlowTwinsSettings().hidden_size == 8192
    assert [view.operations[4].probability for view in method.views.views] == [1.0, 0.1]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"redundancy": -1.0}, "redundancy must not be below 0"),
        ({"scale": 0.0}, "scale must be above"),
        ({"dimension": 0}, "dimension must be at least 1"),
        ({"hidden_size": -1}, "hidden_size must be at least 1"),
    ],
)
def test_settings_that_cannot_work_are_refused(changes, message):
    with pytest.raises(SettingError, match=message):
        BarlowTwins.check(
            BarlowTwinsSettings(**changes), batch_size=8, num_examples=99, num_classes=None
        )
