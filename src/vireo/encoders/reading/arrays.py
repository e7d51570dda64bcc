"""NumPy arrays and scalars of a pickle, as tensors and numbers; arrays of objects stay inert."""

import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vireo.encoders.reading.pickles import LEFT_INERT, DamageError, Inert

ARRAY_NAMES = frozenset({"numpy.ndarray", "numpy.dtype"})
_NUMERIC = re.compile(r"([<>=|]?)(b1|[iu][1248]|f[248]|c8|c16)")
_MOST_DIMENSIONS = 64
Claim = Callable[[int], None]


def build_array(state: Any, claim: Claim) -> Any:
    """Return the tensor of an array's state (version, shape, dtype, Fortran order, bytes)."""
    if not isinstance(state, tuple) or len(state) != 5:
        return LEFT_INERT
    _, shape, dtype, fortran, content = state
    return _tensor(content, dtype, shape, claim, order="F" if fortran else "C")


def rebuild_shared(given: tuple[Any, ...], claim: Claim) -> Any:
    """Return the tensor of (bytes, dtype, shape, order), pickle protocol 5's form."""
    content, dtype, shape, order = given
    return _tensor(content, dtype, shape, claim, order="F" if order == "F" else "C")


def rebuild_scalar(given: tuple[Any, ...]) -> Any:
    """Return the number of a NumPy scalar (dtype, bytes)."""
    dtype, content = given
    numeric, data = _numeric(dtype), _data(content)
    if numeric is None or data is None:
        return LEFT_INERT
    if len(data) != numeric.itemsize:
        raise DamageError(f"a number of type {numeric} has {len(data)} bytes")
    return np.frombuffer(data, numeric)[0].item()


def _tensor(content: Any, dtype: Any, shape: Any, claim: Claim, *, order: Any) -> Tensor | object:
    numeric, data = _numeric(dtype), _data(content)
    if numeric is None or data is None:
        return LEFT_INERT
    if not _is_shape(shape):
        raise DamageError("an array is described by values of the wrong kind")
    if math.prod(shape) * numeric.itemsize != len(data):
        raise DamageError(f"an array of shape {shape} and type {numeric} has {len(data)} bytes")
    claim(len(data))
    array = np.frombuffer(data, numeric).reshape(shape, order=order)
    return torch.from_numpy(array.astype(numeric.newbyteorder("="), order="C", copy=True))


def _is_shape(shape: Any) -> bool:
    """Whether these can be an array's lengths; the product of many large ones takes for ever."""
    plain = isinstance(shape, tuple) and len(shape) <= _MOST_DIMENSIONS
    return plain and all(type(n) is int and 0 <= n < 1 << 62 for n in shape)


def _numeric(dtype: Any) -> np.dtype[Any] | None:
    """Return the type that a pickled dtype stands for, if its elements are plain numbers."""
    if not isinstance(dtype, Inert) or dtype.kind != "numpy.dtype":
        return None
    given, state = dtype.state.get("__args__"), dtype.state.get("__state__")
    if not isinstance(given, tuple) or not given or not isinstance(given[0], str):
        return None
    order = state[1] if isinstance(state, tuple) and len(state) > 1 else "="
    found = _NUMERIC.fullmatch(given[0])
    if found is None or order not in ("<", ">", "=", "|"):
        return None
    return np.dtype((found[1] or order).replace("|", "=") + found[2])


def _data(content: Any) -> bytes | None:
    """Return bytes; Python 2 wrote them as text."""
    if isinstance(content, str):
        return content.encode("latin-1")
    return bytes(content) if isinstance(content, bytes | bytearray) else None
