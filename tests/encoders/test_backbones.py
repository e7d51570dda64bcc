"""Backbones against the libraries' own networks, and against plain functional code."""

import sys
from types import SimpleNamespace

import pytest
import torch
from torch.nn import functional as F
from torchvision import models
from torchvision.models._utils import IntermediateLayerGetter

from vireo.encoders import build, open_encoder
from vireo.encoders.backbones import Backbone, Network
from vireo.encoders.encoder import Features
from vireo.encoders.measure import measure, on_meta
from vireo.encoders.opening import make_network
from vireo.errors import SettingError


def randomised(network):
    """Give batch norm statistics and weights that are not the neutral ones."""
    draw = torch.Generator().manual_seed(5)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            for tensor in (module.weight.data, module.running_var):
                tensor.copy_(torch.rand(tensor.shape, generator=draw) + 0.5)
            for tensor in (module.bias.data, module.running_mean):
                tensor.copy_(torch.randn(tensor.shape, generator=draw) * 0.1)
    return network.eval()


@pytest.mark.parametrize(
    ("name", "taps"),
    [
        ("resnet18", ["relu", "layer1", "layer2", "layer3", "layer4"]),
        ("mobilenet_v2", ["1", "3", "6", "13", "17"]),
    ],
)
def test_features_are_torchvisions(name, taps, tmp_path):
    theirs = randomised(models.get_model(name, num_classes=7))
    torch.save(theirs.state_dict(), tmp_path / "weights.pth")
    ours = open_encoder(f"file:{tmp_path / 'weights.pth'}").freeze()
    assert ours.card.architecture == name
    images = torch.rand(2, 3, 64, 48)
    features = ours(images, maps=True)
    torch.testing.assert_close(ours.classifier(features.pooled), theirs(images))
    inner = theirs if name == "resnet18" else theirs.features
    expected = IntermediateLayerGetter(inner, {tap: tap for tap in taps})(images)
    for tap, own in zip(taps, features.maps, strict=True):
        torch.testing.assert_close(own, expected[tap])


def naive_cifar_resnet(state, x, blocks):
    def norm(x, name):
        mean, var = state[f"{name}.running_mean"], state[f"{name}.running_var"]
        scale = state[f"{name}.weight"] / (var + 1e-5).sqrt()
        shift = state[f"{name}.bias"] - mean * scale
        return x * scale[:, None, None] + shift[:, None, None]

    def conv(x, name, stride=1):
        return F.conv2d(x, state[f"{name}.weight"], stride=stride, padding=1)

    x = norm(conv(x, "conv1"), "bn1").clamp(min=0)
    maps = [x]
    for stage in (1, 2, 3):
        for block in range(blocks):
            at = f"layer{stage}.{block}"
            stride = 2 if stage > 1 and block == 0 else 1
            h = norm(conv(x, f"{at}.conv1", stride), f"{at}.bn1").clamp(min=0)
            h = norm(conv(h, f"{at}.conv2"), f"{at}.bn2")
            if stride == 2:
                half = torch.zeros(len(x), x.shape[1] // 2, *h.shape[2:])
                x = torch.cat([half, x[:, :, ::2, ::2], half], dim=1)
            x = (x + h).clamp(min=0)
        maps.append(x)
    return x.mean((2, 3)), [*maps, x]


@pytest.mark.parametrize("size", [(32, 32), (19, 14)])
def test_cifar_resnet_is_the_papers(size):
    encoder = build("resnet20", seed=1).freeze()
    encoder.double()  # in float32 the order of sums shows after twenty layers
    state = randomised(encoder.backbone.network).state_dict()
    images = torch.randn(2, 3, *size, dtype=torch.float64)
    pooled, maps = naive_cifar_resnet(state, images, blocks=3)
    features = encoder(images, maps=True)
    torch.testing.assert_close(features.pooled, pooled)
    for own, expected in zip(features.maps, maps, strict=True):
        torch.testing.assert_close(own, expected)


@pytest.mark.parametrize(
    ("name", "millions"),
    [("resnet20", 0.27), ("resnet32", 0.46), ("resnet44", 0.66), ("resnet56", 0.85)],
)
def test_cifar_resnets_have_the_size_in_the_papers_table_6(name, millions):
    classifier = 64 * 10 + 10
    assert round((build(name).card.parameters + classifier) / 1e6, 2) == millions


@pytest.mark.parametrize("name", ["resnet18", "resnet50", "mobilenet_v2"])
def test_size_and_cost_are_what_torchvision_publishes(name):
    published = models.get_model_weights(name).DEFAULT.meta
    card = build(name).card
    classes = (card.features + 1) * 1000
    assert card.parameters + classes == published["num_params"]
    multiply_adds = card.flops / 2 + card.features * 1000
    assert multiply_adds / 1e9 == pytest.approx(published["_ops"], abs=5e-3)


def test_small_resnet_is_torchvisions_with_another_stem():
    ours = randomised(build("resnet18-small").backbone.network)
    theirs = models.resnet18()
    theirs.conv1 = torch.nn.Conv2d(3, 64, 3, stride=1, padding=1, bias=False)
    theirs.maxpool, theirs.fc = torch.nn.Identity(), torch.nn.Identity()
    theirs.load_state_dict(ours.state_dict())
    images = torch.rand(2, 3, 32, 32)
    pooled = build("resnet18-small").freeze().backbone(images, False).pooled
    assert pooled.shape == (2, 512)
    torch.testing.assert_close(ours(images), theirs.eval()(images))


@pytest.mark.parametrize(
    ("architecture", "said"),
    [
        ("resnet19", r"Unknown architecture 'resnet19'. Did you mean 'resnet1"),
        ("torchvision:vgg12", r"Unknown torchvision network 'vgg12'. Did you mean 'vgg1"),
        ("torchvision:resnet20", "Unknown torchvision network.*timm: has many more"),
    ],
)
def test_unknown_architectures_are_named_with_what_is_meant(architecture, said):
    with pytest.raises(SettingError, match=said):
        make_network(architecture)


def test_a_copy_on_the_meta_device_has_shapes_and_no_numbers():
    backbone = make_network("resnet20").backbone.eval()
    backbone.network.conv1.weight.requires_grad_(False)
    twin = on_meta(backbone)
    assert {t.device.type for t in twin.state_dict().values()} == {"meta"}
    for name, own in backbone.state_dict(keep_vars=True).items():
        copied = twin.state_dict(keep_vars=True)[name]
        assert (copied.shape, copied.dtype, type(copied)) == (own.shape, own.dtype, type(own))
        assert copied.requires_grad == own.requires_grad
        assert own.device.type == "cpu"
    assert not any(module.training for module in twin.modules())


@pytest.mark.parametrize("size", [(224, 224), (225, 161), (75, 50), (320, 33)])
def test_strides_are_found_at_any_size(size):
    found = measure(make_network("resnet18").backbone, size)
    assert found.strides == found.native_strides == (2, 4, 8, 16, 32)


def one_convolution(name, input_size=None):
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3, stride=2, padding=1))
    return Network(backbone=OneConvolution(network), classifier="")


class OneConvolution(Backbone):
    def forward(self, images, maps):
        x = self.network(images)
        return Features(x.mean((2, 3)), (x,) * 5 if maps else ())


def test_a_builder_of_ones_own_is_an_architecture(monkeypatch):
    monkeypatch.setitem(sys.modules, "their_package", SimpleNamespace(builder=one_convolution))
    encoder = open_encoder("random:their_package:builder")
    assert encoder.card.strides == (2, 2, 2, 2, 2)
    assert encoder.card.parameters == 4 * 3 * 9 + 4
