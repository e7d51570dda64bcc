"""Files of mmengine's Runner: mmpretrain's MoCo and a transformer under its own names."""

import numpy as np
import torch
from tests.encoders.layouts.parts import (
    DIM,
    Case,
    Layout,
    fan_out,
    foreign,
    holder,
    mlp,
    optimizer,
    resnet,
    state,
)
from tests.encoders.layouts.transformers import QKV, TINY, vit
from torch import nn

CONV = "layer3.0.conv2.weight"


def mmpretrain_moco() -> Case:
    """MoCo of mmpretrain: backbone, neck, an averaged copy of both, and mmengine's message hub.

    open-mmlab/mmpretrain: mmpretrain/models/selfsup/moco.py (`encoder_k` averages
    `nn.Sequential(backbone, neck)`); open-mmlab/mmengine: mmengine/runner/runner.py
    (`save_checkpoint`), mmengine/logging/history_buffer.py (arrays of NumPy, and methods that
    pickle as calls of getattr).
    """
    net, average = resnet(1), resnet(2)
    neck = mlp(fan_out(net), DIM, 32, norm=False, bias=True)
    model = holder(
        queue=torch.randn(32, 16),
        queue_ptr=torch.zeros(1, dtype=torch.long),
        backbone=net,
        neck=holder(mlp=neck),
        encoder_k=holder(steps=torch.tensor(9), module=nn.Sequential(average, holder(mlp=neck))),
    )
    history = foreign("mmengine.logging.history_buffer.HistoryBuffer", method="mean")
    losses = history()
    losses.__dict__.update(
        _max_length=1000000,
        _log_history=np.ones(3),
        _count_history=np.ones(3, dtype=np.int64),
        statistics_methods={"mean": history.mean},  # type: ignore[attr-defined]
    )
    tensors = state(model)
    content = {
        "meta": {"epoch": 200, "iter": 1000, "mmengine_version": "0.7.3", "cfg": "model = dict()"},
        "state_dict": tensors,
        "message_hub": {"log_scalars": {"train/loss": losses}, "runtime_info": {"epoch": 199}},
        "optimizer": optimizer(model),
        "param_schedulers": [{"last_step": 200, "_global_step": 201}],
    }
    return Case(
        content=content,
        pooled=net,
        other=average,
        state=tensors,
        victim="backbone." + CONV,
    )


MMPRETRAIN = {
    "patch_embed.proj.": "patch_embed.projection.",
    "blocks.": "layers.",
    "norm1.": "ln1.",
    "norm2.": "ln2.",
    "mlp.fc1.": "ffn.layers.0.0.",
    "mlp.fc2.": "ffn.layers.1.",
}


def mmpretrain_vit() -> Case:
    """A DeiT-Ti of mmpretrain: layers, ln1, ffn; the classifier under head.layers.head.

    open-mmlab/mmpretrain: mmpretrain/models/backbones/vision_transformer.py
    (TransformerEncoderLayer, `norm1` is `ln1`), heads/vision_transformer_head.py;
    open-mmlab/mmengine: mmengine/runner/runner.py (`save_checkpoint`).
    """
    net = vit(1, TINY)
    tensors = {}
    for name, tensor in state(net).items():
        theirs = name.replace("norm.", "ln1.") if name.startswith("norm.") else name
        for old, new in MMPRETRAIN.items():
            theirs = theirs.replace(old, new)
        tensors["backbone." + theirs] = tensor
    tensors["head.layers.head.weight"] = torch.randn(1000, 192)
    tensors["head.layers.head.bias"] = torch.zeros(1000)
    content = {
        "meta": {"epoch": 300, "iter": 375000, "mmengine_version": "0.7.3", "seed": 1},
        "state_dict": tensors,
    }
    victim = "backbone.layers.3.attn.qkv.weight"
    return Case(content=content, pooled=net, state=tensors, victim=victim, standard=QKV)


MOMENTUM = frozenset({"momentum encoder"})

PROJECTOR = frozenset({"projector"})

MMPRETRAIN_LAYOUTS = (
    Layout(
        name="mmpretrain-moco",
        formats=("mmpretrain",),
        make=mmpretrain_moco,
        epoch=200,
        kinds=PROJECTOR | MOMENTUM | {"queue"},
        taken="backbone",
        take="momentum",
        foreign=("mmengine.logging.history_buffer.HistoryBuffer",),
    ),
    Layout(
        name="mmpretrain-vit",
        formats=("mmpretrain",),
        make=mmpretrain_vit,
        epoch=300,
        kinds=frozenset({"classifier"}),
        size=224,
    ),
)
