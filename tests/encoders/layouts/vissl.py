"""Files of VISSL: the trunk four levels down, heads, a memory or a momentum model in the loss."""

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
    optimizer,
    resnet,
    state,
)
from torch import Tensor, nn

CONV = "layer3.0.conv2.weight"


def trunk(net: nn.Module) -> nn.Module:
    """The trunk: torchvision's parts in a ModuleDict `_feature_blocks`.

    facebookresearch/vissl: vissl/models/trunks/resnext.py (conv1, bn1, conv1_relu, maxpool, layer1
    to layer4, avgpool, flatten).
    """
    names = ("conv1", "bn1", "layer1", "layer2", "layer3", "layer4")
    return holder(_feature_blocks=nn.ModuleDict({name: getattr(net, name) for name in names}))


def head(width: int) -> nn.Module:
    """A list of one MLP: names begin with "0.clf.".

    facebookresearch/vissl: vissl/models/base_ssl_model.py (`self.heads`),
    vissl/models/heads/mlp.py.
    """
    return nn.ModuleList([holder(clf=mlp(width, DIM, 32, norm=False, bias=True))])


def task(net: nn.Module, loss: dict[str, Any], **more: Any) -> tuple[dict[str, Any], Any]:
    """The file of the checkpoint hook; returns it and its trunk's tensors.

    facebookresearch/vissl: vissl/hooks/log_hooks.py (`checkpoint_content`),
    vissl/utils/checkpoint.py ("type"), vissl/models/base_ssl_model.py (`get_classy_state`: model
    and meta); facebookresearch/ClassyVision: classy_vision/tasks/classification_task.py
    (`get_classy_state`).
    """
    tensors = state(trunk(net))
    heads = head(fan_out(net))  # type: ignore[arg-type]
    classy = {
        "train": True,
        "base_model": {
            "model": {"trunk": tensors, "heads": state(heads)},
            "meta": {"trunk": {}, "heads": []},
        },
        "meters": [],
        "optimizer": {"optim": optimizer(heads), "options": {"lr": 0.3}},
        "phase_idx": 799,
        "train_phase_idx": 799,
        "num_updates": 3200.0,
        "losses": [7.1, 7.0],
        "hooks": {"log_loss_lr_eta": {}},
        "loss": {"name": "nce_loss_with_memory"},
        **more,
    }
    content = {
        "phase_idx": 799,
        "iteration": 250000,
        "loss": loss,
        "iteration_num": 312,
        "train_phase_idx": 799,
        "classy_state_dict": classy,
        "type": "consolidated",
    }
    return content, tensors


def pirl() -> Case:
    """PIRL: a memory bank in the loss.

    facebookresearch/vissl: vissl/losses/nce_loss.py (nce_average: params, memory, multinomial).
    """
    memory: dict[str, Tensor] = {
        "nce_average.params": torch.tensor([4096.0, 0.07, -1.0, 0.5]),
        "nce_average.memory": torch.randn(16, 32),
        "nce_average.multinomial.prob": torch.ones(16),
        "nce_average.multinomial.alias": torch.zeros(16, dtype=torch.long),
    }
    content, tensors = task(resnet(1), memory)
    victim = "_feature_blocks." + CONV
    return Case(content=content, pooled=resnet(1), state=tensors, victim=victim)


def config(values: dict[str, Any]) -> Any:
    """The run's configuration as an AttrDict, a dictionary whose keys are attributes.

    facebookresearch/vissl: vissl/config/attr_dict.py; vissl/utils/hydra_config.py before.
    """
    kind = foreign("vissl.utils.hydra_config.AttrDict", dict)
    return kind({k: config(v) if isinstance(v, dict) else v for k, v in values.items()})


def moco() -> Case:
    """MoCo of VISSL: the loss holds a whole momentum model; a run's configuration is kept beside.

    facebookresearch/vissl: vissl/losses/moco_loss.py (queue), vissl/hooks/moco_hooks.py
    (`task.loss.moco_encoder = build_model(...)`), vissl/trainer/train_task.py (`get_config`).
    """
    net, momentum = resnet(1), resnet(2)
    encoder = holder(trunk=trunk(momentum), heads=head(fan_out(momentum)))
    loss = state(holder(queue=torch.randn(32, 16), moco_encoder=encoder))
    model = {"TRUNK": {"NAME": "resnet", "RESNETS": {"DEPTH": 50}}, "HEAD": {"PARAMS": []}}
    content, tensors = task(net, loss, config=config({"MODEL": model, "SEED_VALUE": 0}))
    return Case(content=content, pooled=net, state=tensors, victim="_feature_blocks." + CONV)


def consolidated() -> Case:
    """A sharded model put together: trunk and heads, and nothing of the training.

    facebookresearch/vissl: vissl/utils/checkpoint.py (`sharded_to_consolidated_checkpoint`).
    """
    tensors = state(trunk(resnet(1)))
    model = {"trunk": tensors, "heads": state(head(fan_out(resnet(1))))}
    content = {
        "type": "consolidated",
        "classy_state_dict": {"base_model": {"model": model}},
    }
    victim = "_feature_blocks." + CONV
    return Case(content=content, pooled=resnet(1), state=tensors, victim=victim)


PROJECTOR = frozenset({"projector"})

VISSL = (
    Layout(
        name="vissl-pirl",
        formats=("vissl",),
        make=pirl,
        epoch=800,
        kinds=PROJECTOR,
        legacy=True,
    ),
    Layout(
        name="vissl-moco",
        formats=("vissl",),
        make=moco,
        epoch=800,
        kinds=PROJECTOR,
        foreign=("vissl.utils.hydra_config.AttrDict",),
    ),
    Layout(name="vissl-consolidated", formats=("vissl",), make=consolidated, kinds=PROJECTOR),
)
