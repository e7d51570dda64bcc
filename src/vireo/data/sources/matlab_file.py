"""Variables out of MATLAB files (formats 5 to 7): numbers, texts and struct arrays, nothing else.

Files come from strangers, and SciPy's compiled reader, which hands on objects too, ends the whole
process on some damaged files. The format is a tree of elements (type, size, content) that is small
enough to be read here, where whatever is wrong with a file becomes a `DataError` that names it.

References:
    MathWorks, MAT-File Format, chapter 1 (Level 5).
"""

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64

from vireo.data.sources.listing import read
from vireo.errors import DataError

Value = Float64[np.ndarray, "..."] | str | list[dict[str, "Value"]]

_HEADER = 128
_MATRIX, _COMPRESSED = 14, 15
_NUMBERS = dict(
    zip(
        (1, 2, 3, 4, 5, 6, 7, 9, 12, 13),
        ("i1", "u1", "i2", "u2", "i4", "u4", "f4", "f8", "i8", "u8"),
        strict=True,
    )
)
_TEXTS = {1: "latin-1", 2: "latin-1", 4: "utf-16", 16: "utf-8", 17: "utf-16", 18: "utf-32"}
_STRUCT, _CHAR, _NUMERIC = 2, 4, range(6, 16)
_OTHERS = {1: "a cell array", 3: "an object", 5: "a sparse matrix", 16: "a function"}
_COMPLEX = 0x0800
_LARGEST = 1 << 29
"""Bytes that a compressed variable may unpack to."""
_DEEPEST = 8


class _Element(NamedTuple):
    kind: int
    content: memoryview


class _Head(NamedTuple):
    """What a matrix begins with: its class with flags, its shape and its name."""

    flags: int
    shape: tuple[int, ...]
    name: str


def read_variable(path: Path, name: str) -> Value:
    """Return a variable of a MATLAB file.

    Numbers become float64 arrays, whatever their type; a text of one row a `str`; a struct array a
    list of its elements, by field, in MATLAB's order.

    Raises:
        DataError: the file is missing, damaged or of another format, has no such variable, or the
            variable holds an object, a function, or whatever else is no plain data.
    """
    content = memoryview(read(path))
    order = _byte_order(content, path)
    try:
        for element in _elements(content[_HEADER:], order):
            matrix = _unpacked(element, order)
            parts = list(_elements(matrix.content, order, 3))
            if matrix.kind == _MATRIX and _head(parts, order).name == name:
                return _value(matrix.content, order, depth=0)
    except (ValueError, struct.error, zlib.error) as error:
        raise DataError(
            f"{path} cannot be read as plain data of MATLAB: {error}. Copy or download it again."
        ) from error
    raise DataError(f"{path} has no variable '{name}'; check that it is the right file.")


def _byte_order(content: memoryview, path: Path) -> str:
    """Return the sign of the byte order for `struct`; refuse other formats."""
    mark = bytes(content[_HEADER - 2 : _HEADER])
    order = {b"IM": "<", b"MI": ">"}.get(mark, "")
    version = struct.unpack_from(f"{order}H", content, _HEADER - 4)[0] if order else 0
    if version == 0x0200:
        raise DataError(f"{path} is of MATLAB 7.3, another format; save it in MATLAB with '-v7'.")
    if version != 0x0100:
        raise DataError(
            f"{path} is no MATLAB file of format 5 to 7: it begins with "
            f"{bytes(content[:12])!r}. Download it again."
        )
    return order


def _elements(content: memoryview, order: str, most: int = -1) -> Iterator[_Element]:
    """Yield the elements that follow each other, at most `most`."""
    start = 0
    while start < len(content) and most != 0:
        kind, size = struct.unpack_from(f"{order}II", content, start)
        small = kind >> 16  # at most 4 bytes of content may stand in the tag itself
        first = start + 4 if small else start + 8
        size, kind = (small, kind & 0xFFFF) if small else (size, kind)
        if first + size > len(content) or small > 4:
            raise ValueError(f"an element of {size} bytes is cut short")
        yield _Element(kind, content[first : first + size])
        start = start + 8 if small else first + size + (-size % 8) * (kind != _COMPRESSED)
        most -= 1


def _unpacked(element: _Element, order: str) -> _Element:
    if element.kind != _COMPRESSED:
        return element
    stream = zlib.decompressobj()
    content = stream.decompress(element.content, _LARGEST)
    if not stream.eof:
        raise ValueError(f"a variable is cut short, or larger than {_LARGEST >> 20} MiB")
    return next(_elements(memoryview(content), order), element)


def _head(parts: list[_Element], order: str) -> _Head:
    if len(parts) < 3 or parts[0].kind != 6 or parts[1].kind != 5 or len(parts[0].content) != 8:
        raise ValueError("a matrix has no flags, shape and name")
    shape = np.frombuffer(parts[1].content, f"{order}i4").tolist()
    if len(shape) < 2 or min(shape) < 0:
        raise ValueError(f"a matrix has the shape {shape}")
    flags = struct.unpack_from(f"{order}I", parts[0].content)[0]
    return _Head(flags, tuple(shape), bytes(parts[2].content).decode("latin-1"))


def _value(content: memoryview, order: str, depth: int) -> Value:
    """Return the value of a matrix element."""
    if not content:
        return np.zeros((0, 0))
    parts = list(_elements(content, order))
    head, body = _head(parts, order), parts[3:]
    kind = head.flags & 0xFF
    if kind == _STRUCT:
        return _structs(head, body, order, depth)
    if kind == _CHAR:
        return _text(head, body, order)
    if kind not in _NUMERIC or head.flags & _COMPLEX:
        raise ValueError(f"it holds {_OTHERS.get(kind, 'objects or complex numbers')}")
    return _numbers(head, body, order)


def _numbers(head: _Head, body: list[_Element], order: str) -> Float64[np.ndarray, "..."]:
    if len(body) != 1 or body[0].kind not in _NUMBERS:
        raise ValueError("an array has no numbers")
    numbers = np.frombuffer(body[0].content, order + _NUMBERS[body[0].kind])
    return numbers.astype(np.float64).reshape(head.shape, order="F")


def _text(head: _Head, body: list[_Element], order: str) -> str:
    if head.shape[0] > 1 or len(head.shape) > 2 or len(body) != 1 or body[0].kind not in _TEXTS:
        raise ValueError("a text has several rows or none")
    coding = _TEXTS[body[0].kind]
    ending = {"<": "-le", ">": "-be"}[order] if coding in ("utf-16", "utf-32") else ""
    return bytes(body[0].content).decode(coding + ending)


def _structs(head: _Head, body: list[_Element], order: str, depth: int) -> list[dict[str, Value]]:
    if depth > _DEEPEST or len(body) < 2 or len(body[0].content) != 4:
        raise ValueError("a struct array has no field names, or structs lie too deep")
    length = struct.unpack_from(f"{order}i", body[0].content)[0]
    names, values = bytes(body[1].content), body[2:]
    if length < 1 or len(names) % length or not names:
        raise ValueError("a struct array has broken field names")
    fields = [
        names[start : start + length].split(b"\0")[0].decode("latin-1")
        for start in range(0, len(names), length)
    ]
    if any(value.kind != _MATRIX for value in values):
        raise ValueError("a field of a struct is no matrix")
    found = [_value(value.content, order, depth + 1) for value in values]
    if len(found) != len(fields) * int(np.prod(head.shape, dtype=object)):
        raise ValueError(f"a struct array of {head.shape} has {len(found)} values")
    step = len(fields)
    return [
        dict(zip(fields, found[start : start + step], strict=True))
        for start in range(0, len(found), step)
    ]
