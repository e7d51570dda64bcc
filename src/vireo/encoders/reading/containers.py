"""Plain containers and values that a pickle builds by a call: sets, ordered dictionaries, bytes."""

from collections.abc import Sequence
from typing import Any

import torch

from vireo.encoders.reading.pickles import LEFT_INERT, DamageError, Inert, Limits, Rule

_LATIN = ("latin1", "latin-1", "iso-8859-1")
_LISTS = ("intlist", "doublelist", "boollist", "tensorlist")


def container_rules(limits: Limits) -> dict[str, Rule]:
    """Return the rules of names whose values are plain: each copies what it is given, and pays."""

    def elements(given: tuple[Any, ...]) -> Sequence[Any]:
        content = given[0] if given else ()
        if len(given) > 1 or not isinstance(content, list | tuple | set | frozenset):
            raise DamageError("a container is described by values of the wrong kind")
        limits.copy(len(content))
        return [*content]

    def keyed(given: tuple[Any, ...]) -> list[Any]:
        return [limits.key(item) for item in elements(given)]

    def mapping(given: tuple[Any, ...]) -> dict[Any, Any]:
        return limits.mapping(given[0]) if given else {}

    def encoded(given: tuple[Any, ...]) -> Any:
        text, encoding = given
        if not isinstance(text, str) or encoding not in _LATIN:
            return LEFT_INERT
        limits.copy(len(text))
        return text.encode("latin-1")

    def content(given: tuple[Any, ...]) -> Any:
        given = given if given else (b"",)
        return encoded(given) if len(given) == 2 else _bytes(given[0])

    return {
        "collections.OrderedDict": mapping,
        "collections.Counter": mapping,
        "collections.defaultdict": lambda given: mapping(given[1:]),
        "builtins.dict": mapping,
        "builtins.list": lambda given: [*elements(given)],
        "builtins.tuple": lambda given: tuple(elements(given)),
        "builtins.set": lambda given: set(keyed(given)),
        "builtins.frozenset": lambda given: frozenset(keyed(given)),
        "builtins.bytes": content,
        "builtins.bytearray": content,
        "builtins.complex": _complex,
        "_codecs.encode": encoded,
        "copyreg._reconstructor": _instance,
        "torch.Size": lambda given: _size(elements(given)),
        "torch.device": _device,
        "torch.jit._pickle.restore_type_tag": lambda given: given[0],
        **{f"torch.jit._pickle.build_{kind}": lambda given: [*elements(given)] for kind in _LISTS},
    }


def _bytes(value: Any) -> Any:
    return value if isinstance(value, bytes) else LEFT_INERT


def _complex(given: tuple[Any, ...]) -> Any:
    plain = all(isinstance(part, int | float) for part in given) and len(given) <= 2
    return complex(*given) if plain else LEFT_INERT


def _size(elements: Sequence[Any]) -> torch.Size:
    if not all(type(length) is int for length in elements):
        raise DamageError("a shape holds values that are no lengths")
    return torch.Size(elements)


def _device(given: tuple[Any, ...]) -> Any:
    kind, *index = given
    plain = isinstance(kind, str) and len(index) < 2 and all(type(i) is int for i in index)
    return torch.device(kind, *index) if plain else LEFT_INERT


def _instance(given: tuple[Any, ...]) -> Any:
    """Return the inert object that Python 2's pickles make by copyreg._reconstructor."""
    kind, _, state = given
    if not isinstance(kind, Inert):
        return LEFT_INERT
    return Inert(kind=kind.kind, state={} if state is None else {"__args__": (state,)})
