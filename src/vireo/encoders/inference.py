"""Which architecture a file's tensors are of: read off their shapes, then checked strictly.

Shapes say a ResNet's depths, width and groups and a ViT's patch, width and depth, so one network is
built and compared. For other families the library's networks of the family are tried in turn, on
torch's meta device, which knows shapes and computes nothing.
"""

import dataclasses
import fnmatch
import functools
import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from vireo.catalog import resolve
from vireo.encoders import ARCHITECTURES, FAMILIES
from vireo.encoders.backbones import Network
from vireo.encoders.matching import Coverage, cover
from vireo.encoders.resnets import ResNetNumbers, resnet_name, resnet_numbers
from vireo.encoders.vits import ViTNumbers, vit_name, vit_names, vit_numbers
from vireo.errors import VireoError

_NEAR = 0.5  # closeness from which a network read off shapes is the closest there is
_SIZES = ("atto", "femto", "pico", "nano", "tiny", "small", "base", "large", "xlarge", "huge")
_DEPTHS = (10, 14, 18, 26, 34, 50, 101, 152)
_WINDOWS = ("window7_224", "window12_384")
# A tensor that tells a family, and its networks in timm. EfficientNets and MobileNetV3 (conv_stem)
# are not here: each has a twin with TensorFlow's padding and the same tensors, so theirs must be
# named.
_TIMM = (
    ("stages.0.blocks.0.mlp.grn.weight", [f"convnextv2_{size}" for size in _SIZES]),
    ("stages.0.blocks.0.conv_dw.weight", [f"convnext_{size}" for size in _SIZES]),
    (
        "layers.0.blocks.0.attn.logit_scale",
        [f"swinv2_{size}_window{window}_256" for size in _SIZES for window in (8, 16)],
    ),
    (
        "layers.0.blocks.0.attn.relative_position_bias_table",
        [f"swin_{size}_patch4_{window}" for size in _SIZES for window in _WINDOWS],
    ),
    (
        "s1.b1.conv1.conv.weight",
        [
            f"regnet{kind}_{n:03d}"
            for n in (2, 4, 6, 8, 16, 32, 40, 64, 80, 120, 160)
            for kind in "xy"
        ],
    ),
    (
        "blocks.0.attn.relative_position_bias_table",
        [f"beit{v}_{size}_patch16_224" for size in ("base", "large") for v in ("", "v2")],
    ),
    ("conv1.0.weight", [f"resnet{depth}{kind}" for depth in _DEPTHS for kind in "dt"]),
)
_TORCHVISION = (
    ("features.denseblock1.denselayer1.norm1.weight", ("densenet*",)),
    ("features.1.0.layer_scale", ("convnext*",)),
    ("features.1.0.block.0.0.weight", ("efficientnet*", "mobilenet_v3*")),
    ("features.1.block.0.0.weight", ("mobilenet_v3*",)),
    ("features.1.0.attn.relative_position_bias_table", ("swin*",)),
    ("trunk_output.block1.block1-0.f.a.0.weight", ("regnet*",)),
    ("encoder.layers.encoder_layer_0.ln_1.weight", ("vit*",)),
    ("features.0.weight", ("vgg*", "alexnet", "squeezenet*")),
    ("layers.0.0.weight", ("mnasnet*",)),
    ("layers.0.layers.0.weight", ("mnasnet*",)),
)


@dataclass(frozen=True, kw_only=True)
class Inference:
    """The architecture that tensors fill, or the closest; and how they meet it."""

    architecture: str
    coverage: Coverage


def infer(
    tensors: Mapping[str, Tensor],
    *,
    stated: Iterable[str] = (),
    options: tuple[str, ...] = (),
    input_size: tuple[int, int] | None = None,
) -> Inference:
    """Return the architecture that `tensors` fill exactly, or else the closest one.

    Args:
        tensors: under torchvision's or timm's names.
        stated: names of architectures that the file or its neighbour mentions; checked as any.
        options: what the file's layout says of the architecture.
        input_size: what the encoder will be used at.
    """
    tried: dict[str, Coverage] = {}
    likely = _likely(tensors, tuple(stated), options, input_size)
    for architecture in itertools.chain(likely, _families(tensors), ARCHITECTURES):
        if architecture in ARCHITECTURES and _near(tried):
            continue
        coverage = None if architecture in tried else _try(architecture, tensors)
        if coverage is not None and coverage.complete:
            return Inference(architecture=architecture, coverage=coverage)
        if coverage is not None:
            tried[architecture] = coverage
    closest = max(tried, key=lambda name: closeness(tried[name]))
    return Inference(architecture=closest, coverage=tried[closest])


def _near(tried: Mapping[str, Coverage]) -> bool:
    return any(closeness(coverage) >= _NEAR for coverage in tried.values())


def closeness(coverage: Coverage) -> float:
    """Return the share of tensors that fit, of all that are wanted or too many."""
    wrong = len(coverage.missing) + len(coverage.misshapen) + len(coverage.deeper)
    return len(coverage.matched) / max(len(coverage.matched) + wrong, 1)


def build_network(architecture: str, input_size: tuple[int, int] | None = None) -> Network:
    """Build a network of the catalogue, with weights from torch's generator as it stands.

    Raises:
        SettingError: unknown architecture.
    """
    family, _, name = architecture.partition(":")
    if family in FAMILIES:
        builder = resolve(FAMILIES, family, "architecture")
    else:
        builder, name = resolve(ARCHITECTURES, architecture, "architecture"), architecture
    network: Network = builder(name, input_size)
    return network


@functools.lru_cache(maxsize=64)
def on_meta(architecture: str, input_size: tuple[int, int] | None = None) -> Network:
    """Build a network on the meta device: names and shapes without numbers."""
    with torch.random.fork_rng(devices=[]), torch.device("meta"):
        return build_network(architecture, input_size)


def _try(architecture: str, tensors: Mapping[str, Tensor]) -> Coverage | None:
    try:
        return cover(on_meta(architecture), tensors)[0]
    except VireoError:  # no such network: a word in the file that only looked like a name
        return None


def _likely(
    tensors: Mapping[str, Tensor],
    stated: tuple[str, ...],
    options: tuple[str, ...],
    input_size: tuple[int, int] | None,
) -> Iterator[str]:
    """Yield what the file says and what its shapes say."""
    numbers = resnet_numbers(tensors)
    transformer = vit_numbers(tensors)
    words = [word for name in stated for word in _named(name, transformer, input_size)]
    if not options:  # what a layout implies is surer than a word, which is surer than shapes
        yield from words
    if numbers is not None:
        yield resnet_name(_with_options(numbers, options))
    if transformer is not None:
        yield from vit_names(transformer, options, input_size)
    if "layer3.0.conv1.weight" in tensors and "layer4.0.conv1.weight" not in tensors:
        blocks = sum(f"layer1.{index}.conv1.weight" in tensors for index in range(len(tensors)))
        yield f"resnet{6 * blocks + 2}"
    if "features.18.0.weight" in tensors:
        yield "mobilenet_v2"
    yield from words


def _named(
    name: str, transformer: ViTNumbers | None, input_size: tuple[int, int] | None
) -> Iterator[str]:
    """Yield what a stranger's word may name: never a dotted path, which would import its code."""
    base = name.partition(".")[0]
    if name in ARCHITECTURES or name.partition(":")[0] in FAMILIES:
        yield name
    if base.isidentifier() and transformer is not None:
        yield vit_name(base, transformer, input_size=input_size)
    if base.isidentifier():
        yield f"timm:{base}"


def _with_options(numbers: ResNetNumbers, options: tuple[str, ...]) -> ResNetNumbers:
    if numbers.stem == 3 and "pad=2" in options:
        numbers = dataclasses.replace(numbers, pad=2)
    return dataclasses.replace(numbers, same="same" in options, linear="linear" in options)


def _families(tensors: Mapping[str, Tensor]) -> Iterator[str]:
    """Yield networks of the family that a tensor's name tells, torchvision's first."""
    for mark, patterns in _TORCHVISION:
        if mark in tensors:
            from torchvision.models import list_models

            found = [
                name for name in list_models() if any(fnmatch.fnmatch(name, p) for p in patterns)
            ]
            yield from (f"torchvision:{name}" for name in found)
    for mark, names in _TIMM:
        if mark in tensors:
            yield from (f"timm:{name}" for name in names)
            return
