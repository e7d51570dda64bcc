"""timm's networks as backbones, against timm's own networks and hand counts."""

import functools

import pytest
import timm
import torch

from vireo.encoders import build
from vireo.encoders.encoder import Encoder
from vireo.encoders.measure import Origin, make_card, measure
from vireo.encoders.timm_networks import timm_network
from vireo.errors import SettingError
from vireo.tasks.geometry import map_size


@functools.cache
def shapes(name):
    with torch.device("meta"):
        network = timm_network(name)
    network.backbone.eval()
    return network


def theirs(network, name, **options):
    """timm's own network with its classifiers, sharing the weights of `network`."""
    other = timm.create_model(name, **options)
    missing, extra = other.load_state_dict(network.backbone.network.state_dict(), strict=False)
    assert extra == []
    return other.eval(), {key.rpartition(".")[0] for key in missing}


@pytest.mark.parametrize(
    "name",
    [
        "test_vit",  # class token
        "test_vit2",  # mean of tokens
        "test_vit3",  # attention pooling
        "test_resnet",
        "test_convnext",  # a norm between pooling and classifier
        "test_efficientnet",
        "test_byobnet",
        "mobilenetv3_small_050",  # more features after pooling than before
        "mobilevit_xxs",
        "ghostnet_050",
    ],
)
def test_the_pooled_feature_is_what_the_classifier_reads(name):
    network = timm_network(name)
    other, classifiers = theirs(network, name)
    assert classifiers == {network.classifier}
    read = []
    classifier = other.get_submodule(network.classifier)
    classifier.register_forward_pre_hook(lambda module, args: read.append(args[0]))
    images = torch.rand(2, 3, *network.input_size)
    backbone = network.backbone.eval()
    with torch.no_grad():
        other(images)
        alone, with_maps = backbone(images, False).pooled, backbone(images, True).pooled
    torch.testing.assert_close(alone, read[0])
    torch.testing.assert_close(with_maps, read[0])


@pytest.mark.parametrize(
    ("name", "heads"),
    [
        ("deit_tiny_distilled_patch16_224", {"head", "head_dist"}),
        ("efficientformer_l1", {"head", "head_dist"}),
    ],
)
def test_a_distilled_network_gives_what_comes_before_both_classifiers(name, heads):
    network = timm_network(name)
    other, classifiers = theirs(network, name)
    assert classifiers == heads
    assert (network.classifier, network.head) == ("", None)
    images = torch.rand(1, 3, 224, 224)
    with torch.no_grad():
        pooled = network.backbone.eval()(images, True).pooled
        logits = (other.head(pooled) + other.head_dist(pooled)) / 2
        if name.startswith("deit"):  # its classifiers read two tokens, the feature is their mean
            tokens = other.forward_features(images)
            expected = (tokens[:, 0] + tokens[:, 1]) / 2
        else:
            expected, logits_there = other.forward_features(images).mean(1), other(images)
            torch.testing.assert_close(logits, logits_there)
    torch.testing.assert_close(pooled, expected)


@pytest.mark.parametrize(
    ("name", "classifier"),
    [
        ("efficientvit_m0", "head"),  # a norm, then a linear layer
        ("caformer_s18", "head.fc"),  # two layers
        ("levit_128s", ""),  # two classifiers
        ("vit_small_patch14_dinov2", "head"),  # none, unless a file has one
    ],
)
def test_the_classifiers_name_covers_all_of_it(name, classifier):
    assert shapes(name).classifier == classifier


def test_transformer_maps_are_normalised_blocks_evenly_through_the_depth():
    network = timm_network("vit_tiny_patch16_224", (64, 48))
    backbone = network.backbone.eval()
    tokens = []
    for block in backbone.network.blocks:
        block.register_forward_hook(lambda module, args, out: tokens.append(out))
    with torch.no_grad():
        features = backbone(torch.rand(1, 3, 64, 48), True)
    for index, tap in zip((1, 4, 6, 9, 11), features.maps, strict=True):
        patches = backbone.network.norm(tokens[index])[0, 1:]
        assert tap.shape == (1, 192, 4, 3)
        torch.testing.assert_close(tap[0].flatten(1).T, patches)


def test_maps_of_a_windowed_network_have_channels_second():
    network = timm_network("swin_tiny_patch4_window7_224", (64, 64))
    stages = []
    for stage in network.backbone.network.layers:
        stage.register_forward_hook(lambda module, args, out: stages.append(out))
    with torch.no_grad():
        features = network.backbone.eval()(torch.rand(1, 3, 64, 64), True)
        stages[-1] = network.backbone.network.norm(stages[-1])
    for stage, tap in zip((0, 0, 1, 2, 3), features.maps, strict=True):
        torch.testing.assert_close(tap, stages[stage].permute(0, 3, 1, 2))


def encoder_of(network, size):
    origin = Origin(
        name="net", source="", architecture="net", method="random", pretraining_set="none"
    )
    return Encoder(make_card(network, origin, input_size=size), network.backbone).freeze()


@pytest.mark.parametrize("name", ["test_vit", "test_convnext", "test_resnet", "levit_128s"])
def test_the_encoder_brings_maps_to_their_strides_at_odd_sizes(name):
    usual = (224, 224) if name == "levit_128s" else (160, 160)
    encoder = encoder_of(timm_network(name), usual)
    sizes = [usual] if name == "levit_128s" else [usual, (75, 50), (33, 96)]
    for size in sizes:
        levels = encoder(torch.rand(1, 3, *size), True).maps
        own = encoder.backbone(torch.rand(1, 3, *size), True).maps
        for stride, level, tap in zip((2, 4, 8, 16, 32), levels, own, strict=True):
            assert level.shape[-2:] == map_size(size, stride)
            assert level.shape[1] == tap.shape[1]
    assert encoder.card.strides == (2, 4, 8, 16, 32)


def test_the_cost_of_a_vit_is_counted_with_its_attention():
    """ViT-S/16: 4.6 GMAC (DeiT, table 1). By hand, multiply-adds of one image of 224 x 224."""
    tokens, width, depth, patches = 197, 384, 12, 196
    projections = 4 * tokens * width * width + 2 * tokens * width * 4 * width
    attention = 2 * tokens * tokens * width
    embedding = patches * (3 * 16 * 16) * width
    by_hand = embedding + depth * (projections + attention)
    network = shapes("vit_small_patch16_224")
    assert measure(network.backbone, network.input_size).flops == 2 * by_hand
    assert by_hand / 1e9 == pytest.approx(4.6, abs=0.05)


def test_a_transformer_built_for_another_size_has_that_size():
    small = build("timm:vit_tiny_patch16_224", input_size=(64, 64))
    assert small.card.input_size == (64, 64)
    assert small.backbone.network.pos_embed.shape[1] == 16 + 1
    assert small.card.maps.startswith("blocks 2, 5, 7, 10, 12 at stride 16 resampled to")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("deepseek_vit_412m_enc", "no pooled feature"),
        ("gemma4_vit_167m", "its shapes depend on numbers"),
        ("resnet5", r"timm has no network 'resnet5'. Did you mean one of resnet50"),
        ("vgg11.nonsense", r"of vgg11 it has vgg11\.tv_in1k"),
    ],
)
def test_networks_that_cannot_be_used_are_refused_with_the_reason(name, said):
    with pytest.raises(SettingError, match=said):
        timm_network(name)


@pytest.mark.parametrize(
    ("name", "size", "said"),
    [
        ("swin_tiny_patch4_window7_224", (75, 50), "divisible by patch size"),
        ("gmlp_ti16_224", (75, 50), "it takes 224 x 224 only"),
    ],
)
def test_a_size_that_a_network_cannot_take_is_said(name, size, said):
    with pytest.raises(SettingError, match=f"75 x 50 pixels: .*{said}"):
        shapes(name).backbone(torch.empty(1, 3, *size, device="meta"), True)


def test_a_network_whose_builder_names_no_class_is_used_all_the_same():
    network = shapes("test_mambaout")
    measured = measure(network.backbone, network.input_size)
    assert measured.native_strides == (4, 4, 8, 16, 32)
    assert network.maps == "stride 2 upsampled from 4"
