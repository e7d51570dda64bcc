"""What every architecture in the catalogue keeps to, with random weights and small images."""

import functools
import subprocess
import sys

import pytest
import torch

from vireo.encoders import ARCHITECTURES, build, weights_digest
from vireo.encoders.measure import measure
from vireo.encoders.opening import make_network
from vireo.errors import SettingError

# In full: the first architecture of every builder, and what is used most. The rest of the catalogue
# shares their code, and is run on the meta device, where size costs nothing.
FIRST = {path: name for name, path in reversed(ARCHITECTURES.items())}.values()
FULL = {
    **dict.fromkeys([*FIRST, "resnet50"], (32, 32)),
    "timm:convnext_atto": (64, 64),
    "timm:vit_tiny_patch16_224": (64, 64),
}
SHAPES_ONLY = [
    *sorted(set(ARCHITECTURES) - set(FULL)),
    "torchvision:resnet34",
    "timm:swin_tiny_patch4_window7_224",
    "timm:regnety_002",
    "timm:gmlp_ti16_224",
]


@functools.cache
def frozen(name):
    return build(name, seed=3, input_size=FULL[name]).freeze()


@pytest.fixture(params=sorted(FULL))
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
    for a, b in [(together.pooled, alone.pooled), (together.maps[-1], alone.maps[-1])]:
        torch.testing.assert_close(a[1:], b, rtol=1e-4, atol=1e-4 * float(b.std()))
        assert not torch.equal(a[0], a[1])


def test_the_catalogue_is_listed_without_torch():
    code = "import vireo.encoders as e, sys; assert e.ARCHITECTURES and 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_odd_sizes_work(encoder):
    features = encoder(encoder.normalise(pixels(encoder, batch=1, size=(75, 50))), maps=True)
    assert features.pooled.shape == (1, encoder.card.features)
    assert all(tap.shape[2] > tap.shape[3] for tap in features.maps)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("timm:swin_tiny_patch4_window7_224", "divisible by patch size"),
        ("timm:gmlp_ti16_224", "it takes 224 x 224 only"),
    ],
)
def test_a_size_that_a_network_cannot_take_is_said(name, reason):
    with pytest.raises(SettingError, match=f"75 x 50 pixels: .*{reason}"):
        shapes(name).backbone(torch.empty(1, 3, 75, 50, device="meta"), True)


@pytest.mark.parametrize("name", ["resnet20", "resnet18", "mobilenet_v2", "timm:convnext_atto"])
def test_weights_follow_from_architecture_and_seed_alone(name):
    torch.manual_seed(11)
    expected = torch.rand(3)
    torch.manual_seed(11)
    again = build(name, seed=3, input_size=FULL[name])
    torch.testing.assert_close(torch.rand(3), expected)
    assert again.card == frozen(name).card
    assert build(name, seed=4).card.weights != again.card.weights


@pytest.mark.parametrize("name", ["resnet20", "resnet18-small", "mobilenet_v2"])
def test_every_weight_of_a_backbone_learns_from_the_pooled_feature(name):
    encoder = build(name)
    encoder(torch.rand(2, 3, 32, 32)).pooled.square().sum().backward()
    assert [key for key, p in encoder.named_parameters() if p.grad is None] == []


@functools.cache
def shapes(name):
    with torch.device("meta"):
        return make_network(name)


@pytest.mark.parametrize("name", SHAPES_ONLY)
def test_the_rest_of_the_catalogue_gives_a_feature_and_five_maps(name):
    network = shapes(name)
    images = torch.empty(1, 3, *network.input_size, device="meta")
    features = network.backbone.eval()(images, True)
    measured = measure(network.backbone, network.input_size)
    assert features.pooled.shape == (1, measured.features)
    assert [tap.shape[1] for tap in features.maps] == list(measured.channels)
    assert list(measured.strides) == sorted(measured.strides)
    assert network.backbone(images, False).pooled.shape == features.pooled.shape


@pytest.mark.parametrize(
    ("name", "strides", "channels"),
    [
        ("resnet50", (2, 4, 8, 16, 32), (64, 256, 512, 1024, 2048)),
        ("wide_resnet101_2", (2, 4, 8, 16, 32), (64, 256, 512, 1024, 2048)),
        ("mobilenet_v2", (2, 4, 8, 16, 32), (16, 24, 32, 96, 320)),
        ("resnet18-small", (1, 1, 2, 4, 8), (64, 64, 128, 256, 512)),
        ("resnet56", (1, 1, 2, 4, 4), (16, 16, 32, 64, 64)),
        ("timm:regnety_002", (2, 4, 8, 16, 32), (32, 24, 56, 152, 368)),
        ("timm:convnext_atto", (4, 8, 16, 32, 32), (40, 80, 160, 320, 320)),
        ("timm:swin_tiny_patch4_window7_224", (4, 8, 16, 32, 32), (96, 192, 384, 768, 768)),
        ("timm:vit_tiny_patch16_224", (16,) * 5, (192,) * 5),
    ],
)
def test_taps_are_where_the_architecture_has_its_stages(name, strides, channels):
    network = shapes(name)
    measured = measure(network.backbone, network.input_size)
    assert (measured.strides, measured.channels) == (strides, channels)
