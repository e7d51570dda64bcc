"""What every architecture in the catalogue keeps to, with random weights and small images."""

import functools

import pytest
import torch
from torch import nn

from vireo.encoders import ARCHITECTURES, build, weights_digest
from vireo.encoders.measure import measure
from vireo.encoders.opening import make_network
from vireo.errors import SettingError

LARGE = {name for name in ARCHITECTURES if "101" in name or "152" in name or name == "resnet110"}
TIMM = {
    "timm:convnext_atto": (64, 64),
    "timm:vit_tiny_patch16_224": (64, 64),
    "timm:swin_tiny_patch4_window7_224": (224, 224),
    "timm:mixer_s32_224": (224, 224),
}
SIZES = {**dict.fromkeys(sorted(set(ARCHITECTURES) - LARGE), (64, 64)), **TIMM}


@functools.cache
def frozen(name):
    return build(name, seed=3, input_size=SIZES[name]).freeze()


@pytest.fixture(params=sorted(SIZES))
def encoder(request):
    return frozen(request.param)


def pixels(encoder, batch=2, size=None, seed=0):
    height, width = size or encoder.card.input_size
    draw = torch.Generator().manual_seed(seed)
    return torch.randint(256, (batch, 3, height, width), generator=draw, dtype=torch.uint8)


def test_what_comes_out_is_what_the_card_says(encoder):
    card = encoder.card
    images = encoder.normalise(pixels(encoder, batch=1))
    features = encoder(images, maps=True)
    assert features.pooled.shape == (1, card.features)
    assert [tap.shape[1] for tap in features.maps] == list(card.channels)
    for tap, stride in zip(features.maps, card.strides, strict=True):
        assert tap.shape[2:] == (card.input_size[0] // stride, card.input_size[1] // stride)
    assert list(card.strides) == sorted(card.strides)
    assert card.parameters == sum(p.numel() for p in encoder.backbone.parameters())
    assert card.method == "random"
    assert min(card.std) > 0


def test_maps_are_computed_only_if_asked_and_change_nothing(encoder):
    images = encoder.normalise(pixels(encoder, batch=1))
    alone = encoder(images)
    assert alone.maps == ()
    torch.testing.assert_close(alone.pooled, encoder(images, maps=True).pooled)


def test_a_frozen_encoder_is_not_changed_by_use(encoder):
    before = weights_digest(encoder)
    features = encoder(encoder.normalise(pixels(encoder)), maps=True)
    assert weights_digest(encoder) == before
    assert not any(module.training for module in encoder.modules())
    assert not any(t.requires_grad for t in (features.pooled, *features.maps))


def test_an_image_is_encoded_alike_alone_and_in_a_batch(encoder):
    images = encoder.normalise(pixels(encoder))
    together = encoder(images, maps=True)
    alone = encoder(images[1:], maps=True)
    torch.testing.assert_close(together.pooled[1:], alone.pooled, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(together.maps[-1][1:], alone.maps[-1], rtol=1e-3, atol=1e-4)
    assert not torch.allclose(together.pooled[0], together.pooled[1], rtol=1e-3, atol=1e-4)


def test_other_sizes_work_or_say_why_not(encoder):
    images = encoder.normalise(pixels(encoder, batch=1, size=(75, 50)))
    try:
        features = encoder(images, maps=True)
    except SettingError as error:
        assert "75 x 50" in str(error)
        assert " x ".join(map(str, encoder.card.input_size)) in str(error)
    else:
        assert features.pooled.shape == (1, encoder.card.features)
        heights, widths = zip(*(tap.shape[2:] for tap in features.maps), strict=True)
        assert all(h > w or h == 1 for h, w in zip(heights, widths, strict=True) if w > 2)


def test_only_networks_of_one_size_refuse_others():
    refused = []
    for name in SIZES:
        try:
            frozen(name)(torch.zeros(1, 3, 75, 50))
        except SettingError:
            refused.append(name)
    assert refused == ["timm:mixer_s32_224"]


@pytest.mark.parametrize("name", ["resnet20", "resnet18", "mobilenet_v2", "timm:convnext_atto"])
def test_weights_follow_from_architecture_and_seed_alone(name):
    torch.manual_seed(11)
    expected = torch.rand(3)
    torch.manual_seed(11)
    again = build(name, seed=3, input_size=SIZES[name])
    torch.testing.assert_close(torch.rand(3), expected)
    assert again.card == frozen(name).card
    assert build(name, seed=4).card.weights != again.card.weights


@pytest.mark.parametrize("name", ["resnet20", "resnet18-small", "mobilenet_v2"])
def test_every_weight_of_a_backbone_learns_from_the_pooled_feature(name):
    encoder = build(name)
    encoder(torch.rand(2, 3, 32, 32)).pooled.square().sum().backward()
    assert [key for key, p in encoder.named_parameters() if p.grad is None] == []


@pytest.mark.parametrize("name", sorted(LARGE))
def test_large_networks_give_five_maps(name):
    with torch.device("meta"):
        network = make_network(name)
    measured = measure(network.backbone, (64, 64))
    assert measured.strides == ((1, 1, 2, 4, 4) if name == "resnet110" else (2, 4, 8, 16, 32))
    assert isinstance(network.backbone.network, nn.Module)


def test_taps_of_real_pyramids_are_where_the_card_of_the_paper_has_them():
    assert frozen("resnet50").card.strides == (2, 4, 8, 16, 32)
    assert frozen("resnet50").card.channels == (64, 256, 512, 1024, 2048)
    assert frozen("mobilenet_v2").card.channels == (16, 24, 32, 96, 320)
    assert frozen("resnet18-small").card.strides == (1, 1, 2, 4, 8)
    assert frozen("resnet20").card.strides == (1, 1, 2, 4, 4)
    assert frozen("timm:convnext_atto").card.strides == (4, 8, 16, 32, 32)
    assert frozen("timm:vit_tiny_patch16_224").card.strides == (16,) * 5
    assert frozen("timm:swin_tiny_patch4_window7_224").card.strides == (4, 8, 16, 32, 32)
