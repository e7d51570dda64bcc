"""Checkpoints of supervised training: torchvision's and timm's scripts, ResNet-20 for CIFAR."""

from typing import Any

import torch
from tests.encoders.layouts.parts import (
    Case,
    Layout,
    extended,
    fan_out,
    holder,
    namespace,
    optimizer,
    resnet,
    shake,
    state,
)
from torch import Tensor, nn
from torch.nn import functional as F

CONV = "layer3.0.conv2.weight"


def classified(seed: int) -> nn.Module:
    """The network with a classifier of seven classes under fc."""
    net = resnet(seed)
    return extended(net, fc=nn.Linear(fan_out(net), 7))


def torchvision_released() -> Case:
    """torchvision's published files: the state dict alone, with its classifier.

    pytorch/vision: torchvision/models/resnet.py.
    """
    tensors = state(classified(1))
    return Case(content=tensors, pooled=resnet(1), state=tensors, victim=CONV)


def torchvision_references(average: bool) -> Case:
    """A checkpoint of torchvision's training script, with or without averaged weights.

    pytorch/vision: references/classification/train.py (`checkpoint`), utils.py
    (ExponentialMovingAverage is torch's AveragedModel: n_averaged and "module.").
    """
    model = classified(1)
    content: dict[str, Any] = {
        "model": state(model),
        "optimizer": optimizer(model),
        "lr_scheduler": {"last_epoch": 90, "_last_lr": [0.001]},
        "epoch": 89,
        "args": namespace(model="resnet18", model_ema=average),
    }
    if average:
        mean = holder(n_averaged=torch.tensor(9), module=classified(2))
        content["model_ema"] = state(mean)
    return Case(
        content=content,
        pooled=resnet(1),
        other=resnet(2) if average else None,
        state=content["model"],
        victim=CONV,
    )


def timm_saver(average: bool) -> Case:
    """A checkpoint of timm's training script; where there are averaged weights timm loads those.

    huggingface/pytorch-image-models: timm/utils/checkpoint_saver.py (`_save`),
    timm/models/_helpers.py (`load_state_dict`, use_ema=True unless said otherwise).
    """
    model = classified(1)
    content: dict[str, Any] = {
        "epoch": 299,
        "arch": "resnet18",
        "optimizer": optimizer(model),
        "version": 2,
        "args": namespace(model="resnet18", model_ema=average),
        "amp_scaler": {"scale": 65536.0, "_growth_tracker": 5},
        "state_dict": state(model),
    }
    if average:
        content["state_dict_ema"] = state(classified(2))
    content["metric"] = 78.4
    return Case(
        content=content,
        pooled=resnet(2 if average else 1),
        other=resnet(1) if average else None,
        state=content["state_dict_ema" if average else "state_dict"],
        victim=CONV,
    )


def only_average() -> Case:
    """Averaged weights alone, as one keeps them to publish: DeiT's "model_ema".

    facebookresearch/deit: main.py (`'model_ema': get_state_dict(model_ema)`).
    """
    tensors = state(classified(1))
    return Case(content={"model_ema": tensors}, pooled=resnet(1), state=tensors, victim=CONV)


class OptionA(nn.Module):
    """A ResNet of depth 20 for CIFAR, by the paper: identity shortcuts with zero channels."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        for stage, (before, width) in enumerate([(16, 16), (16, 32), (32, 64)], start=1):
            blocks = nn.Sequential()
            for inputs in (before, width, width):
                block = holder(
                    conv1=nn.Conv2d(inputs, width, 3, width // inputs, 1, bias=False),
                    bn1=nn.BatchNorm2d(width),
                    conv2=nn.Conv2d(width, width, 3, 1, 1, bias=False),
                    bn2=nn.BatchNorm2d(width),
                )
                blocks.append(block)
            self.add_module(f"layer{stage}", blocks)

    def forward(self, images: Tensor) -> Tensor:
        x = self.bn1(self.conv1(images)).relu()
        for block in [*self.layer1, *self.layer2, *self.layer3]:  # type: ignore[misc]
            out = block.bn2(block.conv2(block.bn1(block.conv1(x)).relu()))
            if out.shape != x.shape:
                missing = (out.shape[1] - x.shape[1]) // 2
                x = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, missing, missing))
            x = (out + x).relu()
        return x.mean((2, 3))


def akamaster() -> Case:
    """ResNet-20 for CIFAR-10: inside DataParallel, the classifier is `linear`.

    akamaster/pytorch_resnet_cifar10: trainer.py (the last `save_checkpoint` has no epoch),
    resnet.py (option A shortcuts have no weights).
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(1)
        net = shake(OptionA())
    model = holder(module=extended(net, linear=nn.Linear(64, 10)))
    content = {"state_dict": state(model), "best_prec1": 91.7}
    return Case(
        content=content,
        pooled=net,
        state=content["state_dict"],
        victim="module." + CONV,
    )


ARGS = ("argparse.Namespace",)

SUPERVISED = (
    Layout(name="torchvision", formats=("torchvision",), make=torchvision_released),
    Layout(
        name="torchvision-references",
        formats=("torchvision",),
        make=lambda: torchvision_references(False),
        foreign=ARGS,
    ),
    Layout(
        name="torchvision-ema",
        formats=("torchvision",),
        make=lambda: torchvision_references(True),
        taken="weights",
        take="ema",
        foreign=ARGS,
    ),
    Layout(
        name="timm",
        formats=("torchvision",),
        make=lambda: timm_saver(False),
        foreign=ARGS,
    ),
    Layout(
        name="timm-ema",
        formats=("timm-training",),
        make=lambda: timm_saver(True),
        taken="average",
        take="raw",
        foreign=ARGS,
    ),
    Layout(name="only-ema", formats=("prefixed",), make=only_average),
    Layout(name="akamaster", formats=("torchvision",), make=akamaster, size=32, legacy=True),
)
