"""Vision transformers and their two networks: DINO, iBOT, MoCo v3, MAE."""

import functools
from typing import Any

import timm
import torch
from tests.encoders.layouts.parts import (
    DIM,
    Case,
    Layout,
    extended,
    fan_out,
    holder,
    mlp,
    namespace,
    optimizer,
    resnet,
    shake,
    state,
)
from torch import nn

QKV = "blocks.3.attn.qkv.weight"


TINY = "vit_tiny_patch16_224"


# six blocks of 64 channels at 160 x 160: timm's network for its tests
SMALL = "test_vit"


@functools.cache
def vit(seed: int, name: str = SMALL, **options: Any) -> nn.Module:
    """Build timm's transformer without classifier, seeded, norms not at their start."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        net = timm.create_model(name, num_classes=0, **options)
        net.cls_token.data.normal_(0, 0.2)
        return shake(net)  # type: ignore[no-any-return]


def normed(inputs: int, outputs: int) -> nn.Module:
    """Name a linear layer under weight norm: weight_g and weight_v."""
    return holder(weight_g=torch.ones(outputs, 1), weight_v=torch.randn(outputs, inputs))


def dino_head(inputs: int, **more: nn.Module) -> nn.Module:
    """DINO's head: an MLP of three layers with GELU, then a layer under weight norm."""
    layers = mlp(inputs, DIM, DIM, 16, norm=False, bias=True)
    return holder(mlp=layers, last_layer=normed(16, 24), **more)


def dino(student: nn.Module, teacher: nn.Module, width: int, wrapped: bool) -> Case:
    """DINO's checkpoint.pth; the teacher is inside DDP only where it has batch norms.

    facebookresearch/dino: main_dino.py (`save_dict`; "we need DDP wrapper to have synchro batch
    norms working"), utils.py (MultiCropWrapper: backbone and head), vision_transformer.py
    (DINOHead).
    """
    pupil = holder(module=holder(backbone=student, head=dino_head(width)))
    master = holder(backbone=teacher, head=dino_head(width))
    content = {
        "student": state(pupil),
        "teacher": state(holder(module=master) if wrapped else master),
        "optimizer": optimizer(pupil),
        "epoch": 800,
        "args": namespace(arch="resnet50" if wrapped else "vit_tiny", patch_size=16),
        "dino_loss": {"center": torch.zeros(1, 24)},
        "fp16_scaler": {"scale": 65536.0, "_growth_tracker": 5},
    }
    prefix = "module.backbone." if wrapped else "backbone."
    name = "layer3.0.conv2.weight" if wrapped else QKV
    return Case(
        content=content,
        pooled=teacher,
        other=student,
        state=content["teacher"],
        victim=prefix + name,
        standard=name,
    )


def dino_vit() -> Case:
    """DINO of a ViT-Ti: the teacher's names have no "module."."""
    return dino(vit(1, TINY), vit(2, TINY), 192, wrapped=False)


def dino_resnet() -> Case:
    """DINO of a ResNet: the teacher's names have "module." too."""
    return dino(resnet(1), resnet(2), fan_out(resnet(1)), wrapped=True)


def dino_backbone() -> Case:
    """The released backbone: its state dict alone, names of timm.

    facebookresearch/dino: hubconf.py (`model.load_state_dict(state_dict, strict=True)`).
    """
    net = vit(1)
    tensors = state(net)
    return Case(content=tensors, pooled=net, state=tensors, victim=QKV, standard=QKV)


def ibot() -> Case:
    """iBOT's checkpoint.pth: the student has a mask token more, the teacher's heads are shared.

    bytedance/ibot: main_ibot.py (`save_dict`), models/vision_transformer.py (masked_embed),
    models/head.py (last_layer2; the same layer where heads are shared).
    """
    student, teacher = vit(1), vit(2)
    shared = dino_head(64)
    shared.add_module("last_layer2", shared.last_layer)
    backbone = extended(student, masked_embed=torch.zeros(1, 64))
    pupil = holder(module=holder(backbone=backbone, head=dino_head(64, last_layer2=normed(16, 24))))
    content = {
        "student": state(pupil),
        "teacher": state(holder(backbone=teacher, head=shared)),
        "optimizer": optimizer(pupil),
        "epoch": 300,
        "args": namespace(arch="vit_tiny", patch_size=16, shared_head=False),
        "ibot_loss": {"center": torch.zeros(1, 24), "center2": torch.zeros(1, 1, 24)},
        "fp16_scaler": {"scale": 65536.0, "_growth_tracker": 5},
    }
    return Case(
        content=content,
        pooled=teacher,
        other=student,
        state=content["teacher"],
        victim="backbone." + QKV,
        standard=QKV,
    )


def ibot_teacher() -> Case:
    """iBOT's released teacher: the backbone under "state_dict".

    bytedance/ibot: README.md (checkpoint_teacher.pth), analysis/combine_ckpt.py.
    """
    net = vit(2)
    tensors = state(net)
    return Case(
        content={"state_dict": tensors}, pooled=net, state=tensors, victim=QKV, standard=QKV
    )


def moco_v3(name: str = SMALL, **options: Any) -> Case:
    """MoCo v3 with a ViT: the projector of three layers in place of head.

    facebookresearch/moco-v3: main_moco.py, moco/builder.py (`_init_encoders_with_vit`), vits.py
    (vit_small has 12 heads, of which no tensor tells).
    """
    base, momentum = vit(1, name, **options), vit(2, name, **options)
    width = int(base.num_features)
    model = holder(
        module=holder(
            base_encoder=extended(base, head=mlp(width, DIM, DIM, 32, last_norm=True)),
            momentum_encoder=extended(momentum, head=mlp(width, DIM, DIM, 32, last_norm=True)),
            predictor=mlp(32, DIM, 32, last_norm=True),
        )
    )
    content = {
        "epoch": 300,
        "arch": "vit_small",
        "state_dict": state(model),
        "optimizer": optimizer(model),
        "scaler": {"scale": 65536.0, "_growth_tracker": 5},
    }
    tensors = content["state_dict"]
    victim = "module.base_encoder." + QKV
    return Case(
        content=content,
        pooled=base,
        other=momentum,
        state=tensors,
        victim=victim,
        standard=QKV,
    )


def mae() -> Case:
    """MAE's checkpoint: a decoder and its mask token beside the encoder's names of timm.

    facebookresearch/mae: util/misc.py (`save_model`), models_mae.py (decoder_embed, mask_token,
    decoder_pos_embed, decoder_blocks, decoder_norm, decoder_pred).
    """
    net = vit(1)
    block = timm.models.vision_transformer.Block(32, 2)
    model = extended(
        net,
        mask_token=torch.zeros(1, 1, 32),
        decoder_pos_embed=torch.zeros(1, 101, 32),
        decoder_embed=nn.Linear(64, 32),
        decoder_blocks=nn.ModuleList([block]),
        decoder_norm=nn.LayerNorm(32),
        decoder_pred=nn.Linear(32, 768),
    )
    content = {
        "model": state(model),
        "optimizer": optimizer(model),
        "epoch": 799,
        "scaler": {"scale": 65536.0, "_growth_tracker": 5},
        "args": namespace(model="mae_vit_base_patch16", mask_ratio=0.75),
    }
    return Case(content=content, pooled=net, state=content["model"], victim=QKV, standard=QKV)


ARGS = ("argparse.Namespace",)

HEAD = frozenset({"projector", "momentum encoder"})

TRANSFORMERS = (
    Layout(
        name="dino-vit",
        formats=("dino",),
        make=dino_vit,
        epoch=800,
        kinds=frozenset({"projector"}),
        taken="teacher",
        take="student",
        foreign=ARGS,
        size=224,
    ),
    Layout(
        name="dino-resnet",
        formats=("dino",),
        make=dino_resnet,
        epoch=800,
        kinds=frozenset({"projector"}),
        taken="teacher",
        take="student",
        foreign=ARGS,
    ),
    Layout(
        name="dino-backbone",
        formats=("self-supervised-vit",),
        make=dino_backbone,
        named="timm:test_vit",
        size=160,
    ),
    Layout(
        name="ibot",
        formats=("dino",),
        make=ibot,
        epoch=300,
        kinds=frozenset({"projector"}),
        taken="teacher",
        take="student",
        foreign=ARGS,
        named="timm:test_vit",
        size=160,
    ),
    Layout(
        name="ibot-teacher",
        formats=("self-supervised-vit",),
        make=ibot_teacher,
        named="timm:test_vit",
        size=160,
    ),
    Layout(
        name="moco-v3-vit",
        formats=("moco-v3",),
        make=moco_v3,
        epoch=300,
        kinds=HEAD | {"predictor"},
        taken="base",
        take="momentum",
        named="timm:test_vit",
        size=160,
    ),
    Layout(
        name="mae",
        formats=("mae",),
        make=mae,
        epoch=800,
        kinds=frozenset({"decoder"}),
        foreign=ARGS,
        named="timm:test_vit",
        size=160,
    ),
)
