"""Files that another network would fill as well: the right one is taken, or none."""

import json
import re
from dataclasses import replace

import pytest
import timm
import torch
from tests.encoders.layouts.parts import resnet, state, write
from torch.testing import assert_close
from torchvision import models

from vireo.encoders import build, open_encoder, opening
from vireo.encoders.inspecting import inspect
from vireo.encoders.saving import save_encoder
from vireo.errors import CheckpointError
from vireo.records import EncoderSpec

A, B = state(resnet(1)), state(resnet(2))
NAMES = ("mean", "std")


def under(prefix, tensors):
    return {prefix + name: tensor for name, tensor in tensors.items()}


def holds(encoder, tensors):
    own = encoder.backbone.network.state_dict()
    return all(torch.equal(tensor, tensors[name]) for name, tensor in own.items())


@pytest.mark.parametrize("order", [1, -1])
def test_two_networks_that_only_a_wrapper_tells_apart_are_refused(order, tmp_path):
    parts = [under("module.", A), B][::order]
    path = write(tmp_path / "x.pth", {"state_dict": parts[0] | parts[1]})
    with pytest.raises(CheckpointError, match=r"take = 'module\.'"):
        open_encoder(f"file:{path}")
    assert holds(open_encoder(EncoderSpec(spec=f"file:{path}", take="module.")), A)


def test_tensors_beside_a_wrapped_network_do_not_replace_its_own(tmp_path):
    last = {name: tensor for name, tensor in B.items() if name.startswith("layer4")}
    path = write(tmp_path / "x.pth", {"state_dict": under("module.", A) | last})
    assert holds(open_encoder(f"file:{path}"), A)


def test_wrappers_around_parts_of_one_network_are_no_second_network(tmp_path):
    mixed = {("_orig_mod." if "layer" in n else "module.") + n: t for n, t in A.items()}
    path = write(tmp_path / "x.pth", {"n_averaged": torch.tensor(3), **mixed})
    assert holds(open_encoder(f"file:{path}"), A)


def test_networks_at_two_levels_are_refused_until_one_is_named(tmp_path):
    path = write(tmp_path / "x.pth", {"encoder": A, "model": B})
    with pytest.raises(CheckpointError, match="under 'encoder/', 'model/'"):
        open_encoder(f"file:{path}")
    for level, tensors in (("encoder/", A), ("model/", B)):
        assert holds(open_encoder(EncoderSpec(spec=f"file:{path}", take=level)), tensors)


def test_a_classifier_of_another_level_is_not_this_networks(tmp_path):
    head = {"fc.weight": torch.zeros(3, 128), "fc.bias": torch.zeros(3)}
    together = write(tmp_path / "one.pth", {"backbone": A | head})
    apart = write(tmp_path / "two.pth", {"backbone": A, "model": head})
    assert open_encoder(f"file:{together}").classifier.out_features == 3
    assert open_encoder(f"file:{apart}").classifier is None


@pytest.mark.parametrize("name", ["layer5.0.conv1.weight", "conv2.weight", "bn2.weight"])
def test_a_layer_that_goes_on_counting_is_too_many(name, tmp_path):
    found = inspect(write(tmp_path / "x.pth", A | {name: torch.zeros(16, 16, 3, 3)}))
    assert (found.accepted, found.too_many) == (False, (name,))


def test_a_running_average_may_have_turned_counters_into_fractions(tmp_path):
    averaged = {name: tensor.double() for name, tensor in A.items()}
    encoder = open_encoder(f"file:{write(tmp_path / 'x.pth', averaged)}")
    own = encoder.backbone.network.state_dict()
    assert_close({n: own[n].double() for n in own}, {n: averaged[n] for n in own})


def test_counters_of_zero_alone_make_no_simclr(tmp_path):
    # torch sets them when it loads a file older than them, as torchvision's resnet50-19c8e357.pth
    # is; images were normalised all the same, and so the stem's mean output is near 0.
    net = models.resnet18()
    images = torch.randn(4, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    net.bn1.running_mean = net.conv1(images).mean((0, 2, 3)).detach()
    found = inspect(write(tmp_path / "x.pth", {"state_dict": net.state_dict()}))
    assert (found.format, found.mean) == ("torchvision", (0.485, 0.456, 0.406))


@pytest.mark.parametrize("name", ["resnetaa50", "resnetblur18"])
@pytest.mark.parametrize("said", ["config", "arch"])
def test_what_is_said_of_a_network_goes_before_its_shapes(name, said, tmp_path):
    torch.manual_seed(0)
    net = timm.create_model(name, num_classes=0).eval()
    content = {"state_dict": net.state_dict(), **({"arch": name} if said == "arch" else {})}
    path = write(tmp_path / "x.pth", content)
    if said == "config":
        (tmp_path / "config.json").write_text(json.dumps({"architecture": name}))
    images = torch.rand(1, 3, 64, 64)
    encoder = open_encoder(f"file:{path}").freeze()
    assert encoder.card.architecture == f"timm:{name}"
    assert_close(encoder.backbone(images, False).pooled, net(images).detach())


def test_a_config_says_which_vit_it_is_and_how_images_were_normalised(tmp_path):
    net = timm.create_model("deit_tiny_patch16_224", num_classes=2)
    path = write(tmp_path / "x.pth", net.state_dict())
    facts = {"mean": [0.1, 0.2, 0.3], "std": [0.4, 0.5, 0.6]}
    config = {"architecture": "deit_tiny_patch16_224", "pretrained_cfg": facts}
    (tmp_path / "config.json").write_text(json.dumps(config))
    found = inspect(path)
    assert (found.architecture, found.mean) == ("timm:deit_tiny_patch16_224", (0.1, 0.2, 0.3))
    small = open_encoder(EncoderSpec(spec=f"file:{path}", input_size=(64, 96))).card
    assert (small.architecture, small.std) == (
        "vit:deit_tiny_patch16_224,size=224",
        (0.4, 0.5, 0.6),
    )
    (tmp_path / "config.json").write_text(json.dumps({**config, "architecture": "resnet18"}))
    assert inspect(path).mean == (0.5, 0.5, 0.5)  # of another network


def test_weights_of_a_run_are_read_by_the_card_beside_them(tmp_path):
    encoder = build("resnet:1-1-1-1,width=16,bottleneck,same")
    encoder.card = replace(encoder.card, mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6))
    save_encoder(encoder, tmp_path)
    card = open_encoder(f"file:{tmp_path / 'encoder.safetensors'}").card
    assert [getattr(card, n) for n in ("architecture", *NAMES)] == [
        getattr(encoder.card, n) for n in ("architecture", *NAMES)
    ]


def test_moco_v3s_linear_evaluation_has_its_twelve_heads(tmp_path):
    net = timm.create_model("vit_small_patch16_224", num_classes=2)
    content = {"arch": "vit_small", "best_acc1": 73.0, "state_dict": under("module.", state(net))}
    found = inspect(write(tmp_path / "x.pth", content))
    assert found.architecture == "vit:vit_small_patch16_224,heads=12"
    assert found.mean == (0.485, 0.456, 0.406)


def test_deits_own_files_were_normalised_as_imagenet(tmp_path):
    net = timm.create_model("vit_tiny_patch16_224", num_classes=2)
    found = inspect(write(tmp_path / "x.pth", {"model": net.state_dict()}))
    assert (found.format, found.mean) == ("deit", (0.485, 0.456, 0.406))


def test_densenets_as_torchvision_publishes_them(tmp_path):
    # densenet121-a639ec97.pth has norm.1 and conv.2 for norm1 and conv2.
    with torch.device("meta"):
        net = models.densenet121()
    old = {
        re.sub(r"(\.(?:norm|conv))([12])\.", r"\1.\2.", n): t for n, t in net.state_dict().items()
    }
    tensors = {name: torch.zeros(t.shape, dtype=t.dtype) for name, t in old.items()}
    assert "features.denseblock1.denselayer1.norm.1.weight" in tensors
    found = inspect(write(tmp_path / "x.pth", tensors))
    assert (found.accepted, found.architecture) == (True, "torchvision:densenet121")


def test_every_tensor_of_a_network_comes_from_the_file(tmp_path, monkeypatch):
    def poisoned(*args):
        network = opening_build(*args)
        for tensor in network.backbone.network.state_dict().values():
            tensor.fill_(float("nan") if tensor.is_floating_point() else -1)
        return network

    opening_build = opening.build_network
    monkeypatch.setattr(opening, "build_network", poisoned)
    for name in ("resnet20", "torchvision:mobilenet_v3_small", "timm:convnext_atto"):
        plain = opening_build(name).backbone.network.state_dict()
        tensors = {key: torch.ones_like(tensor) for key, tensor in plain.items()}
        encoder = open_encoder(f"file:{write(tmp_path / 'x.pth', tensors)}")
        assert holds(encoder, tensors)
