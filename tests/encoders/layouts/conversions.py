"""BYOL and SimCLR in torch, by those who wrote them again or turned Google's files into torch's."""

import torch
from tests.encoders.layouts.parts import (
    DIM,
    Case,
    Layout,
    extended,
    fan_out,
    holder,
    mlp,
    numbered,
    optimizer,
    resnet,
    state,
)
from torch import Tensor, nn

CONV = "layer3.0.conv2.weight"


def byol_lucidrains() -> Case:
    """BYOL of byol-pytorch: the learner keeps the network twice, as net and in online_encoder.

    lucidrains/byol-pytorch: byol_pytorch/byol_pytorch.py (BYOL, NetWrapper, MLP).
    """
    online, target = resnet(1), resnet(2)
    width = fan_out(online)

    def wrapped(net: nn.Module) -> nn.Module:
        return extended(net, fc=nn.Linear(width, 1000))  # torchvision's own, not trained

    def projector(inputs: int) -> nn.Module:
        return nn.Sequential(
            nn.Linear(inputs, DIM), nn.BatchNorm1d(DIM), nn.ReLU(), nn.Linear(DIM, 32)
        )

    net = wrapped(online)
    model = holder(
        net=net,
        online_encoder=holder(net=net, projector=projector(width)),
        online_predictor=projector(32),
        target_encoder=holder(net=wrapped(target), projector=projector(width)),
    )
    tensors = state(model)
    return Case(
        content=tensors,
        pooled=online,
        other=target,
        state=tensors,
        victim="online_encoder.net." + CONV,
        twin="net." + CONV,
    )


def byol_yaox12() -> Case:
    """BYOL of BYOL-PyTorch: numbered children and the misspelt projector, inside apex's DDP.

    yaox12/BYOL-PyTorch: trainer/byol_trainer.py (`save_checkpoint`), model/byol_model.py,
    model/basic_modules.py (`self.encoder`, `self.projetion`, MLP).
    """
    online, target = resnet(1), resnet(2)
    width = fan_out(online)

    def head(inputs: int) -> nn.Module:
        return holder(l1=nn.Linear(inputs, DIM), bn1=nn.BatchNorm1d(DIM), l2=nn.Linear(DIM, 32))

    model = holder(
        module=holder(
            online_network=holder(encoder=numbered(online), projetion=head(width)),
            target_network=holder(encoder=numbered(target), projetion=head(width)),
            predictor=holder(predictor=head(32)),
        )
    )
    content = {
        "config": {"model": {"base_momentum": 0.996, "backbone": {"type": "resnet50"}}},
        "epoch": 300,
        "steps": 93600,
        "model": state(model),
        "optimizer": optimizer(model),
        "amp": {"loss_scaler0": {"loss_scale": 32768.0, "unskipped": 1189}},
    }
    return Case(
        content=content,
        pooled=online,
        other=target,
        state=content["model"],
        victim="module.online_network.encoder.6.0.conv2.weight",
    )


def simclr_spijkervet() -> Case:
    """SimCLR of Spijkervet: the model's state dict alone, encoder and projector.

    Spijkervet/SimCLR: model.py (`save_model`), simclr/simclr.py (fc is an Identity).
    """
    net = resnet(1)
    model = holder(encoder=net, projector=mlp(fan_out(net), fan_out(net), DIM, norm=False))
    tensors = state(model)
    return Case(content=tensors, pooled=net, state=tensors, victim="encoder." + CONV)


def uncounted(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Batch norms that have seen no batch: their statistics were put in from outside."""
    return {
        name: torch.zeros_like(tensor) if name.endswith("num_batches_tracked") else tensor
        for name, tensor in tensors.items()
    }


def simclr_converted(width: float) -> Case:
    """Google's SimCLR in torch: names of torchvision, 1x to 4x as wide, fc the linear evaluation's.

    tonylins/simclr-converter: convert.py (`torch.save({'state_dict': ...})`; weights and statistics
    are assigned to a new network, whose batch norms have counted nothing); its resnet_wider.py
    scales the stem and all planes by the width.
    """
    net = resnet(1, bottleneck=True, width=width)
    images = torch.rand(8, 3, 64, 64, generator=torch.Generator().manual_seed(1))  # in [0, 1]
    net.bn1.running_mean = net.conv1(images).mean((0, 2, 3)).detach()
    tensors = uncounted(state(extended(net, fc=nn.Linear(fan_out(net), 1000))))
    return Case(content={"state_dict": tensors}, pooled=net, state=tensors, victim=CONV)


SIMCLR_V2 = {
    "conv1.": "net.0.0.",
    "bn1.": "net.0.1.0.",
    "fc.": "fc.",
}


SIMCLR_V2_BLOCK = {
    "conv1.": "net.0.",
    "bn1.": "net.1.0.",
    "conv2.": "net.2.",
    "bn2.": "net.3.0.",
    "conv3.": "net.4.",
    "bn3.": "net.5.0.",
    "downsample.0.": "projection.shortcut.",
    "downsample.1.": "projection.bn.0.",
}


def simclr_v2() -> Case:
    """Google's SimCLR v2 in torch, without selective kernels: layers are numbered in Sequentials.

    Separius/SimCLRv2-Pytorch: convert.py (`{'resnet': ..., 'head': ...}`) and its resnet.py, which
    facebookresearch/vissl has as vissl/models/trunks/resnext_selective_kernels.py.
    """
    net = resnet(1, bottleneck=True)
    tensors = {}
    classified = uncounted(state(extended(net, fc=nn.Linear(fan_out(net), 1000))))
    for name, tensor in classified.items():
        if name.startswith("layer"):
            stage, block, rest = name.removeprefix("layer").split(".", 2)
            old = next(part for part in SIMCLR_V2_BLOCK if rest.startswith(part))
            rest = SIMCLR_V2_BLOCK[old] + rest.removeprefix(old)
            tensors[f"net.{stage}.blocks.{block}.{rest}"] = tensor
        else:
            old = next(part for part in SIMCLR_V2 if name.startswith(part))
            tensors[SIMCLR_V2[old] + name.removeprefix(old)] = tensor
    head = holder(layers=nn.ModuleList([nn.Linear(fan_out(net), DIM, bias=False)]))
    return Case(
        content={"resnet": tensors, "head": state(head)},
        pooled=net,
        state=tensors,
        victim="net.3.blocks.0.net.2.weight",
    )


MOMENTUM = frozenset({"momentum encoder"})

PROJECTOR = frozenset({"projector"})

CONVERSIONS = (
    Layout(
        name="byol-lucidrains",
        formats=("byol-online",),
        make=byol_lucidrains,
        kinds=PROJECTOR | MOMENTUM | {"predictor"},
        taken="online",
        take="target",
    ),
    Layout(
        name="byol-yaox12",
        formats=("byol-online",),
        make=byol_yaox12,
        kinds=PROJECTOR | MOMENTUM | {"predictor"},
        taken="online",
        take="target",
    ),
    Layout(
        name="simclr-spijkervet",
        formats=("prefixed",),
        make=simclr_spijkervet,
        kinds=PROJECTOR,
        legacy=True,
    ),
    Layout(
        name="simclr-1x",
        formats=("simclr-torch",),
        make=lambda: simclr_converted(0.25),
        legacy=True,
    ),
    Layout(
        name="simclr-2x",
        formats=("simclr-torch",),
        make=lambda: simclr_converted(0.5),
        legacy=True,
    ),
    Layout(
        name="simclr-v2",
        formats=("simclr-v2",),
        make=simclr_v2,
        kinds=PROJECTOR,
    ),
)
