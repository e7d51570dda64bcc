"""What a file holds as flat names: `state_dict/module.encoder_q.conv1.weight`.

A slash stands between a container and what is in it, a dot inside a name that the file itself
writes with dots. So a level called "model" and a network called "model" are told apart.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from vireo.encoders.reading.files import Content, tensors_of_module
from vireo.encoders.reading.pickles import Inert
from vireo.errors import CheckpointError

# What parallel training and compilation put into names; it says nothing of the network.
WRAPPERS = frozenset(
    {"module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module", "_ddp_module"}
)
_DEPTH = 16
_LIMIT = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Flat:
    """A file's tensors and facts by flat names.

    Attributes:
        tensors: name to tensor; without wrappers, unless two names became one.
        raw: that name to the name as it stands in the file.
        facts: names of numbers, words and empty containers to their values.
        metadata: a safetensors file's own.
    """

    tensors: Mapping[str, Tensor]
    raw: Mapping[str, str]
    facts: Mapping[str, Any]
    metadata: Mapping[str, str]


def flatten(content: Content) -> Flat:
    """Walk through nested containers, inert objects and networks that were saved whole.

    Raises:
        CheckpointError: there is no dictionary, or containers are nested too deeply or hold too
            much.
    """
    if not isinstance(content.tree, Mapping | Inert):
        raise CheckpointError(
            f"The file holds a {type(content.tree).__name__}, not a dictionary of tensors; save the"
            " network's state_dict instead."
        )
    tensors: dict[str, Tensor] = {}
    facts: dict[str, Any] = {}
    for count, (path, value) in enumerate(_walk(content.tree, "", 0, set())):
        if count > _LIMIT:
            raise CheckpointError(
                f"The file holds more than {_LIMIT} values, so it is no checkpoint of a network;"
                " save the network's state_dict alone."
            )
        if isinstance(value, Tensor):
            tensors[path] = value.detach()
        else:
            facts[_plain(path)] = value
    raw = {_plain(path): path for path in tensors}
    if len(raw) < len(tensors):  # two networks that only a wrapper's name tells apart: keep it
        raw = {path: path for path in tensors}
    named = {name: tensors[path] for name, path in raw.items()}
    return Flat(tensors=named, raw=raw, facts=facts, metadata=content.metadata)


def _walk(value: Any, path: str, depth: int, met: set[int]) -> Iterator[tuple[str, Any]]:
    """Give the leaves with their paths; each inert object is entered once: they may form rings."""
    if isinstance(value, Inert):
        if id(value) in met or depth > _DEPTH:
            return
        met.add(id(value))
    elif depth > 2 * _DEPTH:
        raise CheckpointError(
            f"The file nests containers more than {2 * _DEPTH} deep; save the state_dict alone."
        )
    children = _children(value)
    if not children:
        yield path, value
    for key, child in children.items():
        yield from _walk(child, f"{path}/{key}" if path else str(key), depth + 1, met)


def _children(value: Any) -> Mapping[Any, Any]:
    if isinstance(value, Inert):
        return tensors_of_module(value) or value.state
    if isinstance(value, Mapping):
        return value
    if isinstance(value, list | tuple) and any(_container(item) for item in value):
        return dict(enumerate(value))
    return {}


def _container(value: Any) -> bool:
    return isinstance(value, torch.Tensor | Mapping | list | tuple | Inert)


def _plain(path: str) -> str:
    *levels, name = path.split("/")
    kept = [part for part in name.split(".") if part not in WRAPPERS]
    return "/".join([*[level for level in levels if level not in WRAPPERS], ".".join(kept) or name])
