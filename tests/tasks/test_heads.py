"""Heads against naive re-derivations, published parameter counts and every shape of encoder."""

import dataclasses
from itertools import pairwise

import pytest
import torch
from torch.nn import functional as F

from vireo.catalog import resolve
from vireo.encoders.encoder import Features
from vireo.tasks import HEADS
from vireo.tasks.geometry import map_size, resample, resize
from vireo.tasks.heads import DeepLabV3Plus, LinearHead, UNet, initialised

DENSE = [UNet, DeepLabV3Plus]


def features_of(card, batch=2, size=(64, 48), seed=0) -> Features:
    draw = torch.Generator().manual_seed(seed)
    maps = tuple(
        torch.randn(batch, channels, *map_size(size, stride), generator=draw)
        for channels, stride in zip(card.channels, card.strides, strict=True)
    )
    return Features(torch.randn(batch, card.features, generator=draw), maps)


@pytest.mark.parametrize("kind", DENSE)
@pytest.mark.parametrize("size", [(64, 48), (33, 65)])
def test_dense_heads_answer_every_pixel_and_train_every_weight(kind, card, size):
    head = initialised(kind, card, 3, seed=1)
    out = head((features_of(card, size=size),), size)
    assert out.shape == (2, 3, *size)
    out.square().mean().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in head.parameters())


@pytest.mark.parametrize("kind", DENSE)
def test_only_the_named_taps_are_read(kind, card):
    head = initialised(kind, card, 2, seed=1).eval()
    whole = features_of(card)
    named = kind.taps(card)
    maps = tuple(m if i in named else torch.empty(0, 1, 1, 1) for i, m in enumerate(whole.maps))
    torch.testing.assert_close(
        head((whole,), (64, 48)), head((Features(whole.pooled, maps),), (64, 48))
    )


def test_unet_of_resnet50_has_the_published_widths(resnet50):
    with torch.device("meta"):
        head = UNet(resnet50, 1)
    widths = [2048, 1024, 512, 256, 64, 1]
    expected = sum(9 * a * 4 * b + 4 * b for a, b in pairwise(widths))
    assert sum(p.numel() for p in head.parameters()) == expected == 99_689_988


def test_deeplab_of_resnet50_has_the_published_widths(resnet50):
    with torch.device("meta"):
        head = DeepLabV3Plus(resnet50, 21)
    norm = 2 * 256
    pyramid = 2048 * 256 + norm + 3 * (9 * 2048 * 256 + norm) + 2048 * 256 + norm
    rest = 5 * 256 * 256 + norm + 2 * (9 * 256 * 256 + norm) + 256 * 21 + 21
    assert sum(p.numel() for p in head.parameters()) == pyramid + rest
    assert head.detail_tap == 1
    assert [m.dilation for m in head.modules() if getattr(m, "kernel_size", 0) == (3, 3)] == [
        (3, 3),
        (6, 6),
        (9, 9),
        (1, 1),
        (1, 1),
    ]


def shuffle(x, factor):
    """Pixel shuffle, one output pixel at a time."""
    batch, channels, height, width = x.shape
    out = torch.zeros(batch, channels // factor**2, height * factor, width * factor)
    for c in range(out.shape[1]):
        for i in range(out.shape[2]):
            for j in range(out.shape[3]):
                source = c * factor**2 + (i % factor) * factor + j % factor
                out[:, c, i, j] = x[:, source, i // factor, j // factor]
    return out


def test_unet_equals_a_naive_walk_up_the_maps(pyramid):
    head = initialised(UNet, pyramid, 2, seed=3)
    features = features_of(pyramid, size=(64, 64))
    x = features.maps[4]
    for level in (4, 3, 2, 1):
        conv = head.steps[level].conv
        x = shuffle(F.conv2d(x, conv.weight, conv.bias, padding=1), 2)
        x = torch.where(x > 0, x, 0.01 * x) + features.maps[level - 1]
    conv = head.steps[0].conv
    expected = shuffle(F.conv2d(x, conv.weight, conv.bias, padding=1), 2)
    torch.testing.assert_close(head((features,), (64, 64)), expected)


def norm_relu(x, block):
    norm = block[1]
    x = (x - norm.running_mean.view(-1, 1, 1)) / (norm.running_var.view(-1, 1, 1) + norm.eps).sqrt()
    return (x * norm.weight.view(-1, 1, 1) + norm.bias.view(-1, 1, 1)).clamp(min=0)


def test_deeplab_equals_a_naive_derivation(pyramid):
    head = initialised(DeepLabV3Plus, pyramid, 2, seed=3).eval()
    for module in head.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.uniform_(-1, 1)
            module.running_var.uniform_(0.5, 2)
    features = features_of(pyramid, size=(128, 128))
    deep = features.maps[4]
    views = [norm_relu(F.conv2d(deep, head.branches[0][0].weight), head.branches[0])]
    for branch, rate in zip(head.branches[1:], (3, 6, 9), strict=True):
        out = F.conv2d(deep, branch[0].weight, padding=rate, dilation=rate)
        views.append(norm_relu(out, branch))
    mean = norm_relu(
        F.conv2d(deep.mean((2, 3))[..., None, None], head.pooling[0].weight), head.pooling
    )
    views.append(mean.repeat(1, 1, *deep.shape[-2:]))
    x = norm_relu(F.conv2d(torch.cat(views, 1), head.join[0].weight), head.join)
    x = F.interpolate(x, (32, 32), mode="bilinear")
    x = x + F.conv2d(features.maps[1], head.lateral.weight, head.lateral.bias)
    for block in head.decoder:
        x = norm_relu(F.conv2d(x, block[0].weight, padding=1), block)
    x = F.conv2d(x, head.classes.weight, head.classes.bias)
    expected = F.interpolate(x, (128, 128), mode="bilinear")
    torch.testing.assert_close(head((features,), (128, 128)), expected)


@pytest.mark.parametrize("kind", DENSE)
@pytest.mark.parametrize("size", [(64, 64), (75, 50)])
def test_maps_may_come_as_the_network_has_them(kind, size, pyramid):
    """A transformer's five blocks at stride 16, before and after they are resampled to levels."""
    card = dataclasses.replace(pyramid, channels=(12,) * 5)
    head = initialised(kind, card, 2, seed=1).eval()
    draw = torch.Generator().manual_seed(0)
    blocks = [torch.randn(2, 12, *map_size(size, 16), generator=draw) for _ in range(5)]
    levels = [resample(b, map_size(size, s)) for b, s in zip(blocks, card.strides, strict=True)]
    assert levels[0].shape[-2:] == map_size(size, 2)
    pooled = torch.empty(2, 12)
    torch.testing.assert_close(
        head((Features(pooled, tuple(blocks)),), size),
        head((Features(pooled, tuple(levels)),), size),
    )


def test_unet_of_a_vit_is_capped_at_256_and_halves_upward(pyramid):
    with torch.device("meta"):
        head = UNet(dataclasses.replace(pyramid, channels=(768,) * 5), 1)
    assert [lateral.out_channels for lateral in head.laterals] == [16, 32, 64, 128, 256]
    steps = [(step.conv.in_channels, step.conv.out_channels, step.factor) for step in head.steps]
    assert steps == [(16, 4, 2), (32, 64, 2), (64, 128, 2), (128, 256, 2), (256, 512, 2)]
    assert sum(p.numel() for p in head.parameters()) < 86_000_000 / 20  # of ViT-B


def test_linear_is_one_affine_map(pyramid):
    head = initialised(LinearHead, pyramid, 3, seed=0)
    features = features_of(pyramid)
    expected = features.pooled @ head.layer.weight.T + head.layer.bias
    torch.testing.assert_close(head((features,), (1, 1)), expected)


@pytest.mark.parametrize("name", sorted(HEADS))
def test_weights_depend_on_the_seed_alone(name, card):
    kind = resolve(HEADS, name, "head")
    before = torch.random.get_rng_state()
    first, again, other = (initialised(kind, card, 2, seed) for seed in (5, 5, 6))
    torch.testing.assert_close(torch.random.get_rng_state(), before)
    for key, value in first.state_dict().items():
        torch.testing.assert_close(value, again.state_dict()[key], rtol=0, atol=0)
    assert any(
        not torch.equal(value, other.state_dict()[key]) for key, value in first.state_dict().items()
    )


def test_resize_keeps_pixel_centres():
    image = torch.tensor([[[[0.0, 1.0]]]])
    torch.testing.assert_close(resize(image, (1, 4)), torch.tensor([[[[0, 0.25, 0.75, 1.0]]]]))
    assert resize(image, (1, 2)) is image
