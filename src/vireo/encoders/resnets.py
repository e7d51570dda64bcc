"""ResNets by their numbers: any depths, width, groups and stem, under torchvision's tensor names.

Published encoders are often ResNets that no library has a name for: SwAV's and SimCLR's are two to
five times as wide, BYOL's pads otherwise. `resnet:3-4-6-3,bottleneck,width=128` names one by what
differs from the plain network; `resnet_numbers` reads the same numbers off a file's tensors.

References:
    He et al. 2016, Deep residual learning for image recognition. https://arxiv.org/abs/1512.03385
    Xie et al. 2017, Aggregated residual transformations. https://arxiv.org/abs/1611.05431
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from vireo.encoders.backbones import Network, ResNetBackbone
from vireo.errors import SettingError

STAGES = 4
_BASE = 64  # planes of the first stage that widths of groups are counted against


@dataclass(frozen=True, kw_only=True)
class ResNetNumbers:
    """What makes one ResNet differ from another.

    Attributes:
        depths: blocks of each of the four stages.
        bottleneck: blocks of three convolutions instead of two.
        width: channels of the stem and planes of the first stage (64; SwAV's w2 has 128).
        groups, group_width: as torchvision's, counted at 64 planes (ResNeXt-50 has 32 and 4).
        stem: side of the first kernel. 7 has stride 2 and a max pooling behind it; 3 is for small
            images, with stride 1 and no pooling.
        pad: zeros around a stem of side 3. 1 keeps the size; solo-learn's has 2.
        same: TensorFlow's and JAX's padding: where a stride leaves an odd number of zeros to add,
            the extra one is at the end (files converted from BYOL's release).
    """

    depths: tuple[int, ...]
    bottleneck: bool = False
    width: int = 64
    groups: int = 1
    group_width: int = 64
    stem: int = 7
    pad: int = 1
    same: bool = False
    linear: bool = False

    def __str__(self) -> str:
        """Write the architecture's name: the depths, and what differs from the defaults."""
        said = ["-".join(map(str, self.depths))]
        for field in dataclasses.fields(self)[1:]:
            value = getattr(self, field.name)
            if value != field.default:
                said.append(field.name if value is True else f"{field.name}={value}")
        return "resnet:" + ",".join(said)


# torchvision's and our own small networks by their numbers.
_50, _101, _152 = (3, 4, 6, 3), (3, 4, 23, 3), (3, 8, 36, 3)
CATALOGUE: dict[str, ResNetNumbers] = {
    "resnet18": ResNetNumbers(depths=(2, 2, 2, 2)),
    "resnet34": ResNetNumbers(depths=_50),
    "resnet50": ResNetNumbers(depths=_50, bottleneck=True),
    "resnet101": ResNetNumbers(depths=_101, bottleneck=True),
    "resnet152": ResNetNumbers(depths=_152, bottleneck=True),
    "resnext50_32x4d": ResNetNumbers(depths=_50, bottleneck=True, groups=32, group_width=4),
    "resnext101_32x8d": ResNetNumbers(depths=_101, bottleneck=True, groups=32, group_width=8),
    "resnext101_64x4d": ResNetNumbers(depths=_101, bottleneck=True, groups=64, group_width=4),
    "wide_resnet50_2": ResNetNumbers(depths=_50, bottleneck=True, group_width=128),
    "wide_resnet101_2": ResNetNumbers(depths=_101, bottleneck=True, group_width=128),
    "resnet18-small": ResNetNumbers(depths=(2, 2, 2, 2), stem=3),
    "resnet34-small": ResNetNumbers(depths=_50, stem=3),
    "resnet50-small": ResNetNumbers(depths=_50, bottleneck=True, stem=3),
}


def resnet_network(name: str, input_size: tuple[int, int] | None = None) -> Network:
    """Build `resnet:NAME` with random weights.

    Raises:
        SettingError: a name that is not of the form "3-4-6-3,bottleneck,width=128".
    """
    numbers = parse_numbers(name)
    size = (224, 224) if numbers.stem == 7 else (32, 32)
    network = _ResNet(numbers)
    return Network(backbone=ResNetBackbone(network), classifier="fc", input_size=input_size or size)


def parse_numbers(name: str) -> ResNetNumbers:
    """Read "3-4-6-3,bottleneck,width=128".

    Raises:
        SettingError: it is not of that form.

    Example:
        >>> parse_numbers("2-2-2-2,width=32")
        ResNetNumbers(depths=(2, 2, 2, 2), bottleneck=False, width=32, groups=1, group_width=64, \
stem=7, pad=1, same=False, linear=False)
    """
    depths, *options = name.split(",")
    fields = {field.name: field for field in dataclasses.fields(ResNetNumbers)[1:]}
    stated: dict[str, Any] = {}
    for option in options:
        key, equals, value = option.partition("=")
        flag = key in fields and isinstance(fields[key].default, bool)
        if key not in fields or flag == bool(equals) or (equals and not _positive(value)):
            raise _refusal(name, f"'{option}' is none of {', '.join(fields)}")
        stated[key] = int(value) if equals else True
    counts = depths.split("-")
    if len(counts) != STAGES or not all(map(_positive, counts)):
        raise _refusal(name, f"'{depths}' is not the number of blocks of {STAGES} stages")
    numbers = ResNetNumbers(depths=tuple(map(int, counts)), **stated)
    if numbers.stem not in (3, 7) or (_grouped(numbers) and not numbers.bottleneck):
        raise _refusal(name, "a stem is 7 or 3, and only bottlenecks have groups and their width")
    return numbers


def resnet_numbers(tensors: Mapping[str, Tensor]) -> ResNetNumbers | None:
    """Read a ResNet's numbers off tensors under torchvision's names; None if they are no ResNet's.

    Whether they fill such a network exactly is not checked.
    """
    stem, first = tensors.get("conv1.weight"), tensors.get("layer1.0.conv1.weight")
    second, third = tensors.get("layer1.0.conv2.weight"), tensors.get("layer1.0.conv3.weight")
    convolutions = [first, second, stem, *([third] if third is not None else [])]
    if not all(tensor is not None and tensor.ndim == 4 for tensor in convolutions):
        return None
    assert stem is not None
    assert first is not None
    assert second is not None
    if stem.shape[2] not in (3, 7) or 0 in first.shape or 0 in second.shape:
        return None
    depths = tuple(_count(tensors, stage) for stage in range(1, STAGES + 1))
    planes = len(second) if third is None else len(third) // 4
    if 0 in depths or planes == 0:
        return None
    inner = len(first)
    groups = max(inner // second.shape[1], 1)
    return ResNetNumbers(
        depths=depths,
        bottleneck=third is not None,
        width=len(stem),
        groups=groups if third is not None else 1,
        group_width=inner * _BASE // (planes * groups) if third is not None else _BASE,
        stem=stem.shape[2],
    )


def resnet_name(numbers: ResNetNumbers) -> str:
    """Return the catalogue's name of a ResNet, or its parametric name where it has none.

    Example:
        >>> resnet_name(ResNetNumbers(depths=(3, 4, 6, 3), bottleneck=True))
        'resnet50'
        >>> resnet_name(ResNetNumbers(depths=(3, 4, 6, 3), bottleneck=True, width=128))
        'resnet:3-4-6-3,bottleneck,width=128'
    """
    return next((name for name, known in CATALOGUE.items() if known == numbers), str(numbers))


class _ResNet(nn.Module):
    """The layers, named and ordered as torchvision's."""

    def __init__(self, numbers: ResNetNumbers) -> None:
        super().__init__()
        small, width = numbers.stem == 3, numbers.width
        padding, stride = (numbers.pad, 1) if small else (3, 2)
        self.conv1 = nn.Conv2d(3, width, numbers.stem, stride, padding, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.Identity() if numbers.linear else nn.ReLU(inplace=True)
        self.maxpool = nn.Identity() if small else nn.MaxPool2d(3, stride=2, padding=1)
        inputs = width
        for index, depth in enumerate(numbers.depths):
            planes = width * 2**index
            stage, inputs = _stage(numbers, inputs, planes, depth)
            self.add_module(f"layer{index + 1}", stage)
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if numbers.same and isinstance(module, nn.Conv2d | nn.MaxPool2d):
                _pad_like_tensorflow(module)


def _stage(
    numbers: ResNetNumbers, inputs: int, planes: int, depth: int
) -> tuple[nn.Sequential, int]:
    from torchvision.models.resnet import BasicBlock, Bottleneck

    kind: Any = Bottleneck if numbers.bottleneck else BasicBlock
    outputs = planes * kind.expansion
    stride = 1 if planes == numbers.width else 2
    shortcut = None
    if stride != 1 or inputs != outputs:
        shortcut = nn.Sequential(
            nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
        )
    shape = {"groups": numbers.groups, "base_width": numbers.group_width}
    first = kind(inputs, planes, stride, shortcut, **shape)
    return nn.Sequential(
        first, *[kind(outputs, planes, **shape) for _ in range(depth - 1)]
    ), outputs


def _pad_like_tensorflow(module: nn.Conv2d | nn.MaxPool2d) -> None:
    """Let `module` add its zeros as TensorFlow does, in a hook: tensor names stay torchvision's."""
    side: Any = module.kernel_size
    module.padding = (0, 0) if isinstance(module, nn.Conv2d) else 0
    if side not in (1, (1, 1)):
        module.register_forward_pre_hook(_add_zeros)


def _add_zeros(module: Any, inputs: tuple[Tensor, ...]) -> Tensor:
    (x,) = inputs
    side = module.kernel_size if isinstance(module.kernel_size, int) else module.kernel_size[0]
    stride = module.stride if isinstance(module.stride, int) else module.stride[0]
    missing = [max((-(-n // stride) - 1) * stride + side - n, 0) for n in x.shape[-2:]]
    (above, left) = (n // 2 for n in missing)
    return F.pad(x, (left, missing[1] - left, above, missing[0] - above))


def _count(tensors: Mapping[str, Tensor], stage: int) -> int:
    blocks = 0
    while f"layer{stage}.{blocks}.conv1.weight" in tensors:
        blocks += 1
    return blocks


def _grouped(numbers: ResNetNumbers) -> bool:
    return numbers.groups != 1 or numbers.group_width != _BASE


def _positive(text: str) -> bool:
    return text.isdecimal() and 0 < int(text) <= 4096


def _refusal(name: str, reason: str) -> SettingError:
    return SettingError(
        f"'resnet:{name}' names no ResNet: {reason}. Write depths and what differs from the plain"
        " network, as in 'resnet:3-4-6-3,bottleneck,width=128'."
    )
