"""Networks behind one interface, opened from anywhere or built with random weights.

The tables below are all a list needs; torch is imported when the first network is asked for.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vireo.encoders.encoder import Encoder, Features
    from vireo.encoders.opening import build, open_encoder
    from vireo.encoders.saving import save_encoder
    from vireo.encoders.weights import weights_digest

# Architecture to its builder, called as `builder(name, input_size)`; it returns a `Network`.
# `timm:NAME` and `torchvision:NAME` name an architecture too (FAMILIES), and so does the dotted
# path of one's own builder.
_RESNET = "vireo.encoders.backbones:torchvision_resnet"
_SMALL = "vireo.encoders.backbones:small_resnet"
_CIFAR = "vireo.encoders.cifar_resnet:cifar_resnet"
ARCHITECTURES: dict[str, str] = {
    "resnet18": _RESNET,
    "resnet34": _RESNET,
    "resnet50": _RESNET,
    "resnet101": _RESNET,
    "resnet152": _RESNET,
    "resnext50_32x4d": _RESNET,
    "resnext101_32x8d": _RESNET,
    "resnext101_64x4d": _RESNET,
    "wide_resnet50_2": _RESNET,
    "wide_resnet101_2": _RESNET,
    "mobilenet_v2": "vireo.encoders.backbones:mobilenet_v2",
    "resnet18-small": _SMALL,
    "resnet34-small": _SMALL,
    "resnet50-small": _SMALL,
    "resnet20": _CIFAR,
    "resnet32": _CIFAR,
    "resnet44": _CIFAR,
    "resnet56": _CIFAR,
    "resnet110": _CIFAR,
}
FAMILIES: dict[str, str] = {
    "timm": "vireo.encoders.timm_networks:timm_network",
    "torchvision": "vireo.encoders.torchvision_networks:torchvision_network",
    "resnet": "vireo.encoders.resnets:resnet_network",
    "vit": "vireo.encoders.vits:vit_network",
}

# Where an encoder can come from: the word before the colon of a spec to the function that opens it.
OPENERS: dict[str, str] = {
    "run": "vireo.encoders.saving:open_run",
    "file": "vireo.encoders.opening:open_file",
    "timm": "vireo.encoders.published:open_timm",
    "torchvision": "vireo.encoders.published:open_torchvision",
    "zoo": "vireo.encoders.published:open_zoo",
    "random": "vireo.encoders.opening:open_random",
}

_PUBLIC = {
    "Encoder": "vireo.encoders.encoder",
    "Features": "vireo.encoders.encoder",
    "build": "vireo.encoders.opening",
    "open_encoder": "vireo.encoders.opening",
    "save_encoder": "vireo.encoders.saving",
    "weights_digest": "vireo.encoders.weights",
}
__all__ = [
    "ARCHITECTURES",
    "FAMILIES",
    "OPENERS",
    "Encoder",
    "Features",
    "build",
    "open_encoder",
    "save_encoder",
    "weights_digest",
]


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(importlib.import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module 'vireo.encoders' has no attribute '{name}'")
