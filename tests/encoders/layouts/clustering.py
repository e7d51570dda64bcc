"""ResNets of SwAV, DeepCluster-v2, Barlow Twins and VICReg as their authors' code saves them."""

from tests.encoders.layouts.parts import (
    DIM,
    Case,
    Layout,
    fan_out,
    foreign_function,
    holder,
    mlp,
    optimizer,
    resnet,
    state,
)
from torch import nn

CONV = "layer3.0.conv2.weight"


def swav(released: bool, heads: int = 1, width: float = 0.25, inner: int = 1) -> Case:
    """SwAV and DeepCluster-v2: projection head and prototypes beside the stages, no fc.

    facebookresearch/swav: main_swav.py, main_deepclusterv2.py (`save_dict`), src/resnet50.py
    (`projection_head`, `prototypes`, MultiPrototypes; `widen` scales the stem as well), hubconf.py
    (the released file is the state dict alone, names still with "module.").
    """
    net = resnet(1, bottleneck=True, width=width, inner=inner)
    features = fan_out(net)
    parts = {name: part for name, part in net.named_children() if name != "fc"}
    linear = nn.Linear(32, 12, bias=False)
    many = holder(**{f"prototypes{i}": nn.Linear(32, 12, bias=False) for i in range(heads)})
    parts["projection_head"] = nn.Sequential(
        nn.Linear(features, DIM), nn.BatchNorm1d(DIM), nn.ReLU(), nn.Linear(DIM, 32)
    )
    parts["prototypes"] = linear if heads == 1 else many
    model = holder(module=holder(**parts))
    tensors = state(model)
    training = {
        "epoch": 400,
        "state_dict": tensors,
        "optimizer": optimizer(model),
        "amp": {"loss_scaler0": {"loss_scale": 32768.0, "unskipped": 1189}},
    }
    return Case(
        content=tensors if released else training,
        pooled=net,
        state=tensors,
        victim="module." + CONV,
    )


def lars(module: nn.Module) -> dict[str, object]:
    """A LARS optimizer's state: its groups name a function of the script that was run."""
    exclude = foreign_function("__main__.exclude_bias_and_norm", "__main__")
    return optimizer(
        module,
        eta=0.001,
        weight_decay_filter=exclude,
        lars_adaptation_filter=exclude,
    )


def barlow_twins() -> Case:
    """Barlow Twins' checkpoint.pth: fc is an Identity, so only backbone, projector and bn.

    facebookresearch/barlowtwins: main.py (`state = dict(epoch=, model=, optimizer=)`, LARS).
    """
    net = resnet(1)
    model = holder(
        module=holder(
            backbone=net,
            projector=mlp(fan_out(net), DIM, DIM, DIM),
            bn=nn.BatchNorm1d(DIM, affine=False),
        )
    )
    content = {"epoch": 1000, "model": state(model), "optimizer": lars(model)}
    return Case(
        content=content, pooled=net, state=content["model"], victim="module.backbone." + CONV
    )


def vicreg() -> Case:
    """VICReg's model.pth: as Barlow Twins', but the projector has biases and there is no bn.

    facebookresearch/vicreg: main_vicreg.py (`state`, `Projector`), resnet.py.
    """
    net = resnet(1)
    projector = mlp(fan_out(net), DIM, DIM, DIM, bias=True)
    projector[6] = nn.Linear(DIM, DIM, bias=False)
    model = holder(module=holder(backbone=net, projector=projector))
    content = {"epoch": 1000, "model": state(model), "optimizer": lars(model)}
    return Case(
        content=content, pooled=net, state=content["model"], victim="module.backbone." + CONV
    )


def bare_backbone() -> Case:
    """The resnet50.pth that Barlow Twins and VICReg write last: the backbone alone, no fc.

    facebookresearch/barlowtwins: main.py (`model.module.backbone.state_dict()`).
    """
    tensors = state(resnet(1))
    return Case(content=tensors, pooled=resnet(1), state=tensors, victim=CONV)


LARS = ("__main__.exclude_bias_and_norm",)

PROJECTOR = frozenset({"projector"})

CLUSTERING = (
    Layout(
        name="swav",
        formats=("swav",),
        make=lambda: swav(released=False),
        epoch=400,
        kinds=PROJECTOR | {"prototypes"},
        legacy=True,
    ),
    Layout(
        name="swav-released",
        formats=("swav",),
        make=lambda: swav(released=True),
        kinds=PROJECTOR | {"prototypes"},
        legacy=True,
    ),
    Layout(
        name="deepcluster-v2",
        formats=("swav",),
        make=lambda: swav(released=False, heads=3),
        epoch=400,
        kinds=PROJECTOR | {"prototypes"},
        legacy=True,
    ),
    Layout(
        name="barlow-twins",
        formats=("barlow-twins",),
        make=barlow_twins,
        epoch=1000,
        kinds=PROJECTOR,
        foreign=LARS,
    ),
    Layout(
        name="vicreg",
        formats=("vicreg",),
        make=vicreg,
        epoch=1000,
        kinds=PROJECTOR,
        foreign=LARS,
    ),
    Layout(name="bare-backbone", formats=("torchvision",), make=bare_backbone),
)
