"""Files of Lightning's Trainer and of the libraries around it: lightly and solo-learn."""

from typing import Any

import torch
from tests.encoders.layouts.parts import (
    DIM,
    Case,
    Layout,
    fan_out,
    foreign,
    holder,
    mlp,
    named_parts,
    numbered,
    resnet,
    small_resnet,
    state,
)
from tests.encoders.layouts.supervised import classified
from torch import Tensor, nn

CONV = "layer3.0.conv2.weight"


def lightly_simclr() -> Case:
    """lightly's example of SimCLR: torchvision's children numbered in a Sequential.

    lightly-ai/lightly: examples/pytorch/simclr.py (children 0, 1 and 4 to 7 have weights),
    lightly/models/modules/heads.py (`layers`).
    """
    net = resnet(1)
    head = holder(layers=mlp(fan_out(net), DIM, 32))
    tensors = state(holder(backbone=numbered(net), projection_head=head))
    return Case(content=tensors, pooled=net, state=tensors, victim="backbone.6.0.conv2.weight")


def lightly_moco() -> Case:
    """lightly's example of MoCo: a momentum copy of backbone and head.

    lightly-ai/lightly: examples/pytorch/moco.py.
    """
    net, momentum = resnet(1), resnet(2)
    model = holder(
        backbone=numbered(net),
        projection_head=holder(layers=mlp(fan_out(net), DIM, 32, norm=False)),
        backbone_momentum=numbered(momentum),
        projection_head_momentum=holder(layers=mlp(fan_out(net), DIM, 32, norm=False)),
    )
    tensors = state(model)
    return Case(
        content=tensors,
        pooled=net,
        other=momentum,
        state=tensors,
        victim="backbone.6.0.conv2.weight",
    )


def lightly_small() -> Case:
    """lightly's own ResNet for small images: no pooling, so the stages are children 2 to 5.

    lightly-ai/lightly: lightly/models/resnet.py (3x3 stem; `shortcut` for `downsample`) under the
    backbone of its tutorials, `nn.Sequential(*list(resnet.children())[:-1], ...)`: the stem's ReLU
    is a function in `forward` and no child, so the trained network has none.
    """
    net = small_resnet(1, padding=1, relu=False)
    tensors = {}
    for name, tensor in state(net).items():
        child, _, rest = name.partition(".")
        place = {"0": "0", "1": "1", "4": "2", "5": "3", "6": "4", "7": "5"}[child]
        tensors[f"backbone.{place}.{rest.replace('downsample', 'shortcut')}"] = tensor
    head = holder(projection_head=holder(layers=mlp(128, DIM, 32)))
    tensors.update(state(head))
    return Case(content=tensors, pooled=net, state=tensors, victim="backbone.4.0.conv2.weight")


def lightning(tensors: dict[str, Tensor], epoch: int, **more: Any) -> dict[str, Any]:
    """The dictionary of Lightning's Trainer around a module's tensors.

    Lightning-AI/pytorch-lightning: src/lightning/pytorch/trainer/connectors/
    checkpoint_connector.py (`dump_checkpoint`).
    """
    return {
        "epoch": epoch,
        "global_step": 1000,
        "pytorch-lightning_version": "2.0.1",
        "state_dict": tensors,
        "loops": {"fit_loop": {"state_dict": {}, "epoch_progress": {"total": {"ready": epoch}}}},
        "callbacks": {"ModelCheckpoint{'monitor': None}": {"best_model_score": None}},
        "optimizer_states": [{"state": {}, "param_groups": [{"lr": 0.1, "params": [0, 1]}]}],
        "lr_schedulers": [{"last_epoch": epoch}],
        **more,
    }


def lightly_benchmark() -> Case:
    """lightly's benchmarks on ImageNet: names of torchvision, a teacher, an online classifier.

    lightly-ai/lightly: benchmarks/imagenet/resnet50/byol.py, lightly/utils/benchmarking/
    online_linear_classifier.py (`linear`).
    """
    net, teacher = resnet(1), resnet(2)
    width = fan_out(net)
    model = holder(
        backbone=net,
        projection_head=holder(layers=mlp(width, DIM, 32)),
        prediction_head=holder(layers=mlp(32, DIM, 32)),
        teacher_backbone=teacher,
        teacher_projection_head=holder(layers=mlp(width, DIM, 32)),
        online_classifier=holder(linear=nn.Linear(width, 7)),
    )
    tensors = state(model)
    hparams = {"batch_size_per_device": 128, "num_classes": 1000}
    content = lightning(tensors, 100, hparams_name="kwargs", hyper_parameters=hparams)
    return Case(
        content=content,
        pooled=net,
        other=teacher,
        state=tensors,
        victim="backbone." + CONV,
    )


def solo_learn(cifar: bool) -> Case:
    """solo-learn: backbone, momentum_backbone, classifier; for CIFAR a 3x3 stem padded by two.

    vturrisi/solo-learn: solo/methods/base.py (`kernel_size=3, stride=1, padding=2`, maxpool an
    Identity), solo/methods/mocov2plus.py (projector, momentum_projector, queue). Before 1.5 the
    Trainer kept callbacks' states under their classes: Lightning-AI/pytorch-lightning,
    pytorch_lightning/trainer/callback_hook.py (`callback_states[type(callback)]`).
    """
    nets: list[nn.Module] = [resnet(1), resnet(2)]
    if cifar:
        nets = [small_resnet(1, padding=2), small_resnet(2, padding=2)]
    width = 128
    model = holder(
        queue=torch.randn(2, 32, 16),
        queue_ptr=torch.zeros(1, dtype=torch.long),
        backbone=named_parts(nets[0]) if cifar else nets[0],
        classifier=nn.Linear(width, 10),
        momentum_backbone=named_parts(nets[1]) if cifar else nets[1],
        projector=mlp(width, DIM, 32, norm=False, bias=True),
        momentum_projector=mlp(width, DIM, 32, norm=False, bias=True),
    )
    tensors = state(model)
    content = lightning(tensors, 999)
    callback = foreign("pytorch_lightning.callbacks.model_checkpoint.ModelCheckpoint")
    content["callbacks"] = {callback: {"best_model_path": "last.ckpt"}}
    content["pytorch-lightning_version"] = "1.3.1"
    return Case(
        content=content,
        pooled=nets[0],
        other=nets[1],
        state=tensors,
        victim="backbone." + CONV,
    )


def lightning_user() -> Case:
    """Somebody's own LightningModule: the network under `model`, hyperparameters of omegaconf.

    Lightning-AI/pytorch-lightning: as `lightning`; `hparams_type` is the class itself, and the
    container of omegaconf/omegaconf (omegaconf/dictconfig.py) is an object.
    """
    config = foreign("omegaconf.dictconfig.DictConfig")
    hparams = config()
    hparams.__dict__.update(_content={"lr": 0.1, "name": "resnet18"}, _metadata=None)
    tensors = state(holder(model=classified(1)))
    content = lightning(tensors, 5, hyper_parameters=hparams, hparams_type=config)
    return Case(content=content, pooled=resnet(1), state=tensors, victim="model." + CONV)


CALLBACK = "pytorch_lightning.callbacks.model_checkpoint.ModelCheckpoint"

MOMENTUM = frozenset({"momentum encoder"})

PROJECTOR = frozenset({"projector"})

CLASSIFIER = frozenset({"classifier"})

LIGHTNING = (
    Layout(name="lightly", formats=("lightly",), make=lightly_simclr, kinds=PROJECTOR),
    Layout(
        name="lightly-moco",
        formats=("lightly",),
        make=lightly_moco,
        kinds=PROJECTOR | MOMENTUM,
        taken="backbone",
        take="momentum",
    ),
    Layout(
        name="lightly-small",
        formats=("lightly-small",),
        make=lightly_small,
        kinds=PROJECTOR,
        size=32,
    ),
    Layout(
        name="lightly-benchmark",
        formats=("lightly",),
        make=lightly_benchmark,
        kinds=PROJECTOR | MOMENTUM | {"predictor"} | CLASSIFIER,
        taken="backbone",
        take="teacher",
    ),
    Layout(
        name="solo-learn",
        formats=("solo-learn",),
        make=lambda: solo_learn(cifar=False),
        kinds=PROJECTOR | MOMENTUM | {"queue"} | CLASSIFIER,
        taken="backbone",
        take="momentum",
        foreign=(CALLBACK,),
    ),
    Layout(
        name="solo-learn-cifar",
        formats=("solo-learn",),
        make=lambda: solo_learn(cifar=True),
        kinds=PROJECTOR | MOMENTUM | {"queue"} | CLASSIFIER,
        taken="backbone",
        take="momentum",
        foreign=(CALLBACK,),
        size=32,
    ),
    Layout(
        name="lightning",
        formats=("lightning",),
        make=lightning_user,
        foreign=("omegaconf.dictconfig.DictConfig",),
    ),
)
