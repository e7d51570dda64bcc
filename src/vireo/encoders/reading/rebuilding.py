"""What the names in a checkpoint's pickle mean: storages, tensors, arrays and plain containers.

Each rule checks its arguments and builds the value itself; none calls what the file names. A tensor
is built only if its storage really holds every element it claims: torch's own reader of the stream
format allocates whatever a file's numbers ask for.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from vireo.encoders.reading.arrays import ARRAY_NAMES, build_array, rebuild_scalar, rebuild_shared
from vireo.encoders.reading.containers import container_rules
from vireo.encoders.reading.pickles import LEFT_INERT, DamageError, Inert, Limits, Rule, Vocabulary

# The bytes of a storage, or None in a dry run: key, dtype and number of elements to a byte tensor.
Find = Callable[[str, torch.dtype, int], Tensor | None]

_TYPES = {
    "Double": torch.float64,
    "Float": torch.float32,
    "Half": torch.float16,
    "BFloat16": torch.bfloat16,
    "Long": torch.int64,
    "Int": torch.int32,
    "Short": torch.int16,
    "Char": torch.int8,
    "Byte": torch.uint8,
    "Bool": torch.bool,
    "ComplexDouble": torch.complex128,
    "ComplexFloat": torch.complex64,
    "QInt8": torch.qint8,
    "QUInt8": torch.quint8,
    "QInt32": torch.qint32,
    "QUInt4x2": torch.quint4x2,
    "QUInt2x4": torch.quint2x4,
}
_STORAGES = {
    **{f"torch.{place}{name}Storage": t for name, t in _TYPES.items() for place in ("", "cuda.")},
    "torch.UntypedStorage": torch.uint8,
    "torch.storage.UntypedStorage": torch.uint8,
    "torch.storage._UntypedStorage": torch.uint8,
}
_VALUES = {str(value): value for value in vars(torch).values() if isinstance(value, torch.dtype)}
_PASSIVE = {
    *("torch.Tensor", "torch.nn.parameter.Parameter", "torch.nn.parameter.Buffer"),
    *("builtins.object", "builtins.int", "builtins.float", "builtins.str", "builtins.bool"),
}
# What torch's own reader builds, and which is left inert here.
TORCH_ONLY = frozenset(
    {
        "torch._utils._rebuild_sparse_tensor",
        "torch._utils._rebuild_qtensor",
        "torch.serialization._get_layout",
        "torch.per_tensor_affine",
        "torch.per_channel_affine",
        "torch.per_channel_affine_float_qparams",
    }
)
_MOST_DIMENSIONS = 64
# Views may claim the same bytes several times, up to this share of the file (and this many bytes).
_CLAIMS = 16
_CLAIMED_FREE = 1 << 24


class Rebuilder:
    """The rules of one file.

    Attributes:
        plain: whether nothing was dropped (hooks and attributes of tensors).
    """

    def __init__(self, find: Find, limits: Limits, file_bytes: int) -> None:
        self.plain = True
        self._find = find
        self._limits = limits
        self._claimable = _CLAIMS * file_bytes + _CLAIMED_FREE
        self._held: dict[Inert, tuple[Tensor | None, torch.dtype, int, int]] = {}
        self._places: dict[str, tuple[str, int, int]] = {}
        self._tensors: dict[str, Rule] = {
            "torch._utils._rebuild_tensor": self.tensor,
            "torch._utils._rebuild_tensor_v2": self.tensor_v2,
            "torch._utils._rebuild_tensor_v3": self.tensor_v3,
            "torch._utils._rebuild_qtensor": self.quantized,
            "torch._utils._rebuild_parameter": self.parameter,
            "torch._utils._rebuild_parameter_with_state": self.parameter,
        }

    def vocabulary(self) -> Vocabulary:
        """Return the names that this file may use."""
        own = {**self._tensors, "torch._tensor._rebuild_from_type_v2": self.from_type}
        return Vocabulary(
            values=_VALUES,
            rules={**own, **self._arrays(), **container_rules(self._limits)},
            builds={"numpy.ndarray": lambda _, state: build_array(state, self.claim)},
            passive=ARRAY_NAMES.union(_PASSIVE, _STORAGES),
            persistent=self.storage,
        )

    def _arrays(self) -> dict[str, Rule]:
        numpy = ("numpy.core.", "numpy._core.")
        return {
            **{f"{n}multiarray.scalar": rebuild_scalar for n in numpy},
            **{f"{n}multiarray._reconstruct": _empty_array for n in numpy},
            **{f"{n}numeric._frombuffer": lambda a: rebuild_shared(a, self.claim) for n in numpy},
            "numpy.dtype": lambda given: Inert(kind="numpy.dtype", state={"__args__": given}),
        }

    def claim(self, num_bytes: int) -> None:
        """Count the bytes that tensors say they have; refuse far more than the file has."""
        self._claimable -= num_bytes
        if self._claimable < 0:
            raise DamageError(f"its tensors claim more than {_CLAIMS} times the bytes of the file")

    def storage(self, identity: Any) -> Any:
        """Return the record of a storage: ("storage", type, key, place, elements[, view])."""
        if not isinstance(identity, tuple) or len(identity) < 2:
            return LEFT_INERT
        if _text(identity[0]) == "module":
            return identity[1]
        if _text(identity[0]) != "storage" or len(identity) not in (5, 6):
            return LEFT_INERT
        kind, key, _, elements, *view = identity[1:]
        dtype = _STORAGES.get(kind.kind) if isinstance(kind, Inert) else None
        if dtype is None or not isinstance(key, str) or not _is_count(elements):
            raise DamageError("a storage is described by values of the wrong kind")
        start, length = self._view(view, key, elements)
        record = Inert(kind=kind.kind, state={"key": key, "elements": elements})
        self._held[record] = (self._find(key, dtype, elements), dtype, start, length)
        return record

    def _view(self, view: list[Any], key: str, elements: int) -> tuple[int, int]:
        """Return the first element and the length of the part of a storage that is meant."""
        name, start, length = view[0] if view and view[0] is not None else (key, 0, elements)
        if not isinstance(name, str) or not _are_counts((start, length)):
            raise DamageError("a view of a storage is described by values of the wrong kind")
        if start + length > elements:
            raise DamageError(f"a view of a storage reads beyond its {elements} elements")
        # torch gives whatever it met first under a name, be it a storage or a view of one.
        if self._places.setdefault(name, (key, start, length)) != (key, start, length):
            raise DamageError(f"it describes the storage {name[:80]!r} in two ways")
        return start, length

    def tensor(self, given: tuple[Any, ...]) -> Any:
        """Rebuild from (storage, offset, size, stride)."""
        storage, offset, size, stride = given
        return self._build((storage, None), offset, size, stride)

    def tensor_v2(self, given: tuple[Any, ...]) -> Any:
        """Rebuild from (storage, offset, size, stride, requires_grad, hooks[, flags])."""
        storage, offset, size, stride, requires_grad, hooks, *flags = given
        self.plain &= not hooks
        if any(flags):
            return LEFT_INERT
        return _require(self._build((storage, None), offset, size, stride), requires_grad)

    def tensor_v3(self, given: tuple[Any, ...]) -> Any:
        """Rebuild from (storage, offset, size, stride, requires_grad, hooks, dtype[, flags])."""
        storage, offset, size, stride, requires_grad, hooks, dtype, *flags = given
        self.plain &= not hooks
        if any(flags) or not isinstance(dtype, torch.dtype):
            return LEFT_INERT
        return _require(self._build((storage, dtype), offset, size, stride), requires_grad)

    def quantized(self, given: tuple[Any, ...]) -> Any:
        """Check a quantised tensor, which is left to torch."""
        storage, offset, size, stride, *_ = given
        self._checked((storage, None), offset, size, stride)
        return LEFT_INERT

    def parameter(self, given: tuple[Any, ...]) -> Any:
        """Rebuild from (tensor, requires_grad, hooks[, state]); hooks and state are dropped."""
        data, requires_grad, *rest = given
        self.plain &= not any(rest)
        if not isinstance(data, Tensor):
            return LEFT_INERT
        return nn.Parameter(data.detach(), requires_grad=_flag(requires_grad))

    def from_type(self, given: tuple[Any, ...]) -> Any:
        """Rebuild from (function, type, arguments, state): the tensor without the rest."""
        function, _, arguments, state = given
        rule = self._tensors.get(function.kind) if isinstance(function, Inert) else None
        if rule is None:
            return LEFT_INERT
        self.plain &= not state
        return rule(arguments)

    def _build(self, source: tuple[Any, Any], offset: Any, size: Any, stride: Any) -> Tensor:
        buffer, dtype, start = self._checked(source, offset, size, stride)
        if buffer is None:
            return torch.empty_strided(size, stride, dtype=dtype, device="meta")
        return torch.empty(0, dtype=dtype).set_(buffer.untyped_storage(), start, size, stride)

    def _checked(
        self, source: tuple[Any, Any], offset: Any, size: Any, stride: Any
    ) -> tuple[Tensor | None, torch.dtype, int]:
        """Return the bytes, dtype and first element of a tensor that fits its storage."""
        storage, wanted = source
        held = self._held.get(storage) if isinstance(storage, Inert) else None
        if held is None or not _are_counts((offset,), size, stride) or len(size) != len(stride):
            raise DamageError("a tensor is described by values of the wrong kind")
        buffer, stored, start, length = held
        dtype = wanted or stored
        length = length * stored.itemsize // dtype.itemsize
        last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
        if (last >= length) if all(size) else (offset > length):
            raise DamageError(
                f"a tensor of shape {tuple(size)} reads beyond the {length} elements of its storage"
            )
        self.claim(math.prod(size) * dtype.itemsize)
        return buffer, dtype, start * stored.itemsize // dtype.itemsize + offset


def _require(tensor: Tensor, flag: Any) -> Tensor:
    return tensor.requires_grad_(_flag(flag)) if flag else tensor


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise DamageError("a tensor is described by values of the wrong kind")
    return value


def _are_counts(*groups: Any) -> bool:
    return all(
        isinstance(group, tuple | list)
        and len(group) <= _MOST_DIMENSIONS
        and all(map(_is_count, group))
        for group in groups
    )


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < 1 << 62


def _text(value: Any) -> str:
    # not `str` of what is no text: a tuple that doubles at every level would never end
    text = value.decode("latin-1") if isinstance(value, bytes) else value
    return text if isinstance(text, str) else ""


def _empty_array(given: tuple[Any, ...]) -> Any:
    return Inert(kind="numpy.ndarray", state={"__args__": given})
