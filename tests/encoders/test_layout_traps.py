"""Where a checkpoint loads silently wrong elsewhere: each of these must be right or be refused."""

import pytest
import timm
import torch
from tests.encoders.layouts import LAYOUTS, clustering, lightning, transformers
from tests.encoders.layouts.parts import (
    extended,
    fan_out,
    holder,
    mlp,
    resnet,
    small_resnet,
    state,
    write,
)
from torch import nn
from torch.testing import assert_close

from vireo.encoders import open_encoder
from vireo.encoders.inspecting import inspect
from vireo.errors import CheckpointError
from vireo.records import EncoderSpec

IMAGES = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(4))
BY_NAME = {layout.name: layout for layout in LAYOUTS}


def features(encoder, images=IMAGES):
    with torch.no_grad():
        return encoder.freeze().backbone(images, False).pooled


def original(network, images=IMAGES):
    with torch.no_grad():
        return network(images)


@pytest.mark.parametrize(
    "name",
    ["moco-v1", "moco-v2", "moco-v3", "simsiam", "study-moco", "exemplar", "byol-lucidrains"],
)
def test_a_projector_in_place_of_fc_is_no_classifier(name, tmp_path):
    case = BY_NAME[name].make()
    encoder = open_encoder(f"file:{write(tmp_path / 'x.pth', case.content)}")
    assert encoder.classifier is None


@pytest.mark.parametrize(
    ("name", "classes"),
    [("torchvision", 7), ("torchvision-references", 7), ("timm-ema", 7), ("akamaster", 10)],
)
def test_a_trained_classifier_is_kept(name, classes, tmp_path):
    case = BY_NAME[name].make()
    encoder = open_encoder(f"file:{write(tmp_path / 'x.pth', case.content)}")
    assert encoder.classifier.out_features == classes
    tensors = case.state
    weight = next(tensors[key] for key in tensors if key.endswith(("fc.weight", "linear.weight")))
    assert_close(encoder.classifier.weight.data, weight)


def test_the_twelve_heads_of_moco_v3_are_counted_though_no_tensor_tells(tmp_path):
    case = transformers.moco_v3("vit_small_patch16_224", num_heads=12)
    path = write(tmp_path / "vit-s-300ep.pth.tar", case.content)
    encoder = open_encoder(f"file:{path}")
    images = torch.rand(1, 3, 224, 224)
    six = timm.create_model("vit_small_patch16_224", num_classes=0).eval()
    six.load_state_dict(case.pooled.state_dict())
    assert_close(features(encoder, images), original(case.pooled, images), atol=2e-5, rtol=1e-4)
    assert (features(encoder, images) - original(six, images)).abs().max() > 2e-3


@pytest.mark.parametrize(
    ("width", "inner"), [(0.5, 1), (0.25, 2), (0.5, 2)], ids=["swav-w2", "torchvision-wide", "both"]
)
def test_wide_networks_are_told_from_each_other_by_their_shapes(width, inner, tmp_path):
    # SwAV's w2 scales stem and planes; torchvision's wide ResNets only the 3x3 convolutions; the
    # first version of facebookresearch/swav's src/resnet50.py had both.
    case = clustering.swav(released=True, width=width, inner=inner)
    encoder = open_encoder(f"file:{write(tmp_path / 'x.pth', case.content)}")
    assert_close(features(encoder), original(case.pooled), atol=2e-5, rtol=1e-4)
    assert encoder.card.channels[0] == int(64 * width)


@pytest.mark.parametrize(
    ("name", "depths", "bottleneck"),
    [("resnet18", (2, 2, 2, 2), False), ("resnet50", (3, 4, 6, 3), True)],
)
def test_networks_that_have_a_name_get_it(name, depths, bottleneck, tmp_path):
    net = resnet(5, depths=depths, bottleneck=bottleneck, width=1)
    tensors = {f"module.encoder_q.{k}": v for k, v in net.state_dict().items()}
    found = inspect(write(tmp_path / "x.pth", {"state_dict": tensors, "arch": name}))
    assert (found.accepted, found.architecture) == (True, name)


def test_another_depth_than_the_named_one_is_refused(tmp_path):
    net = resnet(1, depths=(1, 1, 1, 2))
    tensors = {f"module.{name}": tensor for name, tensor in state(net).items()}
    path = write(tmp_path / "x.pth", {"state_dict": tensors})
    deeper, shallower = "resnet:1-1-1-2,width=16", "resnet:1-1-1-1,width=16"
    assert inspect(path, deeper).accepted
    found = inspect(path, shallower)
    assert not found.accepted
    assert any("layer4.1." in name for name in found.too_many)
    with pytest.raises(CheckpointError, match=r"layer4\.1\."):
        open_encoder(EncoderSpec(spec=f"file:{path}", architecture=shallower))


def test_half_a_block_more_is_refused(tmp_path):
    tensors = state(resnet(1))
    tensors["layer4.1.conv1.weight"] = torch.zeros(128, 128, 3, 3)
    path = write(tmp_path / "x.pth", tensors)
    assert not inspect(path).accepted
    with pytest.raises(CheckpointError, match=r"layer4\.1\."):
        open_encoder(f"file:{path}")


def test_the_padding_of_solo_learns_small_stem_is_not_that_of_others(tmp_path):
    case = lightning.solo_learn(cifar=True)
    path = write(tmp_path / "x.ckpt", case.content)
    images = torch.rand(2, 3, 32, 32)
    one = small_resnet(1, padding=1)
    got = features(open_encoder(f"file:{path}"), images)
    assert_close(got, original(case.pooled, images), atol=2e-5, rtol=1e-4)
    assert (got - original(one, images)).abs().max() > 0.01


@pytest.mark.parametrize("chunked", [False, True], ids=["released", "training"])
def test_dinov2_with_its_mask_token_and_its_chunks_of_blocks(chunked, tmp_path):
    # facebookresearch/dinov2: dinov2/models/vision_transformer.py (mask_token; BlockChunk keeps a
    # block's own number: blocks.1.3), dinov2/train/train.py (`torch.save({"teacher": ...})`).
    with torch.device("meta"):
        net = timm.create_model("vit_small_patch14_dinov2", num_classes=0)
    tensors = {
        name: torch.zeros(part.shape, dtype=torch.half) for name, part in net.state_dict().items()
    }
    tensors["mask_token"] = torch.zeros(1, 384)
    content = tensors
    if chunked:
        teacher = {}
        for name, tensor in tensors.items():
            parts = name.split(".")
            if parts[0] == "blocks":
                parts.insert(1, str(int(parts[1]) // 3))
            teacher[".".join(["backbone", *parts])] = tensor
        teacher["dino_head.mlp.0.weight"] = torch.zeros(8, 384)
        teacher["dino_head.last_layer.weight_g"] = torch.zeros(8, 1)
        content = {"teacher": teacher}
    found = inspect(write(tmp_path / "x.pth", content))
    assert found.accepted, found.refusal
    assert found.architecture.endswith("vit_small_patch14_dinov2")
    left = [name for names in found.left_over.values() for name in names]
    assert any("mask_token" in name for name in left)
    assert chunked == bool(found.left_over.get("projector"))


@pytest.mark.parametrize("name", ["simclr-1x", "simclr-2x", "simclr-v2"])
def test_googles_simclr_sees_images_between_zero_and_one(name, tmp_path):
    # google-research/simclr: data_util.py clips to [0, 1] and subtracts no mean.
    case = BY_NAME[name].make()
    card = open_encoder(f"file:{write(tmp_path / 'x.pth', case.content)}").card
    assert (card.mean, card.std) == ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))


@pytest.mark.parametrize("name", ["moco-v2", "swav", "dino-resnet", "vissl-pirl", "study-swav"])
def test_self_supervised_encoders_see_images_normalised_as_imagenets(name, tmp_path):
    case = BY_NAME[name].make()
    card = open_encoder(f"file:{write(tmp_path / 'x.pth', case.content)}").card
    assert (card.mean, card.std) == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def test_files_of_before_batch_norms_counted_are_whole(tmp_path):
    # pytorch/vision's resnet50-19c8e357.pth is older than num_batches_tracked.
    case = BY_NAME["torchvision"].make()
    for name in [name for name in case.state if name.endswith("num_batches_tracked")]:
        del case.state[name]
    encoder = open_encoder(f"file:{write(tmp_path / 'x.pth', case.content)}")
    assert_close(features(encoder), original(case.pooled), atol=2e-5, rtol=1e-4)


def clip_text():
    """The tower of words that every file of CLIP has beside the images'."""
    block = holder(
        attn=nn.MultiheadAttention(16, 2),
        ln_1=nn.LayerNorm(16),
        mlp=holder(c_fc=nn.Linear(16, 64), c_proj=nn.Linear(64, 16)),
        ln_2=nn.LayerNorm(16),
    )
    return {
        "positional_embedding": torch.zeros(77, 16),
        "text_projection": torch.zeros(16, 32),
        "logit_scale": torch.zeros(()),
        "transformer": holder(resblocks=nn.ModuleList([block])),
        "token_embedding": nn.Embedding(9, 16),
        "ln_final": nn.LayerNorm(16),
    }


@pytest.mark.parametrize("wrapped", [False, True], ids=["openai", "open-clip"])
def test_clips_resnet_is_refused_and_never_half_loaded(wrapped, tmp_path):
    # openai/CLIP: clip/model.py (ModifiedResNet: three convolutions as stem, attention pooling);
    # mlfoundations/open_clip: src/open_clip_train/main.py (epoch, name, state_dict, optimizer).
    net = resnet(1, bottleneck=True)
    width, stem = fan_out(net), 16
    visual = extended(
        net,
        conv1=nn.Conv2d(3, stem // 2, 3, bias=False),
        bn1=nn.BatchNorm2d(stem // 2),
        conv2=nn.Conv2d(stem // 2, stem // 2, 3, bias=False),
        bn2=nn.BatchNorm2d(stem // 2),
        conv3=nn.Conv2d(stem // 2, stem, 3, bias=False),
        bn3=nn.BatchNorm2d(stem),
        attnpool=holder(
            positional_embedding=torch.zeros(50, width),
            **{f"{part}_proj": nn.Linear(width, width) for part in "kqvc"},
        ),
    )
    tensors = state(holder(visual=visual, **clip_text()))
    content = {"epoch": 32, "name": "RN50", "state_dict": tensors} if wrapped else tensors
    path = write(tmp_path / "RN50.pt", content)
    found = inspect(path)
    assert not found.accepted
    with pytest.raises(CheckpointError):
        open_encoder(f"file:{path}")


def test_a_network_under_two_unknown_names_is_refused_rather_than_chosen(tmp_path):
    first, second = resnet(1), resnet(2)
    model = holder(left=first, right=second, head=mlp(fan_out(first), 8, 8))
    path = write(tmp_path / "x.pth", {"state_dict": state(model)})
    assert not inspect(path).accepted
    with pytest.raises(CheckpointError):
        open_encoder(f"file:{path}")


def test_the_restricted_reader_says_which_classes_it_left_alone(tmp_path):
    plain, foreign = BY_NAME["vissl-pirl"].make(), BY_NAME["vissl-moco"].make()
    easy = inspect(write(tmp_path / "pirl.torch", plain.content))
    hard = inspect(write(tmp_path / "moco.torch", foreign.content))
    assert (easy.foreign, hard.foreign) == ((), ("vissl.utils.hydra_config.AttrDict",))
    assert easy.reader != hard.reader
    assert easy.weights == hard.weights != ""
