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
from vireo.tasks.heads import (
    DeepLabV3Plus,
    FusionHead,
    LinearHead,
    SiameseUNet,
    UNet,
    initialised,
    takes,
)

DENSE = [UNet, SiameseUNet, DeepLabV3Plus]


def built(kind, card, outputs, seed=1, frames=3):
    """A head with its own number of frames, or with `frames` where any will do."""
    return initialised(kind, card, outputs, seed, frames=kind.num_frames or frames)


def example(kind, card, **shape) -> tuple[Features, ...]:
    """Features of as many different frames as the head reads."""
    return tuple(features_of(card, seed=seed, **shape) for seed in range(kind.num_frames or 3))


def count(kind, card, outputs, frames=1):
    with torch.device("meta"):
        return sum(p.numel() for p in kind(card, outputs, frames).parameters())


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
    head = built(kind, card, 3)
    out = head(example(kind, card, size=size), size)
    assert out.shape == (2, 3, *size)
    out.square().mean().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in head.parameters())


@pytest.mark.parametrize("kind", DENSE)
def test_only_the_named_taps_are_read(kind, card):
    head = built(kind, card, 2).eval()
    whole = example(kind, card)
    assert head(whole, (64, 48)).isfinite().all()
    torch.testing.assert_close(
        head(whole, (64, 48)), head(tuple(only(kind.taps(card), f) for f in whole), (64, 48))
    )


def only(taps, features):
    """Features without the maps that are not named."""
    nothing = torch.empty(0, 1, 1, 1)
    maps = tuple(m if tap in taps else nothing for tap, m in enumerate(features.maps))
    return Features(features.pooled, maps)


def test_linear_of_resnet50_has_the_published_size(resnet50):
    assert count(LinearHead, resnet50, 1000) == 2048 * 1000 + 1000 == 2_049_000


def test_fusion_of_resnet50_has_the_published_size(resnet50):
    of_a_frame = 2048 * 512 + 512
    assert count(FusionHead, resnet50, 400, 6) == 6 * of_a_frame + (3072 * 400 + 400) == 7_523_728
    assert count(FusionHead, resnet50, 5, 2) == 2 * of_a_frame + (1024 * 5 + 5) == 2_103_301


def test_unet_of_resnet50_has_the_published_widths(resnet50):
    widths = [2048, 1024, 512, 256, 64, 1]
    expected = sum(9 * a * 4 * b + 4 * b for a, b in pairwise(widths))
    assert count(UNet, resnet50, 1) == expected == 99_689_988


def test_siamese_unet_of_resnet50_joins_the_published_widths(resnet50):
    """The U-Net of two outputs, whose last step has 9 x 64 x 8 + 8 numbers, and a join a tap."""
    joins = sum(2 * width * width + width for width in (64, 256, 512, 1024, 2048))
    unet = 99_689_988 - (9 * 64 * 4 + 4) + (9 * 64 * 8 + 8)
    assert count(SiameseUNet, resnet50, 2, 2) == unet + joins == 110_845_512


def test_deeplab_of_resnet50_has_the_published_widths(resnet50):
    with torch.device("meta"):
        head = DeepLabV3Plus(resnet50, 21)
    norm = 2 * 256
    pyramid = 2048 * 256 + norm + 3 * (9 * 2048 * 256 + norm) + 2048 * 256 + norm
    rest = 5 * 256 * 256 + norm + 2 * (9 * 256 * 256 + norm) + 256 * 21 + 21
    assert sum(p.numel() for p in head.parameters()) == pyramid + rest == 16_721_173
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


def walk_up(head, maps):
    """The U-Net on maps that have its channels."""
    x = maps[4]
    for level in (4, 3, 2, 1):
        conv = head.steps[level].conv
        x = shuffle(F.conv2d(x, conv.weight, conv.bias, padding=1), 2)
        x = torch.where(x > 0, x, 0.01 * x) + maps[level - 1]
    conv = head.steps[0].conv
    return shuffle(F.conv2d(x, conv.weight, conv.bias, padding=1), 2)


def test_unet_equals_a_naive_walk_up_the_maps(pyramid):
    head = built(UNet, pyramid, 2)
    features = features_of(pyramid, size=(64, 64))
    torch.testing.assert_close(head((features,), (64, 64)), walk_up(head, features.maps))


def test_siamese_unet_equals_a_naive_walk_up_the_joined_maps(pyramid):
    """At each pixel of each tap: W_1 a + W_2 b + bias, the halves of the 1x1 convolution."""
    head = built(SiameseUNet, pyramid, 2)
    first, second = example(SiameseUNet, pyramid, size=(64, 64))
    joined = []
    for join, a, b in zip(head.joins, first.maps, second.maps, strict=True):
        one, two = join.weight[:, :, 0, 0].split(a.shape[1], dim=1)
        mixed = torch.einsum("oc,bchw->bohw", one, a) + torch.einsum("oc,bchw->bohw", two, b)
        joined.append(mixed + join.bias.view(-1, 1, 1))
    answer = head((first, second), (64, 64))
    torch.testing.assert_close(answer, walk_up(head, joined))
    assert not torch.allclose(answer, head((second, first), (64, 64)))


def test_fusion_equals_loops_over_frames_and_units(pyramid):
    head = built(FusionHead, pyramid, 4)
    frames = example(FusionHead, pyramid)
    answer = head(frames, (1, 1))
    assert head.width == 512
    for row in range(2):
        found = []
        for module, features in zip(head.modules_of_frames, frames, strict=True):
            for unit in range(512):
                z = module.weight[unit].double() @ features.pooled[row].double()
                found.append(max(0.0, (z + module.bias[unit]).item()))
        joined = torch.tensor(found, dtype=torch.float64)
        expected = head.fusion.weight.double() @ joined + head.fusion.bias
        torch.testing.assert_close(answer[row].double(), expected, rtol=1e-5, atol=1e-5)
    answer.square().sum().backward()
    assert all(p.grad.abs().sum() > 0 for p in head.parameters())


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        (LinearHead, [1], [0, 2]),
        (UNet, [1], [2]),
        (DeepLabV3Plus, [1], [2]),
        (SiameseUNet, [2], [1, 3]),
        (FusionHead, [2, 6], [0, 1]),
    ],
)
def test_each_head_says_how_many_frames_it_reads(kind, good, bad, pyramid):
    for frames in good:
        assert takes(kind, frames)
        assert initialised(kind, pyramid, 2, 0, frames=frames).dense == kind.dense
    for frames in bad:
        assert not takes(kind, frames)
        with pytest.raises(AssertionError, match=f"cannot take {frames} frames"):
            kind(pyramid, 2, frames)


def norm_relu(x, block):
    norm = block[1]
    x = (x - norm.running_mean.view(-1, 1, 1)) / (norm.running_var.view(-1, 1, 1) + norm.eps).sqrt()
    return (x * norm.weight.view(-1, 1, 1) + norm.bias.view(-1, 1, 1)).clamp(min=0)


def test_deeplab_equals_a_naive_derivation(pyramid):
    head = built(DeepLabV3Plus, pyramid, 2).eval()
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
    head = built(kind, card, 2).eval()
    draw, native, levels = torch.Generator().manual_seed(0), [], []
    for _ in range(kind.num_frames):
        blocks = [torch.randn(2, 12, *map_size(size, 16), generator=draw) for _ in range(5)]
        sized = [resample(b, map_size(size, s)) for b, s in zip(blocks, card.strides, strict=True)]
        assert sized[0].shape[-2:] == map_size(size, 2)
        native.append(Features(torch.empty(2, 12), tuple(blocks)))
        levels.append(Features(torch.empty(2, 12), tuple(sized)))
    torch.testing.assert_close(head(tuple(native), size), head(tuple(levels), size))


def test_unet_of_a_vit_is_capped_at_256_and_halves_upward(pyramid):
    with torch.device("meta"):
        head = UNet(dataclasses.replace(pyramid, channels=(768,) * 5), 1)
    assert [lateral.out_channels for lateral in head.laterals] == [16, 32, 64, 128, 256]
    steps = [(step.conv.in_channels, step.conv.out_channels, step.factor) for step in head.steps]
    assert steps == [(16, 4, 2), (32, 64, 2), (64, 128, 2), (128, 256, 2), (256, 512, 2)]
    assert sum(p.numel() for p in head.parameters()) < 86_000_000 / 20  # of ViT-B
    with torch.device("meta"):
        pair = SiameseUNet(dataclasses.replace(pyramid, channels=(768,) * 5), 2, 2)
    assert [join.in_channels for join in pair.joins] == [1536] * 5
    assert [join.out_channels for join in pair.joins] == [16, 32, 64, 128, 256]


def test_linear_is_one_affine_map(pyramid):
    head = built(LinearHead, pyramid, 3)
    features = features_of(pyramid)
    expected = features.pooled @ head.layer.weight.T + head.layer.bias
    torch.testing.assert_close(head((features,), (1, 1)), expected)


@pytest.mark.parametrize("name", sorted(HEADS))
def test_weights_depend_on_the_seed_alone(name, card):
    kind = resolve(HEADS, name, "head")
    before = torch.random.get_rng_state()
    first, again, other = (built(kind, card, 2, seed) for seed in (5, 5, 6))
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
