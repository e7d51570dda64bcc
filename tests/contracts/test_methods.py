"""What every method of the catalogue must do; a new one is tested from the moment it is listed."""

import dataclasses
import io
import itertools
import math

import pytest
import torch
from tests.tiny import tiny_encoder, view_batch

from vireo.data.views.draws import check_recipe
from vireo.devices import Compute
from vireo.errors import SettingError
from vireo.methods import METHODS, find_method
from vireo.methods.building import build_method, method_settings
from vireo.methods.cards import CARDS
from vireo.methods.method import Method, Progress
from vireo.pretrain.loop import train_step
from vireo.pretrain.optimizers import Optimizer, check_optimizer
from vireo.records import OptimizerSettings

BATCH, CLASSES, STEPS_PER_EPOCH = 8, 3, 4
# Sizes of queues, heads and splits that a batch of eight can do with, where a method has them.
SMALL = {
    "queue_size": 16,
    "queue_start": 0,
    "bn_splits": 2,
    "prototypes": 12,
    "hidden_size": 16,
    "dimension": 16,
    "num_negatives": 32,
}
CPU = Compute(device="cpu", precision="float32", threads=1, reason="test")
BATCH_NORM = ("running_mean", "running_var", "num_batches_tracked")


@pytest.fixture(params=sorted(METHODS))
def kind(request):
    return find_method(request.param)


def test_every_method_has_its_card():
    assert list(CARDS) == list(METHODS)
    assert all(card.paper.startswith("https://arxiv.org/abs/") for card in CARDS.values())


def build(kind: type[Method], seed: int = 0) -> Method:
    fields = {field.name for field in dataclasses.fields(kind.Settings)}
    settings = method_settings(kind, 8, {k: v for k, v in SMALL.items() if k in fields})
    method = build_method(
        kind, tiny_encoder(seed=seed), settings, num_examples=999, num_classes=CLASSES, seed=seed
    ).train()
    if method.needs_first_pass:
        for step in range(STEPS_PER_EPOCH):
            method.first_pass(batch_for(method, step))
        method.before_step(now(0))
    return method


def batch_for(method: Method, seed: int = 0):
    """Noise in the shape that the method's own recipe asks for."""
    sides = itertools.groupby(method.views.views, key=lambda view: view.side)
    groups = tuple((sum(view.count for view in views), side) for side, views in sides)
    patches = None if method.views.jigsaw is None else method.views.jigsaw.side
    batch = view_batch(BATCH, groups, classes=CLASSES, patches=patches, seed=seed)
    index = batch.index + seed % STEPS_PER_EPOCH * BATCH  # other images in every step of an epoch
    return dataclasses.replace(batch, index=index)


def now(step: int, num_steps: int = 40) -> Progress:
    return Progress(
        step=step,
        num_steps=num_steps,
        epoch=step // STEPS_PER_EPOCH,
        num_epochs=num_steps // STEPS_PER_EPOCH,
        digest="run",
    )


def same(first: dict, second: dict) -> bool:
    return first.keys() == second.keys() and all(
        torch.equal(value, second[name]) for name, value in first.items()
    )


def test_the_loss_is_a_finite_float32_scalar_with_detached_terms(kind):
    method = build(kind)
    losses = method(batch_for(method))
    assert losses.total.shape == ()
    assert losses.total.dtype == torch.float32
    assert torch.isfinite(losses.total)
    assert losses.features.shape == (BATCH, 8)
    for tensor in (losses.features, *losses.terms.values(), *losses.pending.values()):
        assert not tensor.requires_grad
        assert torch.isfinite(tensor).all()


def test_gradients_reach_all_of_the_encoder_and_no_copy_of_it(kind):
    method = build(kind)
    method(batch_for(method)).total.backward()
    for name, parameter in method.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None, name
        else:
            assert parameter.grad is None, name
    for name, parameter in method.encoder.named_parameters():
        assert parameter.requires_grad, name
        assert parameter.grad.abs().sum() > 0, name


def test_forward_changes_no_state_but_batch_norm_statistics(kind):
    method = build(kind)
    batch = batch_for(method)
    method.before_step(now(0))
    before = {name: value.clone() for name, value in method.state_dict().items()}
    first, second = method(batch), method(batch)
    changed = [
        name for name, value in method.state_dict().items() if not torch.equal(value, before[name])
    ]
    assert changed, "batch norm is in training mode"
    assert all(name.endswith(BATCH_NORM) for name in changed)
    assert torch.equal(first.total, second.total)


def test_state_resumes_bit_for_bit(kind):
    settings = OptimizerSettings(learning_rate=0.05, weight_decay=1e-4)
    method = build(kind)
    optimizer = Optimizer(method, settings)
    for step in range(6):
        train_step(method, optimizer, batch_for(method, step), now(step), compute=CPU)
    file = io.BytesIO()
    torch.save({"method": method.state_dict(), "optimizer": optimizer.state_dict()}, file)
    file.seek(0)
    state = torch.load(file, weights_only=True)
    other = build(kind, seed=1)
    resumed = Optimizer(other, settings)
    assert not same(method.state_dict(), other.state_dict())
    other.load_state_dict(state["method"])
    resumed.load_state_dict(state["optimizer"])
    for step in range(6, 9):
        batch = batch_for(method, step)
        first = train_step(method, optimizer, batch, now(step), compute=CPU)
        second = train_step(other, resumed, batch, now(step), compute=CPU)
        assert torch.equal(first.total, second.total)
    assert same(method.state_dict(), other.state_dict())


def test_every_buffer_is_saved_but_the_normalisation_that_the_card_holds(kind):
    method = build(kind)
    lost = {name for name, _ in method.named_buffers()} - set(method.state_dict())
    assert all(name.rpartition(".")[2] in ("mean", "std") for name in lost)


def test_twenty_steps_on_one_batch_reduce_the_loss(kind):
    """With the queue frozen: on fresh batches a faithful MoCo's loss rises first."""
    method = build(kind)
    rate = min(0.1, 1 / method.no_information)  # a loss of tens has gradients of tens
    optimizer = Optimizer(method, OptimizerSettings(learning_rate=rate, weight_decay=0.0))
    batch, values = batch_for(method), []
    for step in range(20):
        method.before_step(now(step))
        losses = method(batch)
        values.append(losses.total.item())
        optimizer.zero_grad()
        losses.total.backward()
        method.after_backward(now(step))
        optimizer.step(rate)
    assert values[-1] < values[0] - 0.05


def test_bfloat16_autocast_changes_the_loss_little(kind):
    method, batch = build(kind), None
    batch = batch_for(method)
    exact = method(batch).total
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rough = method(batch).total
    assert rough.dtype == torch.float32
    assert rough.item() == pytest.approx(exact.item(), rel=0.05)


def test_the_papers_settings_work_at_the_papers_scale(kind):
    settings = kind.Settings()
    assert settings.image_size == 224
    assert dataclasses.fields(settings)
    with pytest.raises(dataclasses.FrozenInstanceError):
        settings.image_size = 32
    kind.check(settings, batch_size=256, num_examples=1281167, num_classes=1000)
    for batch_size in (64, 256, 4096):
        optimizer = kind.published_optimizer(batch_size)
        check_optimizer(optimizer, epochs=200)
    rates = [kind.published_optimizer(size).learning_rate for size in (64, 256, 4096)]
    assert rates == sorted(rates)


def test_networks_without_width_are_refused(kind):
    fields = {field.name for field in dataclasses.fields(kind.Settings)}
    for name, value in (("dimension", 0), ("hidden_size", -1), ("prototypes", 1)):
        if name in fields:
            options = {k: v for k, v in SMALL.items() if k in fields} | {name: value}
            settings = method_settings(kind, 8, options)
            with pytest.raises(SettingError, match=f"{name} must be at least"):
                kind.check(settings, batch_size=BATCH, num_examples=999, num_classes=CLASSES)


def test_views_and_the_level_of_no_information_are_declared(kind):
    method = build(kind)
    check_recipe(method.views)
    assert method.views.views[0].side == 8
    assert (method.views.mean, method.views.std) == (
        method.encoder.card.mean,
        method.encoder.card.std,
    )
    assert math.isfinite(method.no_information)
    assert method.no_information > 0
