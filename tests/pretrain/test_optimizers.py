"""SGD and LARC against NumPy, schedules against the formulas of the released scripts."""

import math

import numpy as np
import pytest
import torch
from tests.oracles import optimizers as oracle
from torch import nn

from vireo.errors import SettingError
from vireo.methods.method import Progress
from vireo.pretrain.optimizers import Optimizer, adapt_gradients, check_optimizer, learning_rate
from vireo.records import OptimizerSettings


def network() -> nn.Module:
    draw = torch.Generator().manual_seed(0)
    net = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2)).double()
    for p in net.parameters():
        p.data = torch.randn(p.shape, generator=draw, dtype=torch.float64)
    net[1].bias.data.zero_()  # a tensor of norm zero
    return net


@pytest.mark.parametrize("name", ["sgd", "larc", "nesterov"])
def test_three_steps_equal_the_formulas(name):
    net = network()
    settings = OptimizerSettings(
        name="larc" if name == "larc" else "sgd",
        learning_rate=1.0,
        weight_decay=0.1,
        nesterov=name == "nesterov",
    )
    optimizer = Optimizer(net, settings)
    parameters = {n: p.detach().numpy().copy() for n, p in net.named_parameters()}
    velocities: dict = {}
    draw = torch.Generator().manual_seed(1)
    for rate in (0.3, 0.2, 0.1):
        gradients = {}
        for n, p in net.named_parameters():
            p.grad = torch.randn(p.shape, generator=draw, dtype=torch.float64)
            if n == "0.bias":
                p.grad.zero_()  # LARC leaves it as it is, without decay
            gradients[n] = p.grad.numpy().copy()
        optimizer.step(rate)
        if name == "larc":
            oracle.larc(parameters, gradients, velocities, rate=rate, trust=0.001, decay=0.1)
        else:
            oracle.sgd(
                parameters, gradients, velocities, rate=rate, decay=0.1, nesterov=settings.nesterov
            )
    for n, p in net.named_parameters():
        np.testing.assert_allclose(p.detach().numpy(), parameters[n], rtol=1e-12)


def test_larc_leaves_a_parameter_without_gradient_alone():
    net = network()
    before = [p.clone() for p in net.parameters()]
    optimizer = Optimizer(net, OptimizerSettings(name="larc", learning_rate=1.0, weight_decay=0.1))
    net(torch.ones(1, 3, dtype=torch.float64)).sum().backward()
    net[0].weight.grad = None
    optimizer.step(1.0)
    moved = [not torch.equal(a, b) for a, b in zip(before, net.parameters(), strict=True)]
    assert moved == [False, True, True, True]


@pytest.mark.slow
def test_larc_agrees_with_timm_but_on_gradients_that_are_zero():
    """The disagreement for which vireo has its own lines."""
    from timm.optim.lars import Lars

    w = torch.tensor([3.0, 4.0], requires_grad=True)
    for gradient, agrees in ((torch.tensor([0.1, -0.2]), True), (torch.zeros(2), False)):
        ours, theirs = w.clone().detach(), w.clone().detach().requires_grad_()
        ours.grad, theirs.grad = gradient.clone(), gradient.clone()
        adapt_gradients([ours], 0.1, 0.001)
        ours -= 0.5 * ours.grad
        Lars([theirs], lr=0.5, weight_decay=0.1, trust_coeff=0.001).step()
        assert torch.allclose(ours, theirs.detach(), rtol=1e-6) == agrees


def test_a_frozen_network_takes_no_part():
    net = network()
    net[0].requires_grad_(False)
    settings = OptimizerSettings(learning_rate=1.0, weight_decay=0.5)
    optimizer = Optimizer(net, settings)
    before = net[0].weight.clone()
    net(torch.ones(1, 3, dtype=torch.float64)).sum().backward()
    optimizer.step(0.1)
    assert torch.equal(net[0].weight, before)


def rates(settings: OptimizerSettings, steps_per_epoch: int, epochs: int) -> list[float]:
    return [
        learning_rate(
            settings,
            Progress(
                step=step,
                num_steps=steps_per_epoch * epochs,
                epoch=step // steps_per_epoch,
                num_epochs=epochs,
            ),
        )
        for step in range(steps_per_epoch * epochs)
    ]


def test_moco_cosine_changes_by_the_epoch():
    got = rates(OptimizerSettings(learning_rate=0.03, weight_decay=1e-4), 3, 5)
    wanted = [0.03 * 0.5 * (1 + math.cos(math.pi * epoch / 5)) for epoch in range(5)]
    assert got == pytest.approx([rate for rate in wanted for _ in range(3)])


def test_swav_cosine_by_the_step_after_a_linear_warm_up():
    """Its script: linspace over the warm-up's steps, then a cosine to the final rate."""
    settings = OptimizerSettings(
        name="larc",
        learning_rate=4.8,
        final_learning_rate=0.0048,
        weight_decay=1e-6,
        schedule_unit="step",
        warmup_epochs=2.0,
        warmup_learning_rate=0.3,
    )
    steps, epochs = 4, 5
    warm = np.linspace(0.3, 4.8, 2 * steps)
    t = np.arange(steps * (epochs - 2))
    cosine = 0.0048 + 0.5 * (4.8 - 0.0048) * (1 + np.cos(math.pi * t / len(t)))
    assert rates(settings, steps, epochs) == pytest.approx([*warm, *cosine])


def test_steps_and_a_constant():
    step = OptimizerSettings(
        learning_rate=1.0, weight_decay=0.0, schedule="step", milestones=(0.6, 0.8)
    )
    assert rates(step, 1, 10) == pytest.approx([1.0] * 6 + [0.1] * 2 + [0.01] * 2)
    constant = OptimizerSettings(learning_rate=0.5, weight_decay=0.0, schedule="constant")
    assert rates(constant, 2, 2) == [0.5] * 4


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "adam"}, "name must be one of"),
        ({"schedule": "linear"}, "schedule must be one of"),
        ({"schedule_unit": "day"}, "schedule_unit must be one of"),
        ({"learning_rate": 0.0}, "learning_rate must be above 0"),
        ({"weight_decay": -1.0}, "weight_decay not below"),
        ({"momentum": 1.0}, "momentum must be in"),
        ({"momentum": 0.0, "nesterov": True}, "above 0 for nesterov"),
        ({"warmup_epochs": 10.0}, "warmup_epochs must be fewer than the run's 10"),
        ({"warmup_epochs": -1.0}, "and not negative; got -1"),
        ({"learning_rate": math.nan}, "both finite"),
        ({"weight_decay": math.inf}, "both finite"),
        ({"trust": 0.0}, "trust must be above 0"),
        ({"final_learning_rate": -0.1}, "final_learning_rate and warmup_learning_rate not below"),
        ({"milestones": (120.0, 160.0)}, "milestones are shares of the run"),
    ],
)
def test_settings_that_cannot_work_are_refused(changes, message):
    facts = {"learning_rate": 0.1, "weight_decay": 0.0, **changes}
    settings = object.__new__(OptimizerSettings)  # as an unchecked file would give them
    for field, value in {**vars(OptimizerSettings(learning_rate=1.0, weight_decay=0.0))}.items():
        object.__setattr__(settings, field, facts.get(field, value))
    with pytest.raises(SettingError, match=message):
        check_optimizer(settings, epochs=10)
