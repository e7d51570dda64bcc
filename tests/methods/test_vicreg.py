"""VICReg against Bardes et al. 2022 in NumPy: the three terms, whole steps, the limits."""

import numpy as np
import pytest
import torch
from tests.oracles.networks import Arrays, pixel_encoder
from tests.oracles.optimizers import lars
from tests.oracles.siamese import head, warm_cosine, whole_steps
from tests.tiny import tiny_encoder, view_batch

from vireo.errors import SettingError
from vireo.methods.building import build_method
from vireo.methods.vicreg import VICReg, VICRegSettings, covariance, variance

SETTINGS = VICRegSettings(image_size=8, dimension=3, hidden_size=4)


def build(settings=SETTINGS, *, pixel=True) -> VICReg:
    return build_method(
        VICReg, tiny_encoder(4, pixel=pixel), settings, num_examples=99, num_classes=None, seed=0
    ).train()


def oracle_invariance(Z: np.ndarray, Z_: np.ndarray) -> float:
    N, d = Z.shape
    return sum((Z[n, j] - Z_[n, j]) ** 2 for n in range(N) for j in range(d)) / N / d


def oracle_variance(Z: np.ndarray) -> float:
    N, d = Z.shape
    total = 0.0
    for j in range(d):
        var = sum((Z[n, j] - Z[:, j].mean()) ** 2 for n in range(N)) / (N - 1)
        total += max(0.0, 1 - np.sqrt(var + 1e-4))
    return total / d


def oracle_covariance(Z: np.ndarray) -> float:
    N, d = Z.shape
    mean, total = Z.mean(axis=0), 0.0
    for i in range(d):
        for j in range(d):
            if i != j:
                total += (sum((z[i] - mean[i]) * (z[j] - mean[j]) for z in Z) / (N - 1)) ** 2
    return total / d


def oracle_vicreg(Z: np.ndarray, Z_: np.ndarray) -> float:
    v = (oracle_variance(Z) + oracle_variance(Z_)) / 2
    c = oracle_covariance(Z) + oracle_covariance(Z_)
    return 25 * oracle_invariance(Z, Z_) + 25 * v + c


def oracle_loss(parameters: Arrays, stopped: Arrays, views: np.ndarray) -> float:
    return oracle_vicreg(
        *(head(parameters, "projector", pixel_encoder(parameters, x)[0]) for x in views)
    )


def test_two_whole_steps_equal_the_released_code_in_numpy():
    velocities: Arrays = {}

    def update(step: int, parameters: Arrays, gradients: Arrays) -> None:
        rate = warm_cosine(step, 0.2 * 16, 0.2 * 16 / 1000)
        lars(parameters, gradients, velocities, rate=rate, decay=1e-6)

    whole_steps(build().double(), (3, 30), oracle_loss, update)


def test_the_terms_equal_the_loops():
    Z = np.random.default_rng(0).normal(size=(7, 5)) * [0.1, 0.5, 1.0, 2.0, 0.9]
    assert variance(torch.from_numpy(Z)).item() == pytest.approx(oracle_variance(Z), rel=1e-12)
    assert covariance(torch.from_numpy(Z)).item() == pytest.approx(oracle_covariance(Z), rel=1e-9)
    wanted = np.cov(Z.T)
    np.fill_diagonal(wanted, 0)
    assert covariance(torch.from_numpy(Z)).item() == pytest.approx((wanted**2).sum() / 5, rel=1e-9)


def test_loss_equals_the_loops_and_its_terms_add_up():
    method, batch = build(), view_batch(16, ((2, 2),))
    with torch.no_grad():
        Z = [method.projector(method.encoder(x).pooled).double().numpy() for x in batch.groups[0]]
    losses = method(batch)
    assert losses.total.item() == pytest.approx(oracle_vicreg(*Z), rel=1e-5)
    s, v, c = (losses.terms[name].item() for name in ("invariance", "variance", "covariance"))
    assert losses.total.item() == pytest.approx(25 * s + 25 * v + c, rel=1e-5)


def test_collapsed_features_give_no_information():
    method, batch = build(pixel=False), view_batch(8)
    batch.groups[0][:] = batch.groups[0][:1, :1]
    losses = method(batch)
    assert losses.total.item() == pytest.approx(method.no_information, rel=1e-4)
    assert method.no_information == pytest.approx(24.75)


def test_identical_spread_out_independent_views_have_no_loss():
    Z = 2 * torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
    assert variance(Z) == 0
    assert covariance(Z).item() == pytest.approx(0.0, abs=1e-12)
    method, batch = build(pixel=False), view_batch(8)
    batch.groups[0][1] = batch.groups[0][0]
    assert method(batch).terms["invariance"].item() == pytest.approx(0.0, abs=1e-10)


def test_the_gradient_is_finite_where_features_do_not_vary():
    Z = torch.ones(8, 3, requires_grad=True)
    (variance(Z) + covariance(Z)).backward()
    assert torch.isfinite(Z.grad).all()


def test_published_settings():
    optimizer = VICReg.published_optimizer(2048)
    assert (optimizer.name, optimizer.trust, optimizer.exclude_1d) == ("lars", 0.001, True)
    assert (optimizer.learning_rate, optimizer.final_learning_rate) == (1.6, 0.0016)
    assert optimizer.bias_learning_rate is None
    assert (optimizer.weight_decay, optimizer.warmup_epochs) == (1e-6, 10.0)
    defaults = VICRegSettings()
    assert (defaults.invariance, defaults.variance, defaults.covariance) == (25.0, 25.0, 1.0)
    assert (defaults.hidden_size, defaults.dimension) == (8192, 8192)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"invariance": -1.0}, "invariance and covariance must not be below 0"),
        ({"covariance": -1.0}, "invariance and covariance must not be below 0"),
        ({"variance": 0.0}, "variance must be above it"),
        ({"dimension": 0}, "dimension must be at least 1"),
        ({"hidden_size": -1}, "hidden_size must be at least 1"),
    ],
)
def test_settings_that_cannot_work_are_refused(changes, message):
    with pytest.raises(SettingError, match=message):
        VICReg.check(VICRegSettings(**changes), batch_size=8, num_examples=99, num_classes=None)
