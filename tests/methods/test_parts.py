"""The shared parts: split batch norm against separate layers, Sinkhorn against loops."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.oracles import losses as oracle
from tests.tiny import tiny_encoder
from torch import nn
from torchvision.models.resnet import BasicBlock, Bottleneck, ResNet

from vireo.data.views.published import two_crops
from vireo.data.views.recipe import GaussianBlur
from vireo.encoders.cifar_resnet import Block
from vireo.errors import SettingError
from vireo.methods.parts import (
    Queue,
    SplitBatchNorm2d,
    batch_norm_mlp,
    follow,
    full_precision,
    momentum_copy,
    off_diagonal,
    sinkhorn,
    split_batch_norm,
    unit,
    without_blur,
    zero_residuals,
)
from vireo.methods.processes import gather


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("affine", [True, False])
def test_split_batch_norm_is_one_layer_a_part_with_averaged_statistics(memory_format, affine):
    draw = torch.Generator().manual_seed(0)
    x = torch.randn(12, 3, 4, 5, generator=draw).to(memory_format=memory_format)
    plain = [nn.BatchNorm2d(3, momentum=0.3, affine=affine) for _ in range(4)]
    split = SplitBatchNorm2d(plain[0], 4)
    plain[0] = nn.BatchNorm2d(3, momentum=0.3, affine=affine)
    if affine:
        for layer in (*plain, split):
            layer.weight.data = torch.tensor([0.5, 1.0, 2.0])
            layer.bias.data = torch.tensor([0.0, -1.0, 1.0])
    for _ in range(2):
        out = split(x)
        wanted = [layer(x[3 * s : 3 * s + 3]) for s, layer in enumerate(plain)]
        torch.testing.assert_close(out, torch.cat(wanted))
    mean = torch.stack([layer.running_mean for layer in plain]).mean(0)
    var = torch.stack([layer.running_var for layer in plain]).mean(0)
    torch.testing.assert_close(split.running_mean, mean)
    torch.testing.assert_close(split.running_var, var)
    assert int(split.num_batches_tracked) == 2
    plain[0].running_mean, plain[0].running_var = mean, var
    torch.testing.assert_close(split.eval()(x), plain[0].eval()(x))


def test_a_split_network_has_the_state_of_a_plain_one():
    plain, split = tiny_encoder(), tiny_encoder()
    split_batch_norm(split, 2)
    assert isinstance(split.backbone.bn1, SplitBatchNorm2d)
    plain.load_state_dict(split.state_dict(), strict=True)
    x = torch.randn(4, 3, 8, 8)
    assert torch.equal(plain.eval()(x).pooled, split.eval()(x).pooled)


def test_batch_norms_that_cannot_be_split_are_refused():
    with pytest.raises(SettingError, match=r"layer '0' is a BatchNorm1d\. Set bn_splits = 1"):
        split_batch_norm(nn.Sequential(nn.BatchNorm1d(3)), 2)


def test_a_twin_averages_parameters_and_keeps_its_own_buffers():
    online = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    twin = momentum_copy(online)
    start = [p.clone() for p in twin.parameters()]
    for p in online.parameters():
        p.data += 1.0
    online[1].running_mean += 5.0
    follow(twin, online, 0.75)
    for before, p in zip(start, twin.parameters(), strict=True):
        torch.testing.assert_close(p, before + 0.25)
        assert not p.requires_grad
    assert torch.equal(twin[1].running_mean, torch.zeros(3))


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 6), st.integers(2, 5), st.integers(1, 4), st.integers(0, 10**6))
def test_sinkhorn_equals_the_double_loop(n, K, iterations, seed):
    scores = np.random.default_rng(seed).uniform(-1, 1, (n, K))
    got = sinkhorn(torch.from_numpy(scores), 0.05, iterations).numpy()
    np.testing.assert_allclose(got, oracle.sinkhorn(scores, 0.05, iterations), rtol=1e-10)


def test_sinkhorn_balances_rows_and_columns():
    scores = torch.rand(64, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1
    Q = sinkhorn(scores, 0.05, 100)
    torch.testing.assert_close(Q.sum(1), torch.ones(64))
    torch.testing.assert_close(Q.sum(0), torch.full((8,), 8.0), rtol=1e-3, atol=0)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_sinkhorn_does_not_overflow_in_any_autocast(dtype):
    """exp(1 / 0.05) is 4.9e8, beyond half precision."""
    scores = torch.full((8, 4), -1.0)
    scores[torch.arange(8), torch.arange(8) % 4] = 1.0
    with torch.autocast("cpu", dtype=torch.bfloat16):
        Q = sinkhorn(scores.to(dtype), 0.05, 3)
    assert Q.dtype == torch.float32
    torch.testing.assert_close(Q, (scores > 0).float(), atol=1e-6, rtol=0)


def test_full_precision_leaves_autocast():
    a = torch.rand(4, 4)
    with torch.autocast("cpu", dtype=torch.bfloat16), full_precision(a.device):
        assert (a @ a).dtype == torch.float32


def test_unit_widens_half_precision_and_keeps_double():
    assert unit(torch.ones(2, 3, dtype=torch.bfloat16)).dtype == torch.float32
    assert unit(torch.ones(2, 3, dtype=torch.float64)).dtype == torch.float64


def test_a_queue_is_all_in_the_state():
    queue, other = Queue(3, 4), Queue(3, 4)
    queue.push(torch.ones(2, 3))
    other.load_state_dict(queue.state_dict())
    assert torch.equal(other.columns, queue.columns)
    assert int(other.pointer) == 2


@pytest.mark.gpu
def test_a_queue_on_a_gpu_is_that_of_the_cpu_and_does_not_make_the_host_wait():
    cpu, gpu = Queue(3, 4), Queue(3, 4).cuda()
    batches = [torch.randn(2, 3) for _ in range(3)]
    on_gpu = [keys.cuda() for keys in batches]
    for keys in batches:
        cpu.push(keys)
    torch.cuda.set_sync_debug_mode("error")
    try:
        for keys in on_gpu:
            gpu.push(keys)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    # the random columns are all replaced
    assert torch.equal(gpu.columns.cpu(), cpu.columns)
    assert gpu.pointer.cpu() == cpu.pointer


def test_a_queue_refuses_a_batch_that_it_would_cut():
    with pytest.raises(AssertionError, match="batches that divide it"):
        Queue(3, 4).push(torch.ones(3, 3))


def test_without_blur_takes_out_nothing_else():
    recipe = two_crops(224)
    left = without_blur(recipe).views[0].operations
    assert left == tuple(o for o in recipe.views[0].operations if not isinstance(o, GaussianBlur))
    assert len(left) == len(recipe.views[0].operations) - 1


@pytest.mark.parametrize("block", [BasicBlock, Bottleneck])
def test_residual_blocks_begin_as_the_identity_as_in_torchvision(block):
    ours = ResNet(block, [1, 1, 1, 1])
    zero_residuals(ours)
    theirs = dict(ResNet(block, [1, 1, 1, 1], zero_init_residual=True).named_parameters())
    zeroed = [n for n, p in ours.named_parameters() if n.endswith("weight") and not p.any()]
    assert zeroed == [n for n, p in theirs.items() if n.endswith("weight") and not p.any()]
    assert len(zeroed) == 4


def test_residual_blocks_of_small_images_begin_as_the_identity_and_other_networks_are_left():
    block = Block(4, 4, 1)
    zero_residuals(block)
    x = torch.randn(2, 4, 5, 5)
    assert torch.equal(block(x), x.relu())
    plain, left = tiny_encoder(), tiny_encoder()
    zero_residuals(left)
    for p, q in zip(plain.parameters(), left.parameters(), strict=True):
        assert torch.equal(p, q)


def test_off_diagonal_is_all_but_the_diagonal():
    C = torch.arange(16.0).view(4, 4)
    wanted = [float(4 * i + j) for i in range(4) for j in range(4) if i != j]
    assert off_diagonal(C).tolist() == wanted
    assert off_diagonal(torch.ones(1, 1)).numel() == 0


def test_a_head_has_batch_norm_and_no_bias_between_its_layers():
    layers = list(batch_norm_mlp(3, 5, 4, 2, last_bias=True))
    assert [type(layer).__name__ for layer in layers] == [
        *("Linear", "BatchNorm1d", "ReLU") * 2,
        "Linear",
    ]
    shapes = [(layer.in_features, layer.out_features) for layer in layers[::3]]
    assert shapes == [(3, 5), (5, 4), (4, 2)]
    assert [layer.bias is None for layer in layers[::3]] == [True, True, False]
    assert batch_norm_mlp(3, 2)[0].bias is None


def test_alone_a_process_gathers_what_it_has():
    x = torch.ones(2, 3)
    assert gather(x) is x


TWO_PROCESSES = """
import sys, torch
from torch import distributed
from vireo.methods.processes import gather
folder, rank = sys.argv[1], int(sys.argv[2])
torch.set_num_threads(1)
distributed.init_process_group(
    "gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
x, w = torch.load(f"{folder}/in.pt")
mine = x.chunk(2)[rank].clone().requires_grad_()
whole = gather(mine)
(whole.square().T @ w).sin().sum().backward()
torch.save((whole.detach(), mine.grad), f"{folder}/out-{rank}.pt")
distributed.barrier()
distributed.destroy_process_group()
"""


@pytest.mark.slow
def test_two_processes_gather_all_rows_and_the_mean_of_their_gradients_is_that_of_one(tmp_path):
    x, w = torch.randn(6, 3, dtype=torch.float64), torch.randn(6, 2, dtype=torch.float64)
    torch.save((x, w), tmp_path / "in.pt")
    command = [sys.executable, "-W", "ignore", "-c", TWO_PROCESSES, str(tmp_path)]
    started = [subprocess.Popen([*command, str(rank)]) for rank in range(2)]
    assert [process.wait(timeout=120) for process in started] == [0, 0]
    parts = [torch.load(tmp_path / f"out-{rank}.pt") for rank in range(2)]
    alone = x.clone().requires_grad_()
    (alone.square().T @ w).sin().sum().backward()
    for whole, _ in parts:
        assert torch.equal(whole, x)
    # each process's rows have the gradient of both processes' losses, which DDP divides by two
    torch.testing.assert_close(torch.cat([grad for _, grad in parts]) / 2, alone.grad)
