"""torchvision's networks as backbones, against torchvision's own tools and published numbers."""

import functools

import pytest
import torch
from torchvision import models
from torchvision.models.feature_extraction import create_feature_extractor

from vireo.encoders import build, open_encoder
from vireo.encoders.measure import measure
from vireo.encoders.torchvision_networks import torchvision_network
from vireo.errors import SettingError
from vireo.records import EncoderSpec

# Name to the graph's nodes at strides 2, 4, 8, 16, 32, read off torchvision's code and the papers.
NODES = {
    "squeezenet1_1": "features.1 features.4.cat features.7.cat features.12.cat features.12.cat",
    "densenet121": "features.relu0 features.denseblock1.cat features.denseblock2.cat"
    " features.denseblock3.cat relu",
    "googlenet": "conv1.relu conv3.relu inception3b.cat inception4e.cat inception5b.cat",
    "mnasnet0_5": "layers.7 layers.8.2.add layers.9.2.add layers.11.1.add layers.13.0.layers.7",
    "shufflenet_v2_x0_5": "conv1.2 maxpool stage2.3.view_1 stage3.7.view_1 stage4.3.view_1",
    "mobilenet_v3_small": "features.0 features.1.block.2 features.3.add features.8.add"
    " features.11.add",
    "regnet_y_400mf": "stem trunk_output.block1.block1-0.activation"
    " trunk_output.block2.block2-2.activation trunk_output.block3.block3-5.activation"
    " trunk_output.block4.block4-5.activation",
    "swin_t": "features.1.1.add_1 features.1.1.add_1 features.3.1.add_1 features.5.5.add_1 permute",
}
SIDE = 64


@functools.cache
def shapes(name):
    with torch.device("meta"):
        network = torchvision_network(name)
    network.backbone.eval()
    return network


@functools.cache
def measured(name):
    return measure(shapes(name).backbone, shapes(name).input_size)


def theirs(network, name):
    """torchvision's own network with a classifier, sharing the weights of `network`."""
    inner = network.backbone.network
    options = {"aux_logits": False, "init_weights": False, "transform_input": True}
    other = models.get_model(name, **(options if name == "googlenet" else {}))
    missing, extra = other.load_state_dict(inner.state_dict(), strict=False)
    assert {key.rpartition(".")[0] for key in missing} == {network.classifier}
    assert extra == []
    return other.eval()


@pytest.mark.parametrize("name", sorted(NODES))
def test_maps_and_the_pooled_feature_are_torchvisions_own(name):
    ours = torchvision_network(name)
    network = theirs(ours, name)
    images = torch.rand(1, 3, SIDE, SIDE)
    read = []
    classifier = network.get_submodule(ours.classifier)
    classifier.register_forward_pre_hook(lambda module, args: read.append(args[0]))
    nodes = NODES[name].split()
    with torch.no_grad():
        features = ours.backbone.eval()(images, True)
        network(images)
        expected = create_feature_extractor(network, {node: node for node in nodes})(images)
    for node, tap in zip(nodes, features.maps, strict=True):
        wanted = expected[node]
        if wanted.shape != tap.shape:
            wanted = wanted.permute(0, 3, 1, 2)
        torch.testing.assert_close(tap, wanted)
    (before,) = read
    pooled = before.mean((2, 3)) if before.ndim == 4 else before
    torch.testing.assert_close(features.pooled, pooled)


def test_vit_maps_are_normalised_blocks_and_the_pooled_feature_is_the_class_token():
    network = torchvision_network("vit_b_32", (64, 64))
    backbone = network.backbone.eval()
    net, tokens = backbone.network, []
    for block in net.encoder.layers:
        block.register_forward_hook(lambda m, args, out: tokens.append(out))
    images = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        features = backbone(images, True)
        normed = [net.encoder.ln(tokens[index]) for index in (1, 4, 6, 9, 11)]
    for tap, expected in zip(features.maps, normed, strict=True):
        assert tap.shape == (2, 768, 2, 2)
        for row in range(2):
            for column in range(2):
                torch.testing.assert_close(
                    tap[:, :, row, column], expected[:, 1 + 2 * row + column]
                )
    torch.testing.assert_close(features.pooled, normed[-1][:, 0])
    assert network.classifier == "heads.head"


@pytest.mark.parametrize(
    "name",
    [
        *("alexnet", "vgg11", "squeezenet1_0", "densenet121", "googlenet", "mnasnet1_0"),
        *("shufflenet_v2_x1_0", "mobilenet_v3_large", "efficientnet_b0", "regnet_x_400mf"),
        *("convnext_tiny", "vit_b_16", "swin_t", "maxvit_t"),
    ],
)
def test_size_and_cost_are_what_torchvision_publishes(name):
    published = models.get_model_weights(name).DEFAULT.meta
    found = measured(name)
    biases = 0 if name == "maxvit_t" else 1000
    assert found.parameters + found.features * 1000 + biases == published["num_params"]
    positions = 13**2 if name == "squeezenet1_0" else 1  # its classifier is a convolution
    multiply_adds = found.flops / 2 + found.features * 1000 * positions
    assert multiply_adds / 1e9 == pytest.approx(published["_ops"], abs=5e-3)


@pytest.mark.parametrize(
    ("name", "strides", "maps"),
    [
        ("alexnet", (4, 4, 8, 17, 37), "stride 2 upsampled from 4"),
        ("vgg11", (2, 4, 8, 16, 32), ""),
        ("inception_v3", (2, 4, 8, 17, 37), ""),
        ("squeezenet1_0", (2, 4, 8, 17, 17), "stride 32 averaged from 16"),
        ("swin_t", (4, 4, 8, 16, 32), "stride 2 upsampled from 4"),
        ("maxvit_t", (2, 4, 8, 16, 32), ""),
        ("efficientnet_b0", (2, 4, 8, 16, 32), ""),
    ],
)
def test_what_is_not_native_is_said(name, strides, maps):
    found = measured(name)
    assert (found.strides, found.native_strides) == ((2, 4, 8, 16, 32), strides)
    assert shapes(name).maps == maps


def test_weights_follow_from_the_seed_whether_taps_are_known_or_not():
    first, again = (build("torchvision:mnasnet0_5", seed=2).card.weights for _ in range(2))
    assert first == again
    assert build("torchvision:mnasnet0_5", seed=3).card.weights != first


@pytest.mark.parametrize(("name", "kept"), [("mnasnet0_5", True), ("squeezenet1_1", False)])
def test_a_published_file_fills_the_network(name, kept, tmp_path):
    network = models.get_model(name, num_classes=5).eval()
    torch.save(network.state_dict(), tmp_path / "weights.pth")
    spec = EncoderSpec(spec=f"file:{tmp_path / 'weights.pth'}", architecture=f"torchvision:{name}")
    encoder = open_encoder(spec).freeze()
    assert (encoder.classifier is not None) == kept  # SqueezeNet's is no linear layer
    if encoder.classifier:
        images = torch.rand(2, 3, SIDE, SIDE)
        torch.testing.assert_close(encoder.classifier(encoder(images).pooled), network(images))


@pytest.mark.parametrize(
    ("name", "size", "said"),
    [
        ("vit_b_16", (75, 50), "75 x 50 pixels: Wrong image height"),
        ("maxvit_t", (75, 50), "75 x 50 pixels: "),
        ("alexnet", (16, 16), "16 x 16 pixels: .*too small"),
    ],
)
def test_a_size_that_a_network_cannot_take_is_said(name, size, said):
    with pytest.raises(SettingError, match=said):
        shapes(name).backbone(torch.empty(1, 3, *size, device="meta"), True)


def test_what_is_wrong_is_found_out_on_real_tensors_too():
    backbone = torchvision_network("squeezenet1_1").backbone.eval()
    with pytest.raises(SettingError, match=r"4 x 4 pixels: .*too small"):
        backbone(torch.rand(1, 3, 4, 4), False)
    with pytest.raises(RuntimeError, match="Input type"):  # the size is not what is wrong
        backbone(torch.rand(1, 3, 64, 64, dtype=torch.float64), False)


def test_a_vit_takes_squares():
    with pytest.raises(SettingError, match=r"square images only, not 224 x 160"):
        torchvision_network("vit_b_16", (224, 160))
    with pytest.raises(SettingError, match="torchvision cannot build 'vit_b_16'"):
        torchvision_network("vit_b_16", (100, 100))
