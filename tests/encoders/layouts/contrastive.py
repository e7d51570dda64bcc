"""Contrastive ResNets as their authors' code saves them: MoCo, SimSiam, Exemplar, the study's."""

import torch
from tests.encoders.layouts.clustering import swav
from tests.encoders.layouts.parts import (
    DIM,
    Case,
    Layout,
    extended,
    fan_out,
    holder,
    mlp,
    optimizer,
    resnet,
    state,
)
from torch import nn

CONV = "layer3.0.conv2.weight"


def moco(mlp_head: bool) -> Case:
    """MoCo v1 and v2, written by `save_checkpoint` from inside DistributedDataParallel.

    facebookresearch/moco: main_moco.py (top-level keys), moco/builder.py (encoder_q, encoder_k, the
    MLP of v2 in place of fc, queue).
    """
    query, key = resnet(1), resnet(2)
    width = fan_out(query)

    def head() -> nn.Module:
        return mlp(width, width, DIM, norm=False, bias=True) if mlp_head else nn.Linear(width, DIM)

    model = holder(
        module=holder(
            queue=torch.randn(DIM, 16),
            queue_ptr=torch.zeros(1, dtype=torch.long),
            encoder_q=extended(query, fc=head()),
            encoder_k=extended(key, fc=head()),
        )
    )
    content = {
        "epoch": 200,
        "arch": "resnet18",
        "state_dict": state(model),
        "optimizer": optimizer(model),
    }
    return Case(
        content=content,
        pooled=query,
        other=key,
        state=content["state_dict"],
        victim="module.encoder_q." + CONV,
    )


def moco_v3() -> Case:
    """MoCo v3 with a ResNet: the projector in place of fc, a predictor, a gradient scaler.

    facebookresearch/moco-v3: main_moco.py, moco/builder.py (`_init_encoders_with_resnet`,
    `_build_mlp`: the last batch norm has no weights).
    """
    base, momentum = resnet(1), resnet(2)
    width = fan_out(base)
    model = holder(
        module=holder(
            base_encoder=extended(base, fc=mlp(width, DIM, 32, last_norm=True)),
            momentum_encoder=extended(momentum, fc=mlp(width, DIM, 32, last_norm=True)),
            predictor=mlp(32, DIM, 32, last_norm=True),
        )
    )
    content = {
        "epoch": 300,
        "arch": "resnet50",
        "state_dict": state(model),
        "optimizer": optimizer(model),
        "scaler": {"scale": 65536.0, "growth_factor": 2.0, "_growth_tracker": 5},
    }
    return Case(
        content=content,
        pooled=base,
        other=momentum,
        state=content["state_dict"],
        victim="module.base_encoder." + CONV,
    )


def simsiam() -> Case:
    """SimSiam: a projector of three layers in place of fc, a predictor.

    facebookresearch/simsiam: main_simsiam.py, simsiam/builder.py.
    """
    encoder = resnet(1)
    width = fan_out(encoder)
    projector = mlp(width, width, width, DIM, last_norm=True)
    projector[6] = nn.Linear(width, DIM)  # the encoder's own fc, the only one with a bias
    model = holder(
        module=holder(
            encoder=extended(encoder, fc=projector),
            predictor=nn.Sequential(
                nn.Linear(DIM, 16, bias=False), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, DIM)
            ),
        )
    )
    content = {
        "epoch": 100,
        "arch": "resnet50",
        "state_dict": state(model),
        "optimizer": optimizer(model, fix_lr=False),
    }
    return Case(
        content=content,
        pooled=encoder,
        state=content["state_dict"],
        victim="module.encoder." + CONV,
    )


def exemplar() -> Case:
    """Exemplar v1 and v2: a MoCo-like model's network inside DataParallel.

    nanxuanzhao/Good_transfer: code_reconstruction_DIP/reconstruction.py (reads "model", then
    "state_dict"; drops fc and "module.").
    """
    net = resnet(1)
    head = mlp(fan_out(net), fan_out(net), DIM, norm=False, bias=True)
    tensors = state(holder(module=extended(net, fc=head)))
    return Case(content={"model": tensors}, pooled=net, state=tensors, victim="module." + CONV)


def study(method: str) -> Case:
    """The study's released files: "module." or "module.encoder_q." turned into "model.".

    allenai/ViRB: scripts/swav_to_virb.py and scripts/moco_to_virb.py (the dictionary alone is
    saved), models/ResNet50Encoder.py (`self.model`).
    """
    source = swav(released=True) if method == "swav" else moco(mlp_head=True)
    old = "module." if method == "swav" else "module.encoder_q."
    tensors = {
        name.replace(old, "model."): tensor for name, tensor in source.state.items() if old in name
    }
    return Case(content=tensors, pooled=source.pooled, state=tensors, victim="model." + CONV)


MOMENTUM = frozenset({"momentum encoder"})

PROJECTOR = frozenset({"projector"})

CONTRASTIVE = (
    Layout(
        name="moco-v1",
        formats=("moco",),
        make=lambda: moco(False),
        epoch=200,
        kinds=PROJECTOR | MOMENTUM | {"queue"},
        taken="query",
        take="key",
        legacy=True,
    ),
    Layout(
        name="moco-v2",
        formats=("moco",),
        make=lambda: moco(True),
        epoch=200,
        kinds=PROJECTOR | MOMENTUM | {"queue"},
        taken="query",
        take="key",
        legacy=True,
    ),
    Layout(
        name="moco-v3",
        formats=("moco-v3",),
        make=moco_v3,
        epoch=300,
        kinds=PROJECTOR | MOMENTUM | {"predictor"},
        taken="base",
        take="momentum",
    ),
    Layout(
        name="simsiam",
        formats=("simsiam",),
        make=simsiam,
        epoch=100,
        kinds=PROJECTOR | {"predictor"},
    ),
    Layout(
        name="exemplar",
        formats=("torchvision",),
        make=exemplar,
        kinds=PROJECTOR,
        legacy=True,
    ),
    Layout(
        name="study-swav",
        formats=("study",),
        make=lambda: study("swav"),
        kinds=PROJECTOR | {"prototypes"},
        legacy=True,
    ),
    Layout(
        name="study-moco",
        formats=("study",),
        make=lambda: study("moco"),
        kinds=PROJECTOR,
        legacy=True,
    ),
)
