"""A torch file from before version 1.6: a row of pickles, with the storages behind.

The pickles are a magic number, a version, the writer's system, the content and the keys of the
storages. A plain pickle (arrays of NumPy in a dictionary) is read as a stream without storages.

References: `torch/serialization.py`, for the facts of the layout.
"""

import io
import itertools
from typing import Any

import torch
from torch import Tensor

from vireo.encoders.reading.archives import read_bytes
from vireo.encoders.reading.machine import Machine, opcodes
from vireo.encoders.reading.pickles import DamageError, Limits, Vocabulary

_MAGIC = 0x1950A86A20F9469CFC6C
_VERSION = 1001
_COUNT_BYTES = 8


class Stream:
    """The content and the storages of one stream.

    Raises:
        DamageError: it is of another version.
        Exception: of many standard kinds, where the bytes are no pickle.
    """

    def __init__(self, file: io.BufferedReader, file_bytes: int) -> None:
        self._file = file
        self._file_bytes = file_bytes
        self._claims: dict[str, tuple[int, torch.dtype]] = {}
        self._places: dict[str, int] = {}
        self._loaded: dict[str, Tensor] = {}
        file.seek(0)
        self.has_storages = _starts_with_magic(self._clipped())
        if self.has_storages and (version := self._value()) != _VERSION:
            said = f"{version}" if isinstance(version, int) else "no number"
            raise DamageError(f"it is of version {said:.40} of torch's format, not {_VERSION}")
        if self.has_storages:
            self._value()
        self._content = file.tell() if self.has_storages else 0

    @property
    def pickle_bytes(self) -> int:
        """Most that the pickle of the content can have."""
        return self._file_bytes

    def stream(self) -> io.BufferedIOBase:
        """Go to the pickle of the content."""
        self._file.seek(self._content)
        return self._clipped()

    def claim(self, key: str, dtype: torch.dtype, elements: int) -> None:
        """Note that the pickle says that a storage has so many elements."""
        claim = (elements, dtype)
        if not self.has_storages or self._claims.setdefault(key, claim) != claim:
            raise DamageError(f"it describes the storage {key[:80]!r} in two ways")

    def settle(self) -> None:
        """Find the storages that were claimed, in the bytes behind the content."""
        if not self.has_storages:
            return
        keys = self._value()
        # A set, not a sort: to compare nested tuples that double at every level takes for ever.
        texts = isinstance(keys, list) and all(isinstance(key, str) for key in keys)
        if not texts or len(keys) != len(self._claims) or {*keys} != self._claims.keys():
            raise DamageError("the storages it lists are not those that its tensors use")
        position = self._file.tell()
        for key in keys:
            self._places[key] = position + _COUNT_BYTES
            position = self._end(key, position)

    def verify(self) -> None:
        """A stream has no checksums."""

    def load(self, key: str, dtype: torch.dtype, elements: int) -> Tensor:
        """Return the bytes of a storage; views of one storage share them."""
        if key not in self._loaded:
            position = self._file.tell()
            self._file.seek(self._places[key])
            self._loaded[key] = read_bytes(self._file, elements * dtype.itemsize)
            self._file.seek(position)
        return self._loaded[key]

    def _value(self) -> Any:
        return Machine(Vocabulary(), Limits(self._file_bytes)).run(self._clipped())

    def _clipped(self) -> io.BufferedIOBase:
        return _Clipped(self._file, self._file_bytes)

    def _end(self, key: str, position: int) -> int:
        """Return where the storage that begins at `position` ends; check what it says there."""
        elements, dtype = self._claims[key]
        self._file.seek(position)
        counted = int.from_bytes(self._file.read(_COUNT_BYTES), "little")
        end = position + _COUNT_BYTES + elements * dtype.itemsize
        if counted != elements or end > self._file_bytes:
            raise DamageError("it ends within its tensors, or counts them in two ways")
        return end


class _Clipped(io.BufferedIOBase):
    """A file whose `read` never asks for more than there is: a buffer is as long as the number."""

    def __init__(self, file: io.BufferedReader, file_bytes: int) -> None:
        self._file = file
        self._file_bytes = file_bytes

    def read(self, size: int | None = -1, /) -> bytes:
        left = self._file_bytes - self._file.tell()
        return self._file.read(left if size is None or size < 0 else min(size, left))

    def readline(self, size: int | None = -1, /) -> bytes:
        return self._file.readline(-1 if size is None else size)

    def tell(self) -> int:
        return self._file.tell()


def _starts_with_magic(stream: io.BufferedIOBase) -> bool:
    """Whether the first pickle is torch's magic number alone; leaves the position behind it."""
    first = [*itertools.islice(opcodes(stream), 4)]
    number = any(type(argument) is int and argument == _MAGIC for _, argument in first)
    return number and first[-1][0] == "STOP"
