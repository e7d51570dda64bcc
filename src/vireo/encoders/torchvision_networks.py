"""Every torchvision classification network as a backbone.

Five modules' outputs are the maps, found from shapes (`taps`) and read by forward hooks, so the
network itself is torchvision's, tensor names included; a traced graph would fix what tracing saw
(sizes, training or not). torchvision's one plain transformer, ViT, has blocks of tokens instead.

The last layer, the classifier, is replaced by the identity: what the network returns then is the
pooled feature. SqueezeNet's classifier is a convolution; there it is the mean of what that reads.
Auxiliary classifiers (Inception, GoogLeNet) are left out; both networks normalise
ImageNet-normalised images anew, as their published weights need.

All 80 networks of torchvision 0.29 work at their usual size.
"""

import contextlib
import functools
from collections.abc import Sequence
from types import MethodType
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from vireo.catalog import resolve, unknown
from vireo.encoders import ARCHITECTURES
from vireo.encoders.backbones import Backbone, Network, times
from vireo.encoders.encoder import Features
from vireo.encoders.measure import check_size, on_meta
from vireo.encoders.pyramid import LEVELS, Five, choose_taps, describe
from vireo.encoders.taps import Taps, find_taps
from vireo.errors import SettingError

_WITH_AUXILIARY = {"aux_logits": False, "init_weights": True, "transform_input": True}
_OPTIONS: dict[str, dict[str, Any]] = {
    "inception_v3": _WITH_AUXILIARY,
    "googlenet": _WITH_AUXILIARY,
}
# The constructor's word for the image's size, where a network is made for one.
_SIZES = {"vit": "image_size", "maxvit": "input_size"}


class TorchvisionBackbone(Backbone):
    """A torchvision network, of which the modules named in `taps` give maps."""

    strides = LEVELS

    def __init__(self, network: nn.Module, taps: Taps) -> None:
        super().__init__(network)
        self.taps = taps

    def forward(self, images: Float[Tensor, "batch 3 height width"], maps: bool) -> Features:
        """Return the pooled feature, and five of the network's maps, as they are, if `maps`.

        Raises:
            SettingError: the images have a size that the network cannot take.
        """
        pooled, found = _run(self, images, self.taps.names if maps else ())
        arranged = [
            tap.permute(0, 3, 1, 2) if channels_last else tap
            for tap, channels_last in zip(found, self.taps.channels_last, strict=False)
        ]
        return Features(pooled, tuple(arranged))


class TorchvisionViT(Backbone):
    """torchvision's ViT: five blocks evenly through the depth, with the final norm, as maps."""

    strides = LEVELS

    def __init__(self, network: nn.Module, taps: Five) -> None:
        super().__init__(network)
        self.taps = taps

    def forward(self, images: Float[Tensor, "batch 3 height width"], maps: bool) -> Features:
        """Return the pooled feature, and five of the network's maps, as they are, if `maps`.

        Raises:
            SettingError: the images have a size that the network cannot take.
        """
        net: Any = self.network
        names = [f"encoder.layers.encoder_layer_{tap}" for tap in self.taps if maps]
        pooled, found = _run(self, images, names)
        side = net.image_size // net.patch_size
        normed = (net.encoder.ln(tokens)[:, 1:] for tokens in found)  # without the class token
        return Features(pooled, tuple(x.mT.unflatten(2, (side, side)) for x in normed))


def torchvision_network(name: str, input_size: tuple[int, int] | None = None) -> Network:
    """Build a torchvision network by torchvision's name, with random weights.

    Raises:
        SettingError: torchvision has no such classification network, or not for that size.
    """
    from torchvision import models

    known = models.list_models(module=models)
    if name not in known:
        raise SettingError(unknown(name, known, "torchvision network") + " timm: has many more.")
    if name in ARCHITECTURES:
        own: Network = resolve(ARCHITECTURES, name, "architecture")(name, input_size)
        return own
    network = _create(name, input_size)
    classifier = _classifier(network)
    network.set_submodule(classifier, nn.Identity())
    if isinstance(network, models.VisionTransformer):
        return _vit(network, classifier)
    taps = _taps(name)
    return Network(
        backbone=TorchvisionBackbone(network, taps),
        classifier=classifier,
        input_size=input_size or _usual_size(name),
        maps=taps.maps,
    )


def _create(name: str, input_size: tuple[int, int] | None) -> Any:
    from torchvision.models import MNASNet, get_model

    options = _OPTIONS.get(name, {}) | _size_options(name, input_size)
    try:
        network: Any = get_model(name, weights=None, **options)
    except NotImplementedError:  # RegNet reads numbers back, which the meta device does not have
        with torch.device("cpu"):
            network = on_meta(get_model(name, weights=None, **options))
    except (AssertionError, ValueError) as error:
        raise SettingError(f"torchvision cannot build '{name}' with {options}: {error}") from error
    if isinstance(network, MNASNet):
        # Its own loader wants torch's metadata of the file, which plain tensors do not carry.
        network._load_from_state_dict = MethodType(nn.Module._load_from_state_dict, network)
    return network


def _size_options(name: str, input_size: tuple[int, int] | None) -> dict[str, Any]:
    word = _SIZES.get(name.partition("_")[0])
    if input_size is None or word is None:
        return {}
    if word == "image_size" and input_size[0] != input_size[1]:
        raise SettingError(
            f"torchvision's '{name}' takes square images only, not {times(input_size)}: set a"
            " square input_size, or take the network of that name from timm."
        )
    return {word: input_size[0] if word == "image_size" else input_size}


def _usual_size(name: str) -> tuple[int, int]:
    from torchvision.models import get_model_weights

    (side,) = get_model_weights(name).DEFAULT.transforms().crop_size
    return side, side


def _classifier(network: nn.Module) -> str:
    """Return the name of the last layer: a linear one, or SqueezeNet's 1x1 convolution."""
    kinds = nn.Linear, nn.Conv2d
    last: str = [name for name, layer in network.named_modules() if isinstance(layer, kinds)][-1]
    return last


def _vit(network: Any, classifier: str) -> Network:
    strides = [network.patch_size] * len(network.encoder.layers)
    taps = choose_taps(strides)
    return Network(
        backbone=TorchvisionViT(network, taps),
        classifier=classifier,
        input_size=(network.image_size, network.image_size),
        maps=describe(strides, taps),
    )


@functools.cache
def _taps(name: str) -> Taps:
    """Find a network's taps, once: names of modules and strides do not depend on the size."""
    with torch.random.fork_rng(devices=[]), torch.device("meta"):
        network = _create(name, None).eval()
    head = _classifier(network).partition(".")[0]
    return find_taps(network, head, _usual_size(name))


def _run(backbone: Backbone, images: Tensor, names: Sequence[str]) -> tuple[Tensor, list[Tensor]]:
    """Return the network's output and those of the named modules."""
    caught: dict[str, Tensor] = {}
    with contextlib.ExitStack() as hooks:
        for name in set(names):
            module = backbone.network.get_submodule(name)
            hooks.enter_context(
                module.register_forward_hook(functools.partial(_catch, caught, name))
            )
        try:
            output: Tensor = backbone.network(images)
        except (AssertionError, RuntimeError, ValueError) as error:
            check_size(backbone, images, error)
            raise
    return output, [caught[name] for name in names]


def _catch(caught: dict[str, Tensor], name: str, _: nn.Module, inputs: Any, output: Tensor) -> None:
    caught[name] = output
