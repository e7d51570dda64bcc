"""Optimisers against NumPy, schedules against the formulas of the released scripts."""

import math

import numpy as np
import pytest
import torch
from tests.oracles import optimizers as oracle
from tests.tiny import tiny_encoder
from torch import nn

from vireo.errors import SettingError
from vireo.methods.building import build_method
from vireo.methods.method import Progress
from vireo.methods.moco_v2 import MoCoV2, MoCoV2Settings
from vireo.pretrain.optimizers import (
    Optimizer,
    check_optimizer,
    larc,
    lars,
    learning_rate,
    weight_decay,
)
from vireo.records import OptimizerSettings


def network() -> nn.Module:
    draw = torch.Generator().manual_seed(0)
    net = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2)).double()
    for p in net.parameters():
        p.data = torch.randn(p.shape, generator=draw, dtype=torch.float64)
    net[1].bias.data.zero_()  # a tensor of norm zero
    return net


BIAS_RATE = 0.024  # of the weights' rate: Barlow Twins'


@pytest.mark.parametrize("exclude_1d", [False, True])
@pytest.mark.parametrize("name", ["sgd", "nesterov", "larc", "lars", "lars with biases", "adamw"])
def test_four_steps_equal_the_formulas(name, exclude_1d):
    """Rates and decays change by the step; one gradient is zero at first, one tensor is zero."""
    net = network()
    settings = OptimizerSettings(
        name="sgd" if name == "nesterov" else name.split()[0],
        learning_rate=1.0,
        bias_learning_rate=BIAS_RATE if name == "lars with biases" else None,
        weight_decay=0.1,
        exclude_1d=exclude_1d,
        nesterov=name == "nesterov",
    )
    optimizer = Optimizer(net, settings)
    parameters = {n: p.detach().numpy().copy() for n, p in net.named_parameters()}
    start, state = {n: w.copy() for n, w in parameters.items()}, {}
    draw = torch.Generator().manual_seed(1)
    for step, (rate, decay) in enumerate([(0.3, 0.1), (0.2, 0.2), (0.1, 0.3), (0.25, 0.4)]):
        gradients = {}
        for n, p in net.named_parameters():
            p.grad = torch.randn(p.shape, generator=draw, dtype=torch.float64)
            if step < 2 and n in ("0.bias", "1.weight"):
                p.grad.zero_()
            gradients[n] = p.grad.numpy().copy()
        optimizer.step(rate, decay)
        oracle_step(name, exclude_1d, parameters, gradients, state, rate, decay)
        for n, p in net.named_parameters():
            np.testing.assert_allclose(
                p.detach().numpy() - start[n], parameters[n] - start[n], rtol=1e-9, atol=1e-15
            )


def oracle_step(name, exclude_1d, parameters, gradients, state, rate, decay):
    if name.startswith("lars"):
        own = rate * BIAS_RATE if "biases" in name else None
        facts = {"rate": rate, "bias_rate": own, "decay": decay, "exclude_1d": exclude_1d}
        return oracle.lars(parameters, gradients, state, **facts)
    if name == "adamw":
        facts = {"rate": rate, "decay": decay, "exclude_1d": exclude_1d}
        return oracle.adamw(parameters, gradients, state, **facts)
    for n, g in gradients.items():  # each alone: those of one dimension are plain SGD
        one, own, plain = {n: g}, {n: state[n]} if n in state else {}, exclude_1d and g.ndim == 1
        facts = {"rate": rate, "decay": 0.0 if plain else decay}
        if name == "larc" and not plain:
            oracle.larc(parameters, one, own, trust=0.001, **facts)
        else:
            oracle.sgd(parameters, one, own, nesterov=name == "nesterov", **facts)
        state.update(own)
    return None


def test_adamw_is_torchs():
    settings = OptimizerSettings(name="adamw", learning_rate=1.0, weight_decay=0.3, momentum=0.8)
    ours, theirs = network(), network()
    optimizer = Optimizer(ours, settings)
    reference = torch.optim.AdamW(theirs.parameters(), betas=(0.8, 0.999))
    for rate in (0.3, 0.1):
        for net in (ours, theirs):
            net.zero_grad()
            net(torch.ones(2, 3, dtype=torch.float64)).square().sum().backward()
        optimizer.step(rate)
        for group in reference.param_groups:
            group.update(lr=rate, weight_decay=0.3)
        reference.step()
        for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
            assert torch.equal(a, b)


def test_lars_shrinks_a_tensor_without_gradient_by_trust_whatever_the_decay():
    w = torch.tensor([[3.0, 4.0]])
    for decay in (1e-6, 0.1):
        torch.testing.assert_close(lars(w, torch.zeros(1, 2), decay, 0.001), 0.001 * w)
    assert not lars(w, torch.zeros(1, 2), 0.0, 0.001).any()


def test_modules_with_a_constant_rate_keep_the_full_one(monkeypatch):
    """A name is a module's, not the beginning of one: `encoder_2` is not part of `encoder`."""
    method = build_method(
        MoCoV2,
        tiny_encoder(),
        MoCoV2Settings(queue_size=8),
        num_examples=9,
        num_classes=None,
        seed=0,
    )
    monkeypatch.setattr(MoCoV2, "constant_rate", ("projector", "enc"))
    settings = OptimizerSettings(learning_rate=2.0, weight_decay=0.0, momentum=0.0)
    optimizer = Optimizer(method, settings)
    before = {n: p.detach().clone() for n, p in method.named_parameters()}
    for p in method.parameters():
        p.grad = torch.ones_like(p) if p.requires_grad else None
    optimizer.step(0.5)
    for n, p in method.named_parameters():
        moved = {"projector": 2.0, "encoder": 0.5}.get(n.split(".")[0], 0.0)
        torch.testing.assert_close(before[n] - p, torch.full_like(p, moved))


@pytest.mark.parametrize("name", ["lars", "adamw"])
def test_groups_resume(name):
    settings = OptimizerSettings(
        name=name, learning_rate=0.1, weight_decay=0.1, exclude_1d=True, bias_learning_rate=0.01
    )

    def steps(net, optimizer, count):
        for _ in range(count):
            optimizer.zero_grad()
            net(torch.ones(2, 3, dtype=torch.float64)).square().sum().backward()
            optimizer.step(0.1)

    whole, first, second = network(), network(), network()
    steps(whole, Optimizer(whole, settings), 4)
    optimizer = Optimizer(first, settings)
    steps(first, optimizer, 2)
    second.load_state_dict(first.state_dict())
    resumed = Optimizer(second, settings)
    resumed.load_state_dict(optimizer.state_dict())
    steps(second, resumed, 2)
    for a, b in zip(whole.parameters(), second.parameters(), strict=True):
        assert torch.equal(a, b)


def test_weight_decay_follows_half_a_cosine_by_the_step():
    """DINO's script: .04 to .4, one value a step."""
    settings = OptimizerSettings(
        name="adamw", learning_rate=1.0, weight_decay=0.04, weight_decay_end=0.4
    )
    now = [Progress(step=k, num_steps=8, epoch=k // 4, num_epochs=2) for k in range(8)]
    wanted = 0.4 + 0.5 * (0.04 - 0.4) * (1 + np.cos(math.pi * np.arange(8) / 8))
    assert [weight_decay(settings, p) for p in now] == pytest.approx(wanted)
    constant = OptimizerSettings(learning_rate=1.0, weight_decay=0.04)
    assert {weight_decay(constant, p) for p in now} == {0.04}


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
        theirs = w.clone().detach().requires_grad_()
        theirs.grad = gradient.clone()
        ours = w.detach() - 0.5 * larc(w.detach(), gradient, 0.1, 0.001)
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
        ({"name": "lars", "nesterov": True}, "lars has no Nesterov momentum"),
        ({"bias_learning_rate": 0.0}, "bias_learning_rate must be above 0"),
        ({"weight_decay_end": -0.1}, "weight_decay_end not below"),
        ({"weight_decay_end": math.nan}, "both finite, or left out"),
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
