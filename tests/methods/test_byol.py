"""BYOL against Grill et al. 2020 in NumPy: the loss, whole steps of both networks, the momentum."""

import numpy as np
import pytest
import torch
from tests.oracles.networks import Arrays, pixel_encoder
from tests.oracles.optimizers import lars
from tests.oracles.siamese import STEPS, head, now, pair, warm_cosine, whole_steps
from tests.tiny import tiny_encoder, view_batch

from vireo.data.views.recipe import GaussianBlur, Solarize
from vireo.errors import SettingError
from vireo.methods.building import build_method
from vireo.methods.byol import BYOL, BYOLSettings, regression
from vireo.methods.method import Progress

SETTINGS = BYOLSettings(image_size=8, dimension=3, hidden_size=5, momentum=0.9)


def build(settings=SETTINGS, *, pixel=True) -> BYOL:
    return build_method(
        BYOL, tiny_encoder(4, pixel=pixel), settings, num_examples=99, num_classes=None, seed=0
    ).train()


def target_of(parameters: Arrays) -> Arrays:
    """The target's parameters under the names of the online network's."""
    return {
        name.replace("target_encoder.", "").replace("target_", ""): value
        for name, value in parameters.items()
        if name.startswith("target_")
    }


def oracle_regression(p: np.ndarray, z: np.ndarray) -> float:
    total = 0.0
    for a, b in zip(p, z, strict=True):
        total += sum((a / np.sqrt(a @ a) - b / np.sqrt(b @ b)) ** 2)
    return total / len(p)


def project(parameters: Arrays, x: np.ndarray) -> np.ndarray:
    return head(parameters, "projector", pixel_encoder(parameters, x)[0])


def oracle_loss(parameters: Arrays, stopped: Arrays, views: np.ndarray) -> float:
    p_1, p_2 = (head(parameters, "predictor", project(parameters, x)) for x in views)
    t_1, t_2 = (project(target_of(stopped), x) for x in views)
    return oracle_regression(p_1, t_2) + oracle_regression(p_2, t_1)


def test_two_whole_steps_of_both_networks_equal_the_paper_in_numpy():
    """The target moves after the online network, by the tau of the step."""
    velocities: Arrays = {}

    def update(step: int, parameters: Arrays, gradients: Arrays) -> None:
        lars(parameters, gradients, velocities, rate=warm_cosine(step, 0.2 * 16), decay=1.5e-6)
        tau = 1 - (1 - 0.9) * (np.cos(np.pi * step / STEPS) + 1) / 2
        for name in [name for name in parameters if name.startswith("target_")]:
            online = name.replace("target_encoder.", "").replace("target_", "")
            parameters[name] = tau * parameters[name] + (1 - tau) * parameters[online]

    whole_steps(build().double(), (10, 30), oracle_loss, update)


def test_the_target_has_batch_statistics_of_its_own_two_forwards():
    """Not averages of the online network's, as the released code has it."""
    method, batch = build().double(), pair(0)
    method.target_encoder.backbone.conv.weight.data *= 2
    wanted = {"mean": np.zeros(4), "var": np.ones(4)}
    weights = {n: p.detach().numpy() for n, p in method.target_encoder.named_parameters()}
    for x in batch.groups[0].numpy():
        _, seen = pixel_encoder(weights, x)
        wanted = {name: 0.9 * wanted[name] + 0.1 * seen[name] for name in wanted}
    losses = method(batch)
    method.after_step(now(0), losses.pending)
    bn = method.target_encoder.backbone.bn
    np.testing.assert_allclose(bn.running_mean, wanted["mean"], rtol=1e-9)
    np.testing.assert_allclose(bn.running_var, wanted["var"], rtol=1e-9)


def test_tau_goes_from_its_base_to_one_over_the_whole_run():
    """Read off a target weight of 0 that follows an online one of 1."""
    method, got = build(), []
    for step in range(STEPS + 1):
        method.encoder.backbone.conv.weight.data.fill_(1.0)
        method.target_encoder.backbone.conv.weight.data.fill_(0.0)
        here = Progress(step=step, num_steps=STEPS, epoch=0, num_epochs=1)
        method.after_step(here, {})
        got.append(1 - method.target_encoder.backbone.conv.weight.flatten()[0].item())
    assert got[0] == pytest.approx(0.9)
    assert got[STEPS // 2] == pytest.approx(0.95)
    assert got[STEPS - 1] == pytest.approx(1 - 0.1 * (np.pi / STEPS / 2) ** 2, abs=1e-6)
    assert got[STEPS] == 1.0
    assert got == sorted(got)


def test_regression_equals_the_loop_and_two_minus_two_cosines():
    draw = torch.Generator().manual_seed(0)
    p, z = (torch.randn(6, 5, generator=draw, dtype=torch.float64) for _ in range(2))
    got = regression(p, z).item()
    assert got == pytest.approx(oracle_regression(p.numpy(), z.numpy()), rel=1e-12)
    cosine = torch.nn.functional.cosine_similarity(p, z).mean().item()
    assert got == pytest.approx(2 - 2 * cosine, rel=1e-9)


def test_identical_directions_give_no_loss_and_unrelated_ones_no_information():
    method, draw = build(), torch.Generator().manual_seed(0)
    z = torch.randn(20000, 64, generator=draw)
    assert regression(3 * z, z).item() == pytest.approx(0.0, abs=1e-5)
    other = torch.randn(20000, 64, generator=draw)
    assert 2 * regression(z, other).item() == pytest.approx(method.no_information, abs=0.02)


def test_the_target_starts_as_a_copy_and_takes_no_gradient():
    method = build(pixel=False)
    for online, target in (("encoder", "target_encoder"), ("projector", "target_projector")):
        state = method.get_submodule(target).state_dict()
        for name, value in method.get_submodule(online).state_dict().items():
            assert torch.equal(value, state[name])
    losses = method(view_batch(8))
    losses.total.backward()
    assert all(p.grad is None for p in method.target_encoder.parameters())
    similarity = losses.terms["positive_similarity"].item()
    assert losses.total.item() == pytest.approx(4 - 4 * similarity, rel=1e-5)


def test_published_settings():
    optimizer = BYOL.published_optimizer(4096)
    assert (optimizer.name, optimizer.trust, optimizer.exclude_1d) == ("lars", 0.001, True)
    assert (optimizer.learning_rate, optimizer.weight_decay) == (pytest.approx(3.2), 1.5e-6)
    assert (optimizer.schedule_unit, optimizer.warmup_epochs) == ("step", 10.0)
    method = build(BYOLSettings())
    assert [m.out_features for m in method.projector if hasattr(m, "out_features")] == [4096, 256]
    assert [m.out_features for m in method.predictor if hasattr(m, "out_features")] == [4096, 256]
    first, second = (view.operations for view in method.views.views)
    assert GaussianBlur(probability=1.0) in first
    assert GaussianBlur(probability=0.1) in second
    assert second[-1] == Solarize(threshold=128, probability=0.2)
    assert not any(isinstance(operation, Solarize) for operation in first)
    assert first[:4] == second[:4]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"momentum": 1.5}, r"momentum must be in \[0, 1\]; got 1.5"),
        ({"momentum": -0.1}, "momentum must be in"),
        ({"hidden_size": 0}, "hidden_size must be at least 1"),
        ({"dimension": 0}, "dimension must be at least 1"),
    ],
)
def test_settings_that_cannot_work_are_refused(changes, message):
    with pytest.raises(SettingError, match=message):
        BYOL.check(BYOLSettings(**changes), batch_size=8, num_examples=99, num_classes=None)
