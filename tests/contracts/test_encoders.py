"""What every architecture in the catalogue keeps to, with random weights and small images."""

import functools
import math
import subprocess
import sys

import pytest
import torch

from vireo.encoders import ARCHITECTURES, build, weights_digest
from vireo.encoders.encoder import Encoder
from vireo.encoders.measure import measure
from vireo.encoders.opening import make_network
from vireo.encoders.pyramid import LEVELS, map_size
from vireo.errors import SettingError
from vireo.records import EncoderCard

# In full, at a size: the first architecture of every builder, what is used most, and the smallest
# of each kind of network. All others are run on the meta device, where size costs nothing.
FIRST = {path: name for name, path in reversed(ARCHITECTURES.items())}.values()
FULL = {
    **dict.fromkeys([*FIRST, "resnet50", "torchvision:squeezenet1_1"], (32, 32)),
    "timm:convnext_atto": (64, 64),
    "timm:vit_tiny_patch16_224": (64, 64),
    "timm:test_resnet": (64, 64),
    "timm:test_efficientnet": (64, 64),
    "timm:mobilevit_xxs": (64, 64),
    "torchvision:mnasnet0_5": (64, 64),
    "torchvision:shufflenet_v2_x0_5": (64, 64),
}
FAMILIES = [
    # residual, wide, grouped and dense convolutions
    *("torchvision:resnet34", "timm:wide_resnet50_2", "timm:resnext50_32x4d", "timm:regnety_002"),
    *("timm:densenet121", "timm:vgg11_bn"),
    # mobile
    *("timm:mobilenetv1_100", "timm:mobilenetv2_100", "timm:mobilenetv3_small_050"),
    *("timm:mobilenetv4_conv_small", "timm:efficientnet_b0"),
    # convolutions after transformers
    *("timm:convnextv2_atto", "timm:convmixer_1024_20_ks9_p14"),
    # plain transformers: class token, distilled, no class token, attention pooling, patch 14
    *("timm:vit_small_patch16_224", "timm:deit_tiny_distilled_patch16_224"),
    *("timm:beit_base_patch16_224", "timm:vit_base_patch16_siglip_224"),
    *("timm:vit_base_patch16_clip_224", "timm:eva02_tiny_patch14_224"),
    # pyramids of transformers
    *("timm:swin_tiny_patch4_window7_224", "timm:swinv2_tiny_window8_256", "timm:pvt_v2_b0"),
    *("timm:twins_svt_small", "timm:hiera_tiny_224", "timm:pit_ti_224"),
    # convolutions and attention
    *("timm:maxvit_rmlp_pico_rw_256", "timm:coatnet_nano_rw_224", "timm:vit_tiny_r_s16_p8_224"),
    *("timm:levit_128s", "timm:efficientformer_l1"),
    # neither
    "timm:gmlp_ti16_224",
    # torchvision's
    *("torchvision:alexnet", "torchvision:convnext_tiny", "torchvision:swin_t"),
    "torchvision:vit_b_16",
]
SHAPES_ONLY = [*sorted(set(ARCHITECTURES) - set(FULL)), *FAMILIES]
REFUSING = {
    *("timm:beit_base_patch16_224", "timm:swin_tiny_patch4_window7_224"),
    *("timm:swinv2_tiny_window8_256", "timm:twins_svt_small", "timm:hiera_tiny_224"),
    *("timm:pit_ti_224", "timm:maxvit_rmlp_pico_rw_256", "timm:coatnet_nano_rw_224"),
    *("timm:levit_128s", "timm:efficientformer_l1", "timm:gmlp_ti16_224", "torchvision:vit_b_16"),
    "timm:vit_tiny_r_s16_p8_224",
}
# Networks for small images keep their own strides.
SMALL = {name for name, path in ARCHITECTURES.items() if "small_resnet" in path or "cifar" in path}


@functools.cache
def frozen(name):
    return build(name, seed=3, input_size=FULL[name]).freeze()


@functools.cache
def shapes(name):
    """The encoder at its usual size on the meta device: shapes without numbers, so no digest."""
    with torch.device("meta"):
        network = make_network(name)
    card = EncoderCard(
        **vars(measure(network.backbone, network.input_size)),
        **dict.fromkeys(("name", "source", "architecture"), name),
        **{fact: getattr(network, fact) for fact in ("input_size", "mean", "std", "maps")},
        method="random",
        pretraining_set="none",
        weights="",
    )
    return Encoder(card, network.backbone).to("meta").freeze()


@pytest.fixture(params=sorted(FULL))
def encoder(request):
    return frozen(request.param)


def pixels(encoder, batch=2, size=None, seed=0):
    height, width = size or encoder.card.input_size
    draw = torch.Generator().manual_seed(seed)
    return torch.randint(256, (batch, 3, height, width), generator=draw, dtype=torch.uint8)


def check_shapes(encoder, features, batch, size):
    card = encoder.card
    assert features.pooled.shape == (batch, card.features)
    for tap, channels, stride in zip(features.maps, card.channels, card.strides, strict=True):
        assert tap.shape == (batch, channels, *map_size(size, stride))
    assert not any(t.requires_grad for t in (features.pooled, *features.maps))


def test_what_comes_out_is_what_the_card_says(encoder):
    card = encoder.card
    images = encoder.normalise(pixels(encoder, batch=1))
    check_shapes(encoder, encoder(images, maps=True), 1, card.input_size)
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
    check_shapes(encoder, features, 1, (75, 50))


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


@pytest.mark.parametrize("name", SHAPES_ONLY)
def test_every_family_gives_a_feature_and_five_maps(name):
    encoder = shapes(name)
    card = encoder.card
    images = torch.empty(2, 3, *card.input_size, device="meta")
    check_shapes(encoder, encoder(images, True), 2, card.input_size)
    assert list(card.strides) == sorted(card.strides)
    assert card.flops > 0
    assert len(card.mean) == len(card.std) == 3
    assert min(card.std) > 0
    if name not in SMALL:
        assert card.strides == LEVELS
        nearest = tuple(2 ** round(math.log2(stride)) for stride in card.native_strides)
        assert bool(card.maps) == (nearest != LEVELS)  # the card says what is not native


@pytest.mark.parametrize("name", FAMILIES)
def test_odd_sizes_work_or_are_refused_with_the_reason(name):
    encoder = shapes(name)
    images = torch.empty(1, 3, 235, 194, device="meta")
    if name in REFUSING:
        with pytest.raises(
            SettingError, match=r"^This network cannot take images of 235 x 194 pixels: (?!This)\w"
        ):
            encoder(images, True)
    else:
        check_shapes(encoder, encoder(images, True), 1, (235, 194))


@pytest.mark.parametrize(
    ("name", "strides", "channels"),
    [
        ("resnet50", (2, 4, 8, 16, 32), (64, 256, 512, 1024, 2048)),
        ("wide_resnet101_2", (2, 4, 8, 16, 32), (64, 256, 512, 1024, 2048)),
        ("resnet18-small", (1, 1, 2, 4, 8), (64, 64, 128, 256, 512)),
        ("resnet56", (1, 1, 2, 4, 4), (16, 16, 32, 64, 64)),
        ("timm:mobilenetv2_100", (2, 4, 8, 16, 32), (16, 24, 32, 96, 320)),
        ("timm:regnety_002", (2, 4, 8, 16, 32), (32, 24, 56, 152, 368)),
        ("timm:convnextv2_atto", (4, 4, 8, 16, 32), (40, 40, 80, 160, 320)),
        ("timm:swin_tiny_patch4_window7_224", (4, 4, 8, 16, 32), (96, 96, 192, 384, 768)),
        ("timm:vit_small_patch16_224", (16,) * 5, (384,) * 5),
        ("timm:eva02_tiny_patch14_224", (14,) * 5, (192,) * 5),
        ("timm:levit_128s", (16, 16, 16, 16, 32), (128, 128, 128, 128, 256)),
    ],
)
def test_taps_are_where_the_architecture_has_its_stages(name, strides, channels):
    card = shapes(name).card
    assert (card.native_strides, card.channels) == (strides, channels)
