"""Nested containers from a file that may be hostile: walks over them that stay linear.

A few bytes of a pickle can hold a list in itself, a list of two lists of two lists ... of one, or
a nesting deeper than Python's stack. `survey` refuses those, so that whoever comes after may walk
dictionaries, lists and tuples with plain recursion. Inert records may hold each other in circles
(a module its trainer, the trainer its module): a walk must not enter them without keeping count.
"""

from collections.abc import Iterator
from typing import Any

from torch import Tensor

from vireo.encoders.reading.pickles import DamageError, Inert
from vireo.errors import CheckpointError

_DEEPEST = 100
_LARGEST = 10_000_000
_MODULES = 20_000
# What the names of a network's tensors and modules may come to, in letters; each has some more.
_LETTERS, _MORE_LETTERS = 50_000_000, 50
_CONTAINERS = (dict, list, tuple, set, frozenset)


def survey(tree: Any) -> set[str]:
    """Return the kinds of inert records in `tree`, which is safe for plain recursion.

    Raises:
        DamageError: it contains itself, is nested too deeply, or repeats itself too often.
    """
    measures: dict[int, tuple[int, int]] = {}
    inert: dict[int, Inert] = {}
    roots = [tree]
    while roots:
        met = _measure(roots.pop(), measures)
        fresh = {id(record): record for record in met if id(record) not in inert}
        inert |= fresh
        roots += [record.state for record in fresh.values()]
    return {record.kind for record in inert.values()}


def tensors_of_module(module: Inert) -> dict[str, Tensor]:
    """Return the tensors of a network that was saved whole, under the names of its state_dict.

    Both a pickled `torch.nn.Module` (`_parameters`, `_buffers`, `_modules`) and a TorchScript one
    (plain attributes) are understood; an object of another kind gives an empty dictionary.

    Raises:
        CheckpointError: the modules contain themselves, or are too many.
    """
    found: dict[str, Tensor] = {}
    pending = [("", module, 0)]
    letters = _LETTERS
    for _ in range(_MODULES):
        if not pending or pending[-1][2] > _DEEPEST:
            break
        prefix, current, depth = pending[-1]
        parts = list(_parts(current))
        letters -= sum(len(prefix) + len(name) + _MORE_LETTERS for name, _ in parts)
        if letters < 0:
            break
        pending.pop()
        found |= {prefix + name: part for name, part in parts if isinstance(part, Tensor)}
        inner = [(f"{prefix}{n}.", part, depth + 1) for n, part in parts if isinstance(part, Inert)]
        pending += inner[::-1]
    if pending:
        raise CheckpointError(
            f"The network '{module.kind}' holds itself, or more than {_MODULES} modules, or too"
            " many tensors; save its state_dict instead."
        )
    return found


def _measure(root: Any, measures: dict[int, tuple[int, int]]) -> list[Inert]:
    """Measure the containers below `root`, each once; return the inert records met."""
    met: list[Inert] = []
    opened: set[int] = set()
    pending = [root] if isinstance(root, _CONTAINERS) else []
    while pending:
        node = pending[-1]
        if id(node) in measures:
            pending.pop()
            continue
        inner = [child for child in _children(node) if isinstance(child, _CONTAINERS)]
        if id(node) in opened:
            opened.remove(id(node))
            measures[id(node)] = _sum(node, [measures[id(child)] for child in inner])
        else:
            opened.add(id(node))
            if any(id(child) in opened for child in inner):
                raise DamageError("it holds a list or dictionary that contains itself")
            met += [child for child in _children(node) if isinstance(child, Inert)]
            pending += [child for child in inner if id(child) not in measures]
    return met if isinstance(root, _CONTAINERS) else [root] * isinstance(root, Inert)


def _sum(node: Any, inner: list[tuple[int, int]]) -> tuple[int, int]:
    """Return the size (an element counts as often as it is reached) and depth of a container."""
    size = 1 + len(node) + sum(size for size, _ in inner)
    depth = 1 + max((depth for _, depth in inner), default=0)
    if size > _LARGEST:
        raise DamageError(f"it repeats its own parts to more than {_LARGEST} values")
    if depth > _DEEPEST:
        raise DamageError(f"it is nested more than {_DEEPEST} levels deep")
    return size, depth


def _children(node: Any) -> Iterator[Any]:
    if isinstance(node, dict):
        yield from node.values()
    elif isinstance(node, _CONTAINERS):
        yield from node


def _parts(module: Inert) -> Iterator[tuple[str, Any]]:
    """Give the tensors and modules of a module, in the order of a state_dict."""
    if module.kind.startswith("__torch__."):
        yield from ((str(name), part) for name, part in module.state.items())
    passing = module.state.get("_non_persistent_buffers_set")
    passing = passing if isinstance(passing, set) else set()
    for key in ("_parameters", "_buffers", "_modules"):
        content = module.state.get(key)
        for name, part in content.items() if isinstance(content, dict) else ():
            if key != "_buffers" or name not in passing:
                yield str(name), part
