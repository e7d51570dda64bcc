"""Layouts of checkpoint: what is recognised, taken and left, and that refusals say why.

Layouts are written here as the projects' training code nests and names them. A second set, written
by another hand, is in test_layouts.py.
"""

import json
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.testing import assert_close
from torchvision.models.resnet import Bottleneck, ResNet

from vireo.encoders import build, open_encoder
from vireo.encoders.checkpoints import FORMATS, read_checkpoint, recognise, unpack
from vireo.encoders.inspecting import inspect
from vireo.encoders.layouts.flattening import flatten
from vireo.encoders.opening import find_architecture
from vireo.encoders.reading.files import Content
from vireo.errors import CheckpointError
from vireo.records import EncoderSpec

TINY = "resnet:1-1-1-1,bottleneck,width=8"
SIDE = 32


def tiny(seed=0):
    """Tensors of a small bottleneck ResNet, none of them neutral."""
    draw = torch.Generator().manual_seed(seed)
    state = build(TINY, seed=seed).backbone.network.state_dict()
    for name, tensor in state.items():
        if name.endswith(("running_mean", "bias")):
            tensor.normal_(generator=draw)
        elif name.endswith("num_batches_tracked"):
            tensor.fill_(7)
    return state


Q, K = tiny(0), tiny(1)
COUNTERS = "num_batches_tracked"


def under(prefix, state):
    return {prefix + name: tensor for name, tensor in state.items()}


def linear(name, outputs, inputs, bias=True):
    weight = {f"{name}.weight": torch.ones(outputs, inputs)}
    return {**weight, f"{name}.bias": torch.zeros(outputs)} if bias else weight


def numbered(state):
    """The names that nn.Sequential(*list(resnet.children())[:-1]) gives."""
    places = {"conv1": 0, "bn1": 1, "layer1": 4, "layer2": 5, "layer3": 6, "layer4": 7}
    heads = {name: name.partition(".") for name in state}
    return {f"{places[first]}.{rest}": state[name] for name, (first, _, rest) in heads.items()}


MOCO = {
    **under("module.encoder_q.", Q),
    **linear("module.encoder_q.fc.0", 256, 256),
    **linear("module.encoder_q.fc.2", 128, 256),
    **under("module.encoder_k.", K),
    **linear("module.encoder_k.fc.0", 256, 256),
    **linear("module.encoder_k.fc.2", 128, 256),
    "module.queue": torch.ones(128, 9),
    "module.queue_ptr": torch.zeros(1, dtype=torch.long),
}
MOMENTA = {"state": {0: {"momentum_buffer": torch.ones(3)}}, "param_groups": [{"lr": 0.1}]}
SIMSIAM_FC = {
    **linear("module.encoder.fc.0", 256, 256, bias=False),
    **linear("module.encoder.fc.6", 256, 256),
    "module.encoder.fc.7.running_mean": torch.ones(256),
}
PROTOTYPES = {"module.prototypes.weight": torch.ones(30, 16)}
MANY = {f"module.prototypes.prototypes{i}.weight": torch.ones(30, 16) for i in range(3)}
SWAV = {**under("module.", Q), **linear("module.projection_head.0", 64, 256)}
TWINS = {
    **under("module.backbone.", Q),
    **linear("module.projector.0", 64, 256, bias=False),
    "module.bn.running_mean": torch.ones(64),
}
VICREG = {**under("module.backbone.", Q), **linear("module.projector.0", 64, 256)}
DINO_HEAD = linear("head.mlp.0", 64, 256)
TRUNK = {
    "trunk": under("_feature_blocks.", Q),
    "heads": {**linear("0.clf.0", 64, 256), "1.prototypes0.weight": torch.ones(9, 64)},
}
HAIKU = {n: t for n, t in Q.items() if "running" not in n and COUNTERS not in n}
HAIKU |= {n: t for n, t in Q.items() if "running" in n}

# name: what the file holds, the layout, the method it shows, epochs, kinds of what is left over
LAYOUTS = {
    "moco v2": (
        {"epoch": 200, "arch": "resnet50", "state_dict": MOCO, "optimizer": MOMENTA},
        ("moco", "moco-v2", 200),
        {"projector", "momentum encoder", "queue", "optimizer"},
    ),
    "moco v1": (
        {
            "epoch": 3,
            "state_dict": {
                **under("module.encoder_q.", Q),
                **linear("module.encoder_q.fc", 128, 256),
                **under("module.encoder_k.", K),
            },
        },
        ("moco", "moco-v1", 3),
        {"projector", "momentum encoder"},
    ),
    "moco v3": (
        {
            "epoch": 100,
            "state_dict": {
                **under("module.base_encoder.", Q),
                **linear("module.base_encoder.fc.0", 64, 256, bias=False),
                **under("module.momentum_encoder.", K),
                **linear("module.predictor.0", 64, 64, bias=False),
            },
        },
        ("moco-v3", "moco-v3", 100),
        {"projector", "momentum encoder", "predictor"},
    ),
    "swav": ({**SWAV, **PROTOTYPES}, ("swav", "swav", None), {"projector", "prototypes"}),
    "swav, with a level": (
        {"epoch": 400, "state_dict": {**SWAV, **PROTOTYPES}, "amp": {"loss_scaler0": {"x": 1.0}}},
        ("swav", "swav", 400),
        {"projector", "prototypes"},
    ),
    "deepcluster": (
        {**SWAV, **MANY},
        ("swav", "deepcluster-v2", None),
        {"projector", "prototypes"},
    ),
    "simsiam": (
        {
            "epoch": 100,
            "state_dict": {
                **under("module.encoder.", Q),
                **SIMSIAM_FC,
                **linear("module.predictor.0", 64, 256, bias=False),
            },
        },
        ("simsiam", "simsiam", 100),
        {"projector", "predictor"},
    ),
    "barlow twins, bare": (Q, ("torchvision", "", None), set()),
    "barlow twins": (
        {"epoch": 300, "model": TWINS, "optimizer": MOMENTA},
        ("barlow-twins", "barlow-twins", 300),
        {"projector", "optimizer"},
    ),
    "vicreg": ({"epoch": 9, "model": VICREG}, ("vicreg", "vicreg", 9), {"projector"}),
    "byol from jax": (HAIKU, ("byol-torch", "", None), set()),
    "byol, online": (
        {
            **under("online_encoder.net.", Q),
            **linear("online_encoder.projector.0", 64, 256),
            **under("target_encoder.net.", K),
            **linear("online_predictor.net.0", 64, 64),
        },
        ("byol-online", "byol", None),
        {"projector", "momentum encoder", "predictor"},
    ),
    "dino": (
        {
            "student": {**under("module.backbone.", K), **under("module.", DINO_HEAD)},
            "teacher": {**under("backbone.", Q), **DINO_HEAD},
            "optimizer": MOMENTA,
            "epoch": 800,
            "dino_loss": {"center": torch.zeros(1, 9)},
        },
        ("dino", "dino", 800),
        {"student network", "projector", "optimizer", "other"},
    ),
    "vissl": (
        {
            "phase_idx": 799,
            "classy_state_dict": {
                "base_model": {"model": TRUNK},
                "loss": {"memory": torch.ones(2, 9)},
                "optimizer": MOMENTA,
            },
        },
        ("vissl", "", None),
        {"projector", "prototypes", "queue", "optimizer"},
    ),
    "the study": (
        {**under("model.", Q), **linear("model.fc.0", 64, 256), **linear("model.fc.2", 9, 64)},
        ("study", "", None),
        {"projector"},
    ),
    "lightly, numbered": (under("backbone.", numbered(Q)), ("lightly", "", None), set()),
    "lightly, bare": (numbered(Q), ("lightly", "", None), set()),
    "lightly": (
        {
            "pytorch-lightning_version": "2.1.0",
            "epoch": 9,
            "state_dict": {
                **under("backbone.", numbered(Q)),
                **linear("projection_head.layers.0", 64, 256),
                **under("backbone_momentum.", numbered(K)),
            },
        },
        ("lightly", "", None),
        {"projector", "momentum encoder"},
    ),
    "solo-learn": (
        {
            "pytorch-lightning_version": "1.6.4",
            "state_dict": {
                **under("backbone.", Q),
                **under("momentum_backbone.", K),
                **linear("projector.0", 64, 256),
                **linear("classifier", 10, 256),
            },
        },
        ("solo-learn", "", None),
        {"momentum encoder", "projector", "classifier"},
    ),
    "mmselfsup": (
        {
            "meta": {"epoch": 200, "iter": 1},
            "state_dict": {
                **under("backbone.", Q),
                **linear("neck.mlp.0", 64, 256),
                **under("encoder_k.0.", K),
                "queue": torch.ones(2, 9),
            },
        },
        ("mmpretrain", "", 200),
        {"projector", "momentum encoder", "queue"},
    ),
    "lightning": (
        {"pytorch-lightning_version": "2.0", "state_dict": under("learner.trunk.net.", Q)},
        ("lightning", "", None),
        set(),
    ),
    "wrappers": (
        under("_orig_mod.module._fsdp_wrapped_module.", Q),
        ("torchvision", "", None),
        set(),
    ),
    "ours": (under("backbone.network.", Q), ("vireo", "", None), set()),
    "our pre-training": (
        {
            "format": 1,
            "method": {
                **under("encoder.backbone.network.", Q),
                **under("key_encoder.backbone.network.", K),
                **linear("projector.0", 64, 256),
                "queue.columns": torch.ones(2, 9),
            },
            "optimizer": MOMENTA,
        },
        ("vireo", "", None),
        {"momentum encoder", "projector", "queue", "optimizer"},
    ),
    "any prefix": (under("some.thing.", Q), ("prefixed", "", None), set()),
}


def write(path, content):
    torch.save(content, path)
    return path


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_is_recognised_taken_apart_and_filled(tmp_path, layout):
    content, (name, method, epoch), kinds = LAYOUTS[layout]
    path = write(tmp_path / "x.pth", content)
    found = inspect(path)
    assert (found.refusal, found.format, found.epoch) == ("", name, epoch)
    assert set(found.left_over) == kinds
    own = read_checkpoint(path)
    assert own.method == method
    tensors = {n for n, t in _flat(content).items() if isinstance(t, torch.Tensor)}
    left = [n for names in found.left_over.values() for n in names]
    assert sorted([*own.names.values(), *left]) == sorted(tensors)
    encoder = open_encoder(f"file:{path}").freeze()
    assert encoder.card.architecture == (f"{TINY},same" if layout == "byol from jax" else TINY)
    assert (encoder.card.epochs, encoder.card.method) == (epoch, method or "unknown")
    assert encoder.card.weights == found.weights
    state = encoder.backbone.network.state_dict()
    assert set(state) == set(Q)
    for key in set(Q) - {key for key in Q if COUNTERS in key}:
        assert_close(state[key], Q[key], rtol=0, atol=0)


def _flat(value, path=""):
    if not isinstance(value, dict):
        return {path: value}
    parts = [_flat(child, f"{path}/{key}" if path else str(key)) for key, child in value.items()]
    return {name: leaf for part in parts for name, leaf in part.items()}


@pytest.mark.parametrize(
    ("layout", "take", "said"),
    [
        ("moco v2", "key", "momentum encoder (left: query encoder)"),
        ("moco v3", "momentum", "momentum encoder (left: base encoder)"),
        ("dino", "student", "student (left: teacher)"),
        ("byol, online", "target", "target encoder (left: online encoder)"),
        ("lightly", "momentum", "momentum backbone (left: backbone)"),
        ("solo-learn", "momentum", "momentum backbone (left: backbone)"),
        ("mmselfsup", "momentum", "momentum network (left: backbone)"),
        ("our pre-training", "key", "momentum encoder (left: encoder that is trained)"),
    ],
)
def test_the_other_network_can_be_taken(tmp_path, layout, take, said):
    path = write(tmp_path / "x.pth", LAYOUTS[layout][0])
    found = inspect(path, take=take)
    assert found.taken == said
    assert found.accepted
    encoder = open_encoder(EncoderSpec(spec=f"file:{path}", take=take))
    assert_close(encoder.backbone.network.state_dict()["conv1.weight"], K["conv1.weight"])


def test_a_word_for_no_network_of_the_file_is_refused_with_those_there_are(tmp_path):
    path = write(tmp_path / "x.pth", LAYOUTS["dino"][0])
    with pytest.raises(CheckpointError, match=r"'query'; it has 'teacher' \(teacher\), 'student'"):
        read_checkpoint(path, "query")


def test_of_two_networks_that_no_layout_tells_apart_one_must_be_named(tmp_path):
    path = write(tmp_path / "x.pth", {**under("left.", Q), **under("right.", K)})
    assert "2 networks, under 'left.', 'right.'" in inspect(path).refusal
    with pytest.raises(CheckpointError, match=r"set take = 'left\.'"):
        open_encoder(f"file:{path}")
    encoder = open_encoder(EncoderSpec(spec=f"file:{path}", take="right."))
    assert_close(encoder.backbone.network.state_dict()["conv1.weight"], K["conv1.weight"])


def test_format_names_are_unique_and_the_last_takes_anything():
    names = [layout.name for layout in FORMATS]
    assert len(set(names)) == len(names)
    assert (FORMATS[-1].marks, FORMATS[-1].lacks, FORMATS[-1].test) == ((), (), None)


def theirs(groups=1, width_per_group=64, width=16, stem=7):
    """torchvision's own layers at another width: as SwAV and VISSL build their wide ResNets."""
    net = ResNet(Bottleneck, [1, 1, 1, 1], groups=groups, width_per_group=width_per_group)
    net.inplanes = width
    small = stem == 3
    net.conv1 = nn.Conv2d(3, width, stem, 1 if small else 2, 1 if small else 3, bias=False)
    net.bn1 = nn.BatchNorm2d(width)
    net.maxpool = nn.Identity() if small else net.maxpool
    for index in range(4):
        stage = net._make_layer(Bottleneck, width * 2**index, index % 2 + 1, 1 + (index > 0))
        setattr(net, f"layer{index + 1}", stage)
    net.fc = nn.Linear(32 * width, 5)
    return net.eval()


@pytest.mark.parametrize(
    ("numbers", "name"),
    [
        ({"width": 32}, "width=32"),
        ({"width_per_group": 128}, "width=16,group_width=128"),
        ({"groups": 32, "width_per_group": 4}, "width=16,groups=32,group_width=4"),
        ({"stem": 3}, "width=16,stem=3"),
    ],
)
def test_a_resnets_numbers_are_read_off_and_its_features_are_torchvisions(tmp_path, numbers, name):
    net = theirs(**numbers)
    path = write(tmp_path / "x.pth", net.state_dict())
    encoder = open_encoder(f"file:{path}").freeze()
    assert encoder.card.architecture == f"resnet:1-2-1-2,bottleneck,{name}"
    images = torch.rand(1, 3, SIDE, SIDE)
    assert_close(encoder.classifier(encoder(images).pooled), net(images))


def test_padding_is_tensorflows_where_byol_was_converted():
    """Against padding by hand around torchvision's stem and pooling, at an even and an odd size."""
    encoder = build("resnet:1-1-1-1,width=8,same").freeze()
    net = encoder.backbone.network
    for size, pads in ((32, (2, 3)), (33, (3, 3))):
        images = torch.rand(1, 3, size, size)
        padded = nn.functional.pad(images, (*pads, *pads))
        expected = nn.functional.conv2d(padded, net.conv1.weight, stride=2)
        assert_close(net.conv1(images), expected)


def test_lightlys_own_small_resnets_lose_the_stems_relu(tmp_path):
    """lightly/models/resnet.py calls F.relu in forward; its tutorials keep only the children."""
    net = theirs(stem=3)
    children = nn.Sequential(net.conv1, net.bn1, net.layer1, net.layer2, net.layer3, net.layer4)
    names = {n: n.replace("downsample", "shortcut") for n in children.state_dict()}
    tensors = {f"backbone.{names[n]}": t for n, t in children.state_dict().items()}
    path = write(tmp_path / "x.pth", {**tensors, **linear("projection_head.layers.0", 8, 512)})
    found = inspect(path)
    assert (found.format, set(found.left_over)) == ("lightly-small", {"projector"})
    images = torch.rand(2, 3, SIDE, SIDE)
    encoder = open_encoder(f"file:{path}").freeze()
    assert_close(encoder(images).pooled, children(images).mean((2, 3)))


def vit(name, size, **numbers):
    import timm

    return timm.create_model(name, img_size=size, num_classes=0, **numbers).eval()


def test_moco_v3s_small_vit_has_twelve_heads(tmp_path):
    net = vit("vit_small_patch16_224", 32, num_heads=12)
    tensors = under("module.base_encoder.", net.state_dict())
    tensors |= linear("module.base_encoder.head.0", 8, 384, bias=False)
    path = write(tmp_path / "x.pth", {"epoch": 300, "arch": "vit_small", "state_dict": tensors})
    encoder = open_encoder(f"file:{path}").freeze()
    assert encoder.card.architecture == "vit:vit_small_patch16_224,heads=12,size=32"
    assert encoder.card.mean == (0.485, 0.456, 0.406)
    images = torch.rand(1, 3, 32, 32)
    assert_close(encoder(images).pooled, net(images))
    other = vit("vit_small_patch16_224", 32)
    other.load_state_dict(net.state_dict())
    assert (other(images) - net(images)).abs().max() > 1e-3, "heads change nothing: no test"


def dinov2_forward(net, images, registers):
    """DINOv2's own order: positions for class token and patches, then registers between."""
    x = net.patch_embed(images)
    x = torch.cat([net.cls_token, x], 1) + net.pos_embed
    x = torch.cat([x[:, :1], registers, x[:, 1:]], 1)
    for block in net.blocks:
        x = block(x)
    return net.norm(x)[:, 0]


def test_mmpretrains_moco_v3_has_twelve_heads_too(tmp_path):
    net = vit("vit_small_patch16_224", 32, num_heads=12)
    content = {
        "meta": {"epoch": 300},
        "state_dict": {
            **under("backbone.", {mm_name(n): t for n, t in net.state_dict().items()}),
            **linear("momentum_encoder.module.1.fc0", 4, 4),
            **linear("head.predictor.fc0", 4, 4),
        },
    }
    encoder = open_encoder(f"file:{write(tmp_path / 'x.pth', content)}").freeze()
    assert encoder.card.architecture == "vit:vit_small_patch16_224,heads=12,size=32"
    assert (encoder.card.method, encoder.card.epochs) == ("moco-v3", 300)
    images = torch.rand(1, 3, 32, 32)
    assert_close(encoder(images).pooled, net(images))


def test_dinov2_with_registers_and_chunks_gives_its_features(tmp_path):
    net = vit("vit_small_patch14_dinov2", 56)
    state = net.state_dict()
    registers = torch.rand(1, 4, 384)
    chunked = {
        f"blocks.{int(n.split('.')[1]) // 3}.{n[7:]}" if n.startswith("blocks.") else n: t
        for n, t in state.items()
    }
    extra = {"register_tokens": registers, "mask_token": torch.zeros(1, 384)}
    path = write(tmp_path / "x.pth", {**chunked, **extra})
    found = inspect(path)
    assert (found.format, found.left_over) == ("dinov2", {"mask token": ("mask_token",)})
    encoder = open_encoder(f"file:{path}").freeze()
    assert encoder.card.architecture == "vit:vit_small_patch14_reg4_dinov2,size=56"
    images = torch.rand(1, 3, 56, 56)
    assert_close(
        encoder(images).pooled, dinov2_forward(net, images, registers), rtol=1e-4, atol=1e-5
    )


def clip_names(state):
    """timm's names and shapes to those of OpenAI's image tower."""
    words = {
        "patch_embed.proj": "conv1",
        "cls_token": "class_embedding",
        "pos_embed": "positional_embedding",
        "norm_pre": "ln_pre",
        "blocks.": "transformer.resblocks.",
        "norm1": "ln_1",
        "norm2": "ln_2",
        "attn.qkv.": "attn.in_proj_",
        "attn.proj": "attn.out_proj",
        "mlp.fc1": "mlp.c_fc",
        "mlp.fc2": "mlp.c_proj",
    }
    renamed = {}
    for name, tensor in state.items():
        new = "ln_post" + name[4:] if name.startswith("norm.") else name
        for ours, their in words.items():
            new = new.replace(ours, their)
        small = {"cls_token": tensor.reshape(-1), "pos_embed": tensor[0]}
        renamed[f"visual.{new}"] = small.get(name, tensor)
    return renamed


def test_openais_clip_tower_gives_its_features(tmp_path):
    name = "vit_base_patch32_clip_quickgelu_224"
    net = vit(name, 64).half().float()  # OpenAI stores halves
    state = {n: t.half() for n, t in clip_names(net.state_dict()).items()}
    facts = {"input_resolution": torch.tensor(64), "visual.proj": torch.ones(768, 4)}
    path = write(tmp_path / "x.pt", {**state, **facts, "ln_final.weight": torch.ones(4)})
    encoder = open_encoder(f"file:{path}").freeze()
    assert encoder.card.architecture == f"vit:{name},size=64"
    assert encoder.card.mean == (0.48145466, 0.4578275, 0.40821073)
    images = torch.rand(1, 3, 64, 64)
    assert_close(encoder(images).pooled, net(images))


def test_open_clips_tower_must_be_named_as_no_tensor_shows_its_activation(tmp_path):
    with torch.device("meta"):
        shapes = vit("vit_base_patch16_clip_224", 224).state_dict()
    state = {n: torch.zeros(()).expand(t.shape) for n, t in clip_names(shapes).items()}
    extra = {"visual.proj": torch.ones(768, 4), "logit_scale": torch.tensor(4.6)}
    content = Content(tree={"epoch": 32, "state_dict": {**state, **extra}}, reader="torch")
    flat = flatten(content)
    found = unpack(content, flat, recognise(flat), path=tmp_path, take="")
    assert (found.format.name, found.method) == ("open-clip", "clip")
    with pytest.raises(CheckpointError, match=r"GELU .* or OpenAI's QuickGELU .*name the arch"):
        find_architecture(found, tmp_path)
    name = "vit_base_patch16_clip_quickgelu_224"
    (tmp_path / "config.json").write_text(json.dumps({"architecture": name}))
    assert find_architecture(found, tmp_path / "x.pt") == f"timm:{name}"
    assert found.left_over == {
        "projector": ("state_dict/visual.proj",),
        "text tower": ("state_dict/logit_scale",),
    }


def test_mae_leaves_its_decoder_and_counts_epochs_from_one(tmp_path):
    state = vit("vit_tiny_patch16_224", 32).state_dict()
    decoder = {**linear("decoder_embed", 8, 192), **linear("decoder_pred", 8, 8)}
    content = {"model": {**state, **decoder, "mask_token": torch.zeros(1, 1, 8)}, "epoch": 799}
    found = inspect(write(tmp_path / "x.pth", content))
    assert (found.format, found.epoch) == ("mae", 800)
    assert found.accepted
    assert set(found.left_over) == {"decoder", "mask token"}


def mm_name(name):
    """timm's name of a ViT's tensor to mmpretrain's."""
    words = {
        "patch_embed.proj": "patch_embed.projection",
        "norm1": "ln1",
        "norm2": "ln2",
        "mlp.fc1": "ffn.layers.0.0",
        "mlp.fc2": "ffn.layers.1",
        "blocks.": "layers.",
    }
    name = f"ln1{name[4:]}" if name.startswith("norm.") else name
    for ours, their in words.items():
        name = name.replace(ours, their)
    return name


def test_a_vit_of_mmpretrain_is_renamed_to_timms(tmp_path):
    net = vit("vit_tiny_patch16_224", 32)
    tensors = under("backbone.", {mm_name(n): t for n, t in net.state_dict().items()})
    content = {"meta": {"epoch": 100, "mmcv_version": "2.0"}, "state_dict": tensors}
    encoder = open_encoder(f"file:{write(tmp_path / 'x.pth', content)}").freeze()
    images = torch.rand(1, 3, 32, 32)
    assert_close(encoder(images).pooled, net(images))


@pytest.mark.parametrize("name", ["convnext_atto", "resnet10t", "convnextv2_atto"])
def test_other_networks_of_timm_are_found_by_their_family(tmp_path, name):
    state = build(f"timm:{name}").backbone.network.state_dict()
    assert inspect(write(tmp_path / "x.pth", state)).architecture == f"timm:{name}"


def test_a_config_beside_the_file_says_which_of_two_networks_alike_it_is(tmp_path):
    state = build("timm:mobilenetv3_small_050").backbone.network.state_dict()
    path = write(tmp_path / "x.pth", state)
    assert not inspect(path).accepted
    (tmp_path / "config.json").write_text(json.dumps({"architecture": "mobilenetv3_small_050"}))
    assert inspect(path).architecture == "timm:mobilenetv3_small_050"


def test_a_file_that_names_code_as_its_architecture_runs_none(tmp_path, monkeypatch):
    witness = tmp_path / "code-ran"
    (tmp_path / "their_builder.py").write_text(f"open({str(witness)!r}, 'w').close()\n")
    monkeypatch.syspath_prepend(tmp_path)
    broken = {name: tensor for name, tensor in Q.items() if name != "bn1.bias"}
    content = {"state_dict": broken, "arch": "their_builder:build"}
    assert not inspect(write(tmp_path / "x.pth", content)).accepted
    (tmp_path / "config.json").write_text(json.dumps({"architecture": "their_builder:build"}))
    assert not inspect(tmp_path / "x.pth").accepted
    assert not witness.exists()


def test_a_refusal_names_the_closest_network_and_both_shapes(tmp_path):
    broken = {name: tensor for name, tensor in Q.items() if name != "bn1.bias"}
    broken["layer4.0.conv2.weight"] = torch.zeros(64, 64, 1, 1)
    broken["layer1.1.extra"] = torch.zeros(2)
    found = inspect(write(tmp_path / "x.pth", broken))
    assert (found.accepted, found.architecture, found.weights) == (False, "", "")
    assert found.closest == TINY
    assert found.missing == ("bn1.bias",)
    assert found.misshapen == (
        "layer4.0.conv2.weight (file 64 x 64 x 1 x 1, network 64 x 64 x 3 x 3)",
    )
    assert found.too_many == ("layer1.1.extra",)
    assert f"Closest is '{TINY}'" in found.refusal


def test_squeeze_and_excitation_is_no_plain_resnet(tmp_path):
    extra = {f"layer1.0.se.{name}": tensor for name, tensor in linear("fc1", 4, 32).items()}
    found = inspect(write(tmp_path / "x.pth", {**Q, **extra}))
    assert not found.accepted
    assert found.too_many == ("layer1.0.se.fc1.weight", "layer1.0.se.fc1.bias")


def test_an_architecture_that_is_named_is_the_one_compared(tmp_path):
    found = inspect(write(tmp_path / "x.pth", Q), "resnet18")
    assert (found.closest, found.accepted) == ("resnet18", False)
    assert found.misshapen


def test_numbers_that_are_not_finite_refuse_a_file_that_fits(tmp_path):
    path = write(tmp_path / "x.pth", {**Q, "bn1.bias": torch.full((8,), torch.nan)})
    found = inspect(path)
    assert not found.accepted
    assert "'bn1.bias' holds NaN" in found.refusal


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (MOMENTA, "holds an optimiser's state and no network"),
        ({"optimizer": MOMENTA, "epoch": 3}, "holds an optimiser's state and no network"),
        (linear("fc", 10, 64), "holds no backbone, only: classifier"),
        (linear("projector.0", 10, 64), "holds no backbone, only: projector"),
        ({"epoch": 3, "args": {"lr": 0.1}}, "has no named tensors; it has: args, epoch"),
    ],
)
def test_files_without_a_backbone_get_their_own_sentence(tmp_path, content, said):
    path = write(tmp_path / "x.pth", content)
    assert said in inspect(path).refusal
    with pytest.raises(CheckpointError, match=said):
        open_encoder(f"file:{path}")


def test_position_tables_of_older_files_are_left_over(tmp_path):
    state = {**Q, "layer1.0.relative_position_index": torch.zeros(4, 4)}
    found = inspect(write(tmp_path / "x.pth", state))
    assert found.left_over == {"position buffers": ("layer1.0.relative_position_index",)}
    assert found.accepted


def test_every_encoder_written_by_us_can_be_read_as_a_file(tmp_path):
    from vireo.encoders import save_encoder

    encoder = build("resnet20", seed=3)
    save_encoder(encoder, Path(tmp_path))
    again = open_encoder(f"file:{tmp_path / 'encoder.safetensors'}")
    assert again.card.weights == encoder.card.weights
