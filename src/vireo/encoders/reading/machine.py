"""Run a pickle's opcodes on a stack that never holds anything that could be called.

This is an interpreter of its own, not a subclass of `pickle.Unpickler`: the standard one takes
classes from copyreg's extension cache without asking `find_class`, allocates the memo that an index
in the file asks for, calls whatever lies on its stack and asks objects for `__setstate__`. Here
every opcode is one of the few lines below, and what is not listed is refused.

References: Python's `pickletools`, which documents every opcode and decodes the arguments here.
"""

import io
import pickletools
from collections.abc import Callable, Iterator
from typing import IO, Any, cast

from vireo.encoders.reading.pickles import LEFT_INERT, DamageError, Inert, Limits, Vocabulary

_INTEGER_BITS = 2048
_NAME_LENGTH = 200
_MEMOS = 1 << 32
# Modules that Python 3 and torch renamed.
_MOVED = {"__builtin__": "builtins", "copy_reg": "copyreg", "torch.tensor": "torch._tensor"}
# An attribute that torch sets on the dictionary of a state_dict: versions, which nothing reads.
_HARMLESS = {"_metadata"}


def opcodes(stream: io.BufferedIOBase) -> Iterator[tuple[str, Any]]:
    """Give the names and arguments of a pickle's opcodes, up to its end."""
    for opcode, argument, _ in pickletools.genops(cast(IO[bytes], stream)):
        yield opcode.name, argument


class Machine:
    """The stack, the marks and the memo of one pickle.

    Attributes:
        foreign: names that the pickle uses and the vocabulary does not know, or could not rebuild.
        plain: whether nothing was dropped (attributes that were set on dictionaries or tensors).
    """

    def __init__(self, words: Vocabulary, limits: Limits) -> None:
        self.foreign: set[str] = set()
        self.plain = True
        self._words = words
        self._limits = limits
        self._stack: list[Any] = []
        self._below: list[list[Any]] = []
        self._memo: dict[int, Any] = {}
        self._slots: dict[Inert, list[int]] = {}

    def run(self, stream: io.BufferedIOBase) -> Any:
        """Return what the pickle at the stream's position holds; the stream stops behind it.

        Raises:
            DamageError: it does what no honest pickle does.
            Exception: of many standard kinds, where the bytes are no pickle.
        """
        for opcode, argument in opcodes(stream):
            self._limits.step(makes=opcode in _MAKERS)
            if opcode in _CONSTANTS:
                self._stack.append(_short(argument))
            elif opcode in _ACTIONS:
                _ACTIONS[opcode](self, argument)
            else:
                raise DamageError(f"its pickle uses {opcode}, which no checkpoint needs")
        return self._stack.pop()

    def _name(self, module: Any, name: Any) -> None:
        """Push what a global name stands for: a value, or a record of the name alone."""
        if not (isinstance(module, str) and isinstance(name, str)):
            raise DamageError("its pickle imports a name that is no text")
        kind = _printable(f"{_MOVED.get(module, module)}.{name}")
        if kind in self._words.values:
            self._stack.append(self._words.values[kind])
            return
        if not self._words.knows(kind):
            self.foreign.add(kind)
        self._stack.append(Inert(kind=kind, state={}))

    def _make(self, function: Any, arguments: Any, keywords: Any = None) -> Any:
        """Return what the vocabulary's rule makes of the arguments, or an inert record of both."""
        if not (isinstance(function, Inert) and isinstance(arguments, tuple)):
            raise DamageError("its pickle calls a value that is no class")
        rule = self._words.rules.get(function.kind)
        made = rule(arguments) if rule and not keywords else LEFT_INERT
        if made is not LEFT_INERT:
            return made
        self.foreign.add(function.kind)
        given = {"__args__": arguments, "__kwargs__": keywords}
        return Inert(kind=function.kind, state={key: part for key, part in given.items() if part})

    def _reduce(self, _: Any) -> None:
        arguments, function = self._stack.pop(), self._stack.pop()
        self._stack.append(self._make(function, arguments))

    def _reduce_keywords(self, _: Any) -> None:
        keywords, arguments, function = (self._stack.pop() for _ in range(3))
        self._stack.append(self._make(function, arguments, keywords))

    def _instance(self, names: str) -> None:
        arguments = tuple(self._marked())
        self._name(*names.split(" ", 1))
        self._stack.append(self._make(self._stack.pop(), arguments))

    def _marked_object(self, _: Any) -> None:
        function, *arguments = self._marked()
        self._stack.append(self._make(function, tuple(arguments)))

    def _stacked_name(self, _: Any) -> None:
        name, module = self._stack.pop(), self._stack.pop()
        self._name(module, name)

    def _extension(self, code: int) -> None:
        self._name("copyreg extension", str(code))

    def _build(self, _: Any) -> None:
        """Set an object's state: on inert records only; elsewhere attributes are dropped."""
        state, target = self._stack.pop(), self._stack[-1]
        if isinstance(target, Inert):
            builder = self._words.builds.get(target.kind)
            built = builder(target, state) if builder else LEFT_INERT
            if built is LEFT_INERT:
                self._set_state(target, state)
            else:
                self._replace(target, built)
        elif not (isinstance(target, dict) and isinstance(state, dict) and {*state} <= _HARMLESS):
            self.plain = False

    def _replace(self, target: Inert, built: Any) -> None:
        self._stack[-1] = built
        for slot in self._slots.pop(target, ()):
            if self._memo[slot] is target:
                self._memo[slot] = built

    def _set_state(self, target: Inert, state: Any) -> None:
        content = state.state if isinstance(state, Inert) else state
        parts = content if isinstance(content, tuple) and len(content) == 2 else (content,)
        if all(part is None or isinstance(part, dict) for part in parts):
            for part in filter(None, parts):
                self._limits.copy(len(part))
                target.state.update(part)
        else:
            target.state["__state__"] = content

    def _persistent(self, identity: Any) -> None:
        found = self._words.persistent(identity)
        if found is LEFT_INERT:
            self.foreign.add("persistent id")
            found = Inert(kind="persistent id", state={"__args__": (identity,)})
        self._stack.append(found)

    def _stacked_persistent(self, _: Any) -> None:
        self._persistent(self._stack.pop())

    def _mark(self, _: Any) -> None:
        self._below.append(self._stack)
        self._stack = []

    def _marked(self) -> list[Any]:
        """Return the items above the last mark, and take the mark off."""
        items, self._stack = self._stack, self._below.pop()
        return items

    def _pop(self, _: Any) -> None:
        if self._stack:
            self._stack.pop()
        else:
            self._marked()

    def _put(self, index: int | None) -> None:
        value = self._stack[-1]
        slot = len(self._memo) if index is None else index
        if slot >= _MEMOS:  # a text's decimal numbers can be chosen to collide in a dictionary
            raise DamageError("its pickle numbers its values as no honest one does")
        self._memo[slot] = value
        if isinstance(value, Inert) and value.kind in self._words.builds:
            self._slots.setdefault(value, []).append(slot)

    def _get(self, index: int) -> None:
        self._stack.append(self._memo[index])

    def _last(self, count: int) -> None:
        """Make a tuple of the last `count` values."""
        if len(self._stack) < count:
            raise DamageError("its pickle takes more values than it has")
        self._stack[-count:] = [tuple(self._stack[-count:])]

    def _extend(self, items: list[Any]) -> None:
        """Append to the list, set or inert record on the stack."""
        target = self._stack[-1]
        if isinstance(target, Inert):
            target = target.state.setdefault("__items__", [])
        if isinstance(target, set):
            target.update(map(self._limits.key, items))
        elif isinstance(target, list):
            target.extend(items)
        else:
            raise DamageError(f"its pickle appends to a {type(target).__name__}")

    def _set_items(self, items: list[Any]) -> None:
        """Set entries of the dictionary or inert record on the stack."""
        target = self._stack[-1]
        entries = target.state if isinstance(target, Inert) else target
        if not isinstance(entries, dict) or len(items) % 2:
            raise DamageError(f"its pickle sets entries of a {type(target).__name__}")
        for key, value in zip(items[::2], items[1::2], strict=True):
            entries[self._limits.key(key)] = value

    def _top(self) -> Any:
        """Return the last value, which stays on the stack."""
        return self._stack[-1]

    def _push(self, value: Any) -> None:
        """Put a value on the stack."""
        self._stack.append(value)

    def _push_dictionary(self, items: list[Any]) -> None:
        self._push({})
        self._set_items(items)

    def _take(self, count: int) -> list[Any]:
        """Take the last `count` values off the stack."""
        return [self._stack.pop() for _ in range(count)][::-1]

    def _keyed(self, items: list[Any]) -> list[Any]:
        """Return `items`, each of which can be in a set."""
        return [self._limits.key(item) for item in items]


def _short(value: Any) -> Any:
    if type(value) is int and value.bit_length() > _INTEGER_BITS:
        raise DamageError(f"it holds an integer of {value.bit_length()} bits")
    return value


def _printable(name: str) -> str:
    shown = name[:_NAME_LENGTH]
    return shown if shown.isprintable() else ascii(shown)


_CONSTANTS = {
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
    *("STRING", "BINSTRING", "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8"),
    *("UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "BYTEARRAY8"),
}
_MAKERS = {
    *("EMPTY_LIST", "EMPTY_DICT", "EMPTY_SET", "LIST", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3"),
    *("DICT", "FROZENSET", "GLOBAL", "STACK_GLOBAL", "EXT1", "EXT2", "EXT4", "REDUCE", "NEWOBJ"),
    *("NEWOBJ_EX", "INST", "OBJ", "PERSID", "BINPERSID"),
}
_ACTIONS: dict[str, Callable[[Machine, Any], None]] = {
    "NONE": lambda machine, _: machine._push(None),
    "NEWTRUE": lambda machine, _: machine._push(True),
    "NEWFALSE": lambda machine, _: machine._push(False),
    "EMPTY_LIST": lambda machine, _: machine._push([]),
    "EMPTY_TUPLE": lambda machine, _: machine._push(()),
    "EMPTY_DICT": lambda machine, _: machine._push({}),
    "EMPTY_SET": lambda machine, _: machine._push(set()),
    "LIST": lambda machine, _: machine._push(machine._marked()),
    "TUPLE": lambda machine, _: machine._push(tuple(machine._marked())),
    "TUPLE1": lambda machine, _: machine._last(1),
    "TUPLE2": lambda machine, _: machine._last(2),
    "TUPLE3": lambda machine, _: machine._last(3),
    "DICT": lambda machine, _: machine._push_dictionary(machine._marked()),
    "FROZENSET": lambda machine, _: machine._push(frozenset(machine._keyed(machine._marked()))),
    "APPEND": lambda machine, _: machine._extend(machine._take(1)),
    "APPENDS": lambda machine, _: machine._extend(machine._marked()),
    "ADDITEMS": lambda machine, _: machine._extend(machine._marked()),
    "SETITEM": lambda machine, _: machine._set_items(machine._take(2)),
    "SETITEMS": lambda machine, _: machine._set_items(machine._marked()),
    "MARK": Machine._mark,
    "POP": Machine._pop,
    "POP_MARK": lambda machine, _: machine._marked().clear(),
    "DUP": lambda machine, _: machine._push(machine._top()),
    "GET": Machine._get,
    "BINGET": Machine._get,
    "LONG_BINGET": Machine._get,
    "PUT": Machine._put,
    "BINPUT": Machine._put,
    "LONG_BINPUT": Machine._put,
    "MEMOIZE": lambda machine, _: machine._put(None),
    "GLOBAL": lambda machine, names: machine._name(*names.split(" ", 1)),
    "STACK_GLOBAL": Machine._stacked_name,
    "EXT1": Machine._extension,
    "EXT2": Machine._extension,
    "EXT4": Machine._extension,
    "REDUCE": Machine._reduce,
    "NEWOBJ": Machine._reduce,
    "NEWOBJ_EX": Machine._reduce_keywords,
    "INST": Machine._instance,
    "OBJ": Machine._marked_object,
    "BUILD": Machine._build,
    "PERSID": Machine._persistent,
    "BINPERSID": Machine._stacked_persistent,
    "PROTO": lambda *_: None,
    "FRAME": lambda *_: None,
    "STOP": lambda *_: None,
    "READONLY_BUFFER": lambda *_: None,
}
