"""DINO against Caron et al. 2021 in NumPy: whole steps by its published optimiser, the traps."""

import math

import numpy as np
import pytest
import torch
from scipy import stats
from tests.oracles import losses as oracle
from tests.oracles.networks import Arrays, linear, numeric_gradient, pixel_encoder, unit
from tests.oracles.optimizers import adamw
from tests.tiny import tiny_encoder, view_batch

from vireo.data.views.recipe import ColorJitter, Crop, GaussianBlur, Grayscale, Solarize
from vireo.devices import Compute
from vireo.errors import SettingError
from vireo.methods.building import build_method
from vireo.methods.dino import DINO, DINOSettings
from vireo.methods.method import Progress
from vireo.methods.self_distillation import DINOHead, clip_each, self_distillation, warmed_up
from vireo.pretrain.loop import train_step
from vireo.pretrain.optimizers import Optimizer

N, K, CLIP = 4, 6, 0.05
SETTINGS = DINOSettings(
    image_size=8,
    local_crops=2,
    prototypes=K,
    hidden_size=5,
    bottleneck=3,
    teacher_temperature=0.07,
    warmup_teacher_epochs=3,
    clip=CLIP,
)
CPU = Compute(device="cpu", precision="float32", threads=1, reason="test")
STEPS, EPOCHS = 80, 40  # two steps an epoch


def build(settings=SETTINGS, *, seed=0, pixel=True) -> DINO:
    encoder = tiny_encoder(4, seed=seed, pixel=pixel)
    return build_method(
        DINO, encoder, settings, num_examples=100, num_classes=None, seed=seed
    ).train()


def now(step: int) -> Progress:
    return Progress(step=step, num_steps=STEPS, epoch=step // 2, num_epochs=EPOCHS)


def arrays(method: DINO, encoder: str, head: str) -> Arrays:
    found = {}
    for prefix, name in (("", encoder), ("head.", head)):
        for key, parameter in method.get_submodule(name).named_parameters():
            found[f"{prefix}{key}"] = parameter.detach().numpy().copy()
    return found


def gelu(x: np.ndarray) -> np.ndarray:
    return x * 0.5 * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))


def softmax(x: np.ndarray) -> np.ndarray:
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def outputs(parameters: Arrays, groups: list[np.ndarray]) -> tuple[np.ndarray, Arrays]:
    """Outputs [views, n, K], and batch-norm statistics of the last resolution."""
    features = [pixel_encoder(parameters, group.reshape(-1, *group.shape[2:])) for group in groups]
    x = np.concatenate([pooled for pooled, _ in features])
    for layer in (0, 2, 4):
        x = linear(x, parameters[f"head.mlp.{layer}.weight"], parameters[f"head.mlp.{layer}.bias"])
        x = gelu(x) if layer < 4 else unit(x)
    return (x @ unit(parameters["head.last_layer.v"]).T).reshape(-1, N, K), features[-1][1]


def cross_entropies(parameters: Arrays, groups: list[np.ndarray], P: list[np.ndarray]) -> float:
    """Two large crops of the teacher against all others of the student."""
    student = outputs(parameters, groups)[0]
    total, pairs = 0.0, 0
    for s in range(2):
        for t in range(len(student)):
            if t != s:
                total += oracle.cross_entropy(student[t] / 0.1, P[s])
                pairs += 1
    return total / pairs


def oracle_step(state: dict, groups: list[np.ndarray], step: int) -> float:
    student, teacher, epoch = state["student"], state["teacher"], step // 2
    g, statistics = outputs(teacher, groups[:1])
    T = {0: 0.04, 1: 0.055}.get(epoch, 0.07)
    P = [softmax((large - state["center"]) / T) for large in g]
    trained = {name: value for name, value in student.items() if name != "head.last_layer.g"}

    def loss(at: Arrays) -> float:
        return cross_entropies(at, groups, P)

    value, gradients = loss(trained), numeric_gradient(loss, trained)
    for name, gradient in gradients.items():
        norm = np.sqrt((gradient**2).sum())
        gradients[name] = gradient * min(1.0, CLIP / (norm + 1e-6))
        state["clipped"] += norm > CLIP
    if epoch == 0:
        del gradients["head.last_layer.v"]
    # Ten epochs of warm-up: the last of 20 steps has the full rate, .0005 * 25600 / 256.
    rate = 0.05 * step / 19
    decay = 0.4 + (0.04 - 0.4) * 0.5 * (1 + math.cos(math.pi * step / STEPS))
    adamw(student, gradients, state["moments"], rate=rate, decay=decay, exclude_1d=True)
    m = 1 - (1 - 0.996) * 0.5 * (1 + math.cos(math.pi * step / STEPS))
    for name in teacher:
        teacher[name] = m * teacher[name] + (1 - m) * student[name]
    state["center"] = 0.9 * state["center"] + 0.1 * g.mean(axis=(0, 1))
    for name in ("mean", "var"):
        state["teacher_bn"][name] = 0.9 * state["teacher_bn"][name] + 0.1 * statistics[name]
    return value


def test_four_whole_steps_equal_the_paper_in_numpy():
    """Two with a frozen last layer and T .04, two with neither."""
    method = build().double()
    for head in (method.head, method.teacher_head):  # finite differences fail beside 0
        for layer in (0, 2, 4):
            head.mlp[layer].weight.data.mul_(25.0)
    optimizer = Optimizer(method, DINO.published_optimizer(25600))
    state = {
        "student": arrays(method, "encoder", "head"),
        "teacher": arrays(method, "teacher_encoder", "teacher_head"),
        "teacher_bn": {"mean": np.zeros(4), "var": np.ones(4)},
        "center": np.zeros(K),
        "moments": {},
        "clipped": 0,
    }
    for step in range(4):
        batch = view_batch(N, ((2, 2), (2, 1)), seed=step)
        groups = tuple(group.double() for group in batch.groups)
        batch = type(batch)(groups=groups, index=batch.index)
        loss = train_step(method, optimizer, batch, now(step), compute=CPU).total.item()
        wanted = oracle_step(state, [group.numpy() for group in groups], step)
        assert loss == pytest.approx(wanted, rel=1e-9 if step == 0 else 1e-5)
    assert 0 < state["clipped"] < 4 * 11, "some gradients are clipped and some are not"
    close = {"rtol": 1e-5, "atol": 1e-6}
    for name, array in arrays(method, "encoder", "head").items():
        np.testing.assert_allclose(array, state["student"][name], **close, err_msg=name)
    for name, array in arrays(method, "teacher_encoder", "teacher_head").items():
        np.testing.assert_allclose(array, state["teacher"][name], **close, err_msg=name)
    np.testing.assert_allclose(method.center, state["center"], **close)
    bn = method.teacher_encoder.backbone.bn
    np.testing.assert_allclose(bn.running_mean, state["teacher_bn"]["mean"], **close)
    np.testing.assert_allclose(bn.running_var, state["teacher_bn"]["var"], **close)


def test_the_loss_skips_the_same_view():
    draw = torch.Generator().manual_seed(0)
    P = torch.softmax(torch.randn(2, 3, K, generator=draw, dtype=torch.float64), dim=2)
    log_p = torch.log_softmax(torch.randn(4, 3, K, generator=draw, dtype=torch.float64), dim=2)
    pairs = [(s, t) for s in range(2) for t in range(4) if s != t]
    wanted = [oracle.cross_entropy(log_p[t].numpy(), P[s].numpy()) for s, t in pairs]
    assert self_distillation(P, log_p).item() == pytest.approx(sum(wanted) / 6, rel=1e-12)


def test_the_teacher_sees_large_crops_alone_and_starts_as_the_student():
    method = build()
    for mine, theirs in (
        (method.encoder, method.teacher_encoder),
        (method.head, method.teacher_head),
    ):
        state = theirs.state_dict()
        assert all(torch.equal(value, state[name]) for name, value in mine.state_dict().items())
    batch = view_batch(N, ((2, 2), (2, 1)))
    first = method(batch).pending["teacher_mean"]
    batch.groups[1].mul_(5.0)
    assert torch.equal(method(batch).pending["teacher_mean"], first)


def test_the_teacher_reaches_momentum_one_at_the_true_end_of_the_run():
    """It must barely move in the last step, and not stop before."""
    method = build()
    pending = {"teacher_mean": torch.zeros(1, K)}
    moved = {}
    for step in (0, STEPS // 2, STEPS - 1):
        for twin, online in zip(
            method.teacher_encoder.parameters(), method.encoder.parameters(), strict=True
        ):
            twin.data.zero_()
            online.data.fill_(1.0)
        method.after_step(now(step), pending)
        moved[step] = next(method.teacher_encoder.parameters()).flatten()[0].item()
    assert moved[0] == pytest.approx(0.004, rel=1e-4)
    assert moved[STEPS // 2] == pytest.approx(0.002, rel=1e-3)
    assert 0 < moved[STEPS - 1] < 2e-6


def test_the_teacher_averages_parameters_and_keeps_its_own_statistics():
    method = build()
    method.encoder.backbone.bn.running_mean.fill_(7.0)
    method.after_step(now(0), {"teacher_mean": torch.zeros(K)})
    assert torch.equal(method.teacher_encoder.backbone.bn.running_mean, torch.zeros(4))


def test_the_last_layer_is_frozen_for_the_first_epoch_alone():
    method = build()
    for step, frozen in ((0, True), (1, True), (2, False)):
        method(view_batch(N, ((2, 2), (2, 1)))).total.backward()
        method.after_backward(now(step))
        assert (method.head.last_layer.v.grad is None) == frozen
        assert method.head.mlp[0].weight.grad is not None


@pytest.mark.parametrize("unit_rows", [True, False])
def test_lengths_of_the_last_layer_are_learnt_only_if_asked(unit_rows):
    head = DINOHead((4, 5, 3, 6), batch_norm=True, unit_rows=unit_rows)
    assert head.last_layer.g.requires_grad != unit_rows
    assert torch.equal(head.last_layer.g, torch.ones(6, 1))
    scores = head(torch.randn(8, 4))
    assert scores.abs().max() <= 1 + 1e-6, "products of unit vectors"
    head.eval()
    x = torch.randn(8, 4)
    before = head(x)
    head.last_layer.g.data.fill_(2.0)
    torch.testing.assert_close(head(x), 2 * before)


def test_the_head_starts_as_released():
    head = DINOHead((64, 256, 64, 32), batch_norm=False, unit_rows=True)
    linears = [layer for layer in head.mlp if isinstance(layer, torch.nn.Linear)]
    assert [(layer.in_features, layer.out_features) for layer in linears] == [
        (64, 256),
        (256, 256),
        (256, 64),
    ]
    for layer in linears:
        assert not layer.bias.any()
        assert stats.kstest(layer.weight.detach().flatten(), stats.norm(0, 0.02).cdf).pvalue > 1e-3
        assert layer.weight.abs().max() > 0.05, "not cut at two deviations"


def test_weight_norm_is_torchs():
    head = DINOHead((4, 5, 3, 6), batch_norm=False, unit_rows=False)
    theirs = torch.nn.utils.parametrizations.weight_norm(torch.nn.Linear(3, 6, bias=False))
    weights = theirs.parametrizations.weight
    weights.original1.data.copy_(head.last_layer.v)
    head.last_layer.g.data.uniform_(0.5, 2.0)
    weights.original0.data.copy_(head.last_layer.g)
    x = torch.randn(7, 3)
    torch.testing.assert_close(head.last_layer(x), theirs(x))


def test_each_gradient_is_clipped_by_itself():
    long, short = (torch.nn.Parameter(torch.zeros(2)) for _ in range(2))
    long.grad, short.grad = torch.tensor([30.0, 40.0]), torch.tensor([0.3, 0.4])
    clip_each([long, short, torch.nn.Parameter(torch.zeros(1))], 3.0)
    torch.testing.assert_close(long.grad, torch.tensor([1.8, 2.4]))
    assert torch.equal(short.grad, torch.tensor([0.3, 0.4]))


def test_the_teachers_temperature_is_the_releases_line():
    for epochs in (0, 1, 2, 30):
        line = np.linspace(0.04, 0.07, epochs)
        for epoch in range(40):
            wanted = line[epoch] if epoch < epochs else 0.07
            assert warmed_up(epoch, epochs, 0.04, 0.07) == pytest.approx(wanted, rel=1e-12)


def test_collapse_is_visible_in_the_terms():
    """Uniform teacher: entropy 1, divergence 0 from a uniform student."""
    method = build().double()
    method.head.last_layer.v.data[:] = method.head.last_layer.v[0].detach().clone()
    method.teacher_head.last_layer.v.data[:] = method.head.last_layer.v.detach()
    batch = view_batch(N, ((2, 2), (2, 1)))
    groups = tuple(group.double() for group in batch.groups)
    losses = method(type(batch)(groups=groups, index=batch.index))
    assert losses.terms["teacher_entropy"].item() == pytest.approx(1.0)
    assert losses.terms["divergence"].item() == pytest.approx(0.0, abs=1e-9)
    assert losses.total.item() == pytest.approx(method.no_information) == math.log(K)


def test_views_are_the_releases():
    first, second, small = build(DINOSettings(image_size=224, prototypes=K)).views.views
    assert [(view.count, view.side) for view in (first, second, small)] == [
        (1, 224),
        (1, 224),
        (8, 96),
    ]
    jitter = ColorJitter(brightness=0.4, contrast=0.4, saturation=0.2, hue=0.1, probability=0.8)
    for view, scale, blur in (
        (first, (0.4, 1.0), 1.0),
        (second, (0.4, 1.0), 0.1),
        (small, (0.05, 0.4), 0.5),
    ):
        crop, _flip, *colours = view.operations
        assert crop == Crop(scale=scale)
        assert colours[:3] == [jitter, Grayscale(probability=0.2), GaussianBlur(probability=blur)]
    assert second.operations[-1] == Solarize(threshold=128, probability=0.2)
    assert len(first.operations) == len(small.operations) == 5


def test_the_published_optimiser_is_that_of_a_vit():
    settings = DINO.published_optimizer(1024)
    assert (settings.name, settings.learning_rate) == ("adamw", pytest.approx(0.002))
    assert (settings.weight_decay, settings.weight_decay_end) == (0.04, 0.4)
    assert (settings.warmup_epochs, settings.final_learning_rate) == (10.0, 1e-6)
    assert settings.exclude_1d
    assert settings.schedule_unit == "step"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"prototypes": 1}, "prototypes must be at least 2"),
        ({"bottleneck": 0}, "bottleneck must be at least 1"),
        ({"teacher_temperature": 0.0}, "Temperatures must be above 0"),
        ({"momentum": 1.1}, r"momenta in \[0, 1\]"),
        ({"center_momentum": -0.1}, r"momenta in \[0, 1\]"),
        ({"clip": -1.0}, "clip not below 0"),
        ({"local_crops": -1}, "local_crops must be 0 or more"),
    ],
)
def test_settings_that_cannot_work_are_refused(changes, message):
    with pytest.raises(SettingError, match=message):
        DINO.check(DINOSettings(**changes), batch_size=16, num_examples=99, num_classes=None)
