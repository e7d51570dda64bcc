"""Read a pickle without importing or calling anything that it names.

A name that a pickle imports becomes an `Inert` record, unless the reader's `Vocabulary` has a rule
for it, written by us. `machine.py` runs the opcodes.

Work and memory are linear in the file: no step copies without an allowance, and a dictionary's keys
are such that no file can make their hashes expensive (a tuple nested a million times overflows the
C stack of torch's own reader when it is hashed).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

_STEPS = 5_000_000
_OBJECTS = 1_000_000
_ODD_KEYS = 10_000
_KEY_LENGTH = 64
# Integers from 2**61 - 1 on, and tuples, can be chosen to collide as keys of a dictionary.
_HASH_BITS = 60


class DamageError(Exception):
    """What is wrong with a file, as a clause; the reader puts the file's name before it."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Inert:
    """What stands in for an object of a class that is not rebuilt; never imported, never called.

    Two are equal only if they are the same, so that a cyclic one can be compared and hashed.

    Attributes:
        kind: the class's or function's full name ("vissl.utils.hydra_config.AttrDict").
        state: what the file sets on it: attributes and entries by their names; constructor
            arguments under "__args__" and "__kwargs__", list items under "__items__", a state that
            is no dictionary under "__state__".
    """

    kind: str
    state: dict[Any, Any]


Rule = Callable[[tuple[Any, ...]], Any]
# What a rule returns where it has nothing to rebuild: the object stays inert.
LEFT_INERT = object()


@dataclass(frozen=True, kw_only=True)
class Vocabulary:
    """What the names of a file mean.

    Attributes:
        values: names that stand for a plain value (torch.float32).
        rules: constructors and rebuilding functions, as functions of their arguments.
        builds: what an inert object of this kind becomes when its state is set.
        passive: names that only serve as arguments of others, and are not foreign.
        persistent: what a persistent id stands for.
    """

    values: Mapping[str, Any] = field(default_factory=dict)
    rules: Mapping[str, Rule] = field(default_factory=dict)
    builds: Mapping[str, Callable[[Inert, Any], Any]] = field(default_factory=dict)
    passive: frozenset[str] = frozenset()
    persistent: Callable[[Any], Any] = lambda _: LEFT_INERT

    def knows(self, kind: str) -> bool:
        """Whether `kind` is no foreign name."""
        return kind in self.passive or kind in self.rules or kind in self.builds


class Limits:
    """What a pickle may copy, and which keys its dictionaries may have.

    Args:
        size: bytes of the pickle; an honest one copies nothing that is not written in it.
    """

    def __init__(self, size: int) -> None:
        self._copies = 2 * size + 1000
        self._odd_keys = _ODD_KEYS
        self._steps = _STEPS
        self._objects = _OBJECTS

    def step(self, *, makes: bool) -> None:
        """Pay for an opcode; some make a container or record of 200 bytes out of one."""
        self._steps -= 1
        self._objects -= makes
        if self._steps < 0:
            raise DamageError(f"its pickle has more than {_STEPS} steps")
        if self._objects < 0:
            raise DamageError(f"it makes more than {_OBJECTS} containers and records")

    def copy(self, count: int) -> None:
        """Pay for copying `count` elements."""
        self._copies -= count
        if self._copies < 0:
            raise DamageError("it copies itself over and over, as no honest file does")

    def key(self, value: Any) -> Any:
        """Return `value` if it can be a key whose hash is cheap."""
        if _is_flat(value):
            return value
        self._odd_keys -= 1
        if self._odd_keys < 0:
            raise DamageError(f"more than {_ODD_KEYS} keys of its dictionaries are no plain values")
        if isinstance(value, tuple) and len(value) <= _KEY_LENGTH and all(map(_is_number, value)):
            return value
        if isinstance(value, dict | list | set | frozenset | tuple | bytearray):
            raise DamageError(f"it uses a {type(value).__name__} as a dictionary's key")
        return value

    def mapping(self, pairs: Any) -> dict[Any, Any]:
        """Copy a dictionary, or a list of pairs, to a dictionary."""
        listed = list(pairs.items()) if isinstance(pairs, dict) else pairs
        self.copy(len(listed))
        return {self.key(key): value for key, value in listed}


def _is_flat(value: Any) -> bool:
    if type(value) is int:
        return value.bit_length() <= _HASH_BITS
    return value is None or type(value) in (str, bytes, bool, float)


def _is_number(value: Any) -> bool:
    return value is None or isinstance(value, str | bytes | float | int)
