"""The bill of a run: operations against a hand count, and sums over the parts of a run."""

import time

import pytest
import torch
from tests.tiny import tiny_encoder
from torch import nn

from vireo.devices import Compute
from vireo.methods import METHODS, find_method
from vireo.methods.building import build_method, method_settings
from vireo.pretrain.cost import Ledger, step_flops

CPU = Compute(device="cpu", precision="float32", threads=1, reason="test")


def build(name, **options):
    kind = find_method(name)
    settings = method_settings(kind, 8, options)
    return build_method(
        kind, tiny_encoder(), settings, num_examples=99, num_classes=3, seed=0
    ).train()


def convolution_flops(method, sides):
    """Twice the multiply-adds of every convolution, from its output's size."""
    total = 0

    def count(module, args, out):
        nonlocal total
        total += 2 * out.numel() * module.weight[0].numel()

    hooks = [m.register_forward_hook(count) for m in method.modules() if isinstance(m, nn.Conv2d)]
    for views, side in sides:
        method.encoder(torch.zeros(views, 3, side, side))
    for hook in hooks:
        hook.remove()
    return total


def encoder_forward(method, batch):
    """Operations of one forward of the encoder, and those of its first convolution among them."""
    forward = convolution_flops(method, [(batch, 8)])
    first = next(m for m in method.modules() if isinstance(m, nn.Conv2d))
    out = first(torch.zeros(batch, 3, 8, 8))
    return forward, 2 * out.numel() * first.weight[0].numel()


def test_supervised_training_is_counted_as_by_hand():
    method, batch = build("supervised"), 4
    forward, first = encoder_forward(method, batch)
    linear = 2 * batch * method.encoder.card.features * 3
    # backward: gradients of weights and of inputs, but none of the images
    assert step_flops(method, batch) == 3 * forward - first + 3 * linear


def test_the_momentum_network_and_the_queue_cost_too():
    method, batch = build("moco-v2", queue_size=16, bn_splits=1, dimension=32), 4
    forward, first = encoder_forward(method, batch)
    d = method.encoder.card.features
    projector = 2 * batch * (d * d + d * 32)
    queue = 2 * batch * 32 * 16
    query = 3 * forward - first + 3 * projector + 2 * queue  # no gradient of the queue
    assert step_flops(method, batch) == query + forward + projector


@pytest.mark.parametrize("name", sorted(METHODS))
def test_every_method_can_be_counted(name):
    assert step_flops(build(name), 8) > 0


def test_a_method_that_looks_at_its_numbers_is_not_counted():
    method = build("supervised")
    method.encoder.backbone.register_forward_hook(lambda module, args, out: out.pooled[0, 0].item())
    assert step_flops(method, 4) is None


def test_counting_changes_nothing_and_copies_no_numbers():
    method = build("moco-v2", queue_size=8, bn_splits=1)
    before = {name: tensor.clone() for name, tensor in method.state_dict().items()}
    step_flops(method, 4)
    assert all(torch.equal(tensor, before[name]) for name, tensor in method.state_dict().items())
    assert all(parameter.grad is None for parameter in method.parameters())


def test_parts_of_a_run_add_up():
    first = Ledger(CPU)
    spend(0.05)
    used = first.state_dict()
    second = Ledger(CPU)
    second.load_state_dict(used)
    spend(0.05)
    bill = second.bill(images=100, flops=5)
    assert bill.seconds > used["seconds"] >= 0.05
    assert bill.seconds >= 0.1
    assert bill.cpu_seconds > used["cpu_seconds"] > 0
    assert bill.images_per_second == pytest.approx(100 / bill.seconds)
    assert (bill.gpu_seconds, bill.flops, bill.device) == (0.0, 5, "cpu")
    assert bill.peak_memory_bytes > 1 << 20


def spend(seconds):
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass
