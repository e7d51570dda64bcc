"""What layouts are made of: networks, the modules around them, and files of foreign classes."""

import argparse
import contextlib
import functools
import itertools
import sys
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock, Bottleneck, ResNet

Pooled = Callable[[Tensor], Tensor]

# A quarter of the published widths keeps a file below three megabytes; names stay as published.
WIDTH = 0.25
DIM = 64  # of most projections; the backbones' features are wider


@dataclass(frozen=True, kw_only=True)
class Case:
    """One file's content and the networks in it.

    Attributes:
        content: what is given to `torch.save`.
        pooled: images to pooled features, by the original network that must be taken.
        other: the same of the file's second network, if it has two.
        state: the dictionary in `content` that holds the taken backbone's tensors.
        victim: one of those tensors, by its name in the file; `twin`: a second name of it there;
            `standard`: its name in the network.
    """

    content: Any
    pooled: Pooled
    state: dict[str, Tensor]
    victim: str
    twin: str = ""
    standard: str = "layer3.0.conv2.weight"
    other: Pooled | None = None


@dataclass(frozen=True, kw_only=True)
class Layout:
    """A case and what must be read in it.

    Attributes:
        formats: the name `inspect` must give; any of them where two projects write the same.
        kinds: kinds of left-over tensors that must be listed.
        taken: a word of the sentence that says which of two networks was taken; `take`: how a
            person asks for the other.
        legacy: written in torch's format of before 1.6, as the project's files are.
        foreign: classes in the file that are not rebuilt.
        named: the architecture as the person has to name it, where shapes cannot tell.
        size: height and width of the images at which features are compared.
    """

    name: str
    formats: tuple[str, ...]
    make: Callable[[], Case]
    epoch: int | None = None
    kinds: frozenset[str] = frozenset()
    taken: str = ""
    take: str = ""
    legacy: bool = False
    foreign: tuple[str, ...] = ()
    named: str = ""
    size: int = 64


def holder(**parts: nn.Module | Tensor) -> nn.Module:
    """Build a module with these children and buffers, so that its state dict names them so."""
    module = nn.Module()
    for name, part in parts.items():
        if isinstance(part, nn.Module):
            module.add_module(name, part)
        else:
            module.register_buffer(name, part)
    return module


def mlp(
    *widths: int, norm: bool = True, bias: bool = False, last_norm: bool = False
) -> nn.Sequential:
    """Build Linear, (BatchNorm,) ReLU, ..., Linear; `last_norm` adds one without weights."""
    layers: list[nn.Module] = []
    for inputs, outputs in itertools.pairwise(widths[:-1]):
        layers.append(nn.Linear(inputs, outputs, bias=bias))
        layers.extend([nn.BatchNorm1d(outputs)] * norm)
        layers.append(nn.ReLU())
    layers.append(nn.Linear(widths[-2], widths[-1], bias=bias))
    layers.extend([nn.BatchNorm1d(widths[-1], affine=False)] * last_norm)
    return nn.Sequential(*layers)


@functools.cache
def resnet(
    seed: int,
    *,
    depths: tuple[int, ...] = (1, 1, 1, 1),
    width: float = WIDTH,
    inner: int = 1,
    bottleneck: bool = False,
) -> ResNet:
    """Build torchvision's ResNet without classifier, all widths scaled, the stem's too.

    Args:
        inner: further factor of the 3x3 convolutions of bottlenecks, as in torchvision's wide
            ResNets (2) and the first version of SwAV's (the width itself).
    """
    block = Bottleneck if bottleneck else BasicBlock
    stem = int(64 * width)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        net = ResNet(block, [1, 1, 1, 1])
        net.conv1 = nn.Conv2d(3, stem, 7, stride=2, padding=3, bias=False)
        net.bn1 = nn.BatchNorm2d(stem)
        net.inplanes, net.base_width = stem, 64 * inner
        for level, depth in enumerate(depths):
            stage = net._make_layer(block, stem * 2**level, depth, stride=2 if level else 1)
            setattr(net, f"layer{level + 1}", stage)
        net.fc = nn.Identity()
        return shake(net)


def fan_out(net: ResNet) -> int:
    """Count the pooled features of `resnet`."""
    last = net.layer4[-1]
    return int((last.bn3 if hasattr(last, "bn3") else last.bn2).num_features)


def shake(module: nn.Module) -> Any:
    """Give norms scales, shifts and statistics that differ by channel, as training does."""
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.running_mean.normal_(0, 0.2)
            part.running_var.uniform_(0.5, 1.5)
            part.num_batches_tracked.fill_(7)
        if isinstance(part, nn.BatchNorm2d | nn.LayerNorm):
            part.weight.data.uniform_(0.5, 1.5)
            part.bias.data.normal_(0, 0.2)
    return module.eval()


def extended(net: nn.Module, **parts: nn.Module | Tensor) -> nn.Module:
    """Name the network's parts and more, or others in their place; the network stays as it is."""
    own = {**dict(net.named_children()), **dict(net.named_parameters(recurse=False))}
    return holder(**{**own, **parts})


def numbered(net: ResNet) -> nn.Sequential:
    """The network's children but the last in a Sequential: 0 conv1, 1 bn1, 4 to 7 the stages."""
    return nn.Sequential(*list(net.children())[:-1])


def small_resnet(seed: int, *, padding: int, relu: bool = True) -> nn.Module:
    """Build a ResNet for small images: a 3x3 stem of stride 1, no pooling and maybe no ReLU."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        whole = resnet(seed, depths=(1, 1, 1, 2))
        stem = nn.Conv2d(3, whole.conv1.out_channels, 3, padding=padding, bias=False)
    names = ("conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4")
    parts: list[nn.Module] = [getattr(whole, name) for name in names]
    parts[0], parts[3] = stem, nn.Identity()
    parts[2] = parts[2] if relu else nn.Identity()
    pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    return nn.Sequential(*parts, pool).eval()


def named_parts(net: nn.Module) -> nn.Module:
    """Give the children of `small_resnet` the names of torchvision's ResNet."""
    names = ("conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4")
    return holder(**dict(zip(names, net.children(), strict=False)))


def state(module: nn.Module) -> dict[str, Tensor]:
    """Copy the module's state dict; a tensor it names twice stays one, as in the project's file."""
    content, copies = module.state_dict(), {}
    for name, tensor in content.items():
        content[name] = copies.setdefault(tensor.data_ptr(), tensor.detach().clone())
    return content


def optimizer(module: nn.Module, **options: Any) -> dict[str, Any]:
    """The state of SGD with momentum over the module; of two tensors only, to keep files small."""
    params = list(module.parameters())
    sgd = torch.optim.SGD(params, lr=0.03, momentum=0.9)
    for param in params[:2]:
        param.grad = torch.zeros_like(param)
    sgd.step()
    for param in params:
        param.grad = None
    content = sgd.state_dict()
    content["param_groups"][0].update(options)
    return content


def namespace(**values: object) -> argparse.Namespace:
    """The arguments of a training script, which many projects save as they are."""
    return argparse.Namespace(**values, batch_size_per_gpu=64, lr=0.0005, output_dir=".")


@functools.cache
def foreign(path: str, base: type = object, method: str = "") -> type:
    """Make a class that pickles as the one at a dotted path, with a method if one is named."""
    module, _, name = path.rpartition(".")
    body: dict[str, Any] = {"__module__": module, "__qualname__": name, "is_foreign": True}
    if method:
        body[method] = foreign_function(f"{path}.{method}", module)
    return type(name, (base,), body)


@functools.cache
def foreign_function(path: str, module: str) -> Any:
    """Make a function that pickles as the one at a dotted path, which is in that module."""

    def function(*arguments: object) -> None:
        raise AssertionError("a file's function was called")

    function.__module__, function.__qualname__ = module, path.removeprefix(f"{module}.")
    function.is_foreign = "." not in function.__qualname__  # type: ignore[attr-defined]
    return function


def foreigners(tree: Any) -> Iterator[Any]:
    """Find the foreign classes and functions that pickle will look for in their modules."""
    for thing in (tree, type(tree)):
        if getattr(thing, "is_foreign", False) and hasattr(thing, "__qualname__"):
            yield thing
    parts = list(getattr(tree, "__dict__", {}).values()) if not isinstance(tree, type) else []
    parts += [*tree.keys(), *tree.values()] if isinstance(tree, dict) else []
    parts += tree if isinstance(tree, list | tuple) else []
    for part in parts:
        yield from foreigners(part)


@contextlib.contextmanager
def importable(*things: Any) -> Iterator[None]:
    """Let pickle find these classes and functions under the modules they name, for a moment."""
    before = dict(sys.modules)
    added: list[tuple[types.ModuleType, str]] = []
    try:
        for thing in things:
            parts = thing.__module__.split(".")
            for count in range(1, len(parts) + 1):
                name = ".".join(parts[:count])
                sys.modules.setdefault(name, types.ModuleType(name))
            module = sys.modules[thing.__module__]
            if not hasattr(module, thing.__qualname__):
                setattr(module, thing.__qualname__, thing)
                added.append((module, thing.__qualname__))
        yield
    finally:
        for module, name in added:
            delattr(module, name)
        for name in set(sys.modules) - set(before):
            del sys.modules[name]


def write(path: Path, content: Any, legacy: bool = False) -> Path:
    """Save as the project does; the foreign classes can be imported only meanwhile."""
    with importable(*foreigners(content)):
        torch.save(content, path, _use_new_zipfile_serialization=not legacy)
    return path
