"""Bytes of a file that may be hostile, broken or something else altogether, to nested containers.

Nothing in a file is imported or called. A torch file is first read dry by our own machine
(`machine.py`), which allocates no tensor: it finds what is tampered with, and which foreign classes
are in it. torch's weights-only reader then reads every file that holds none; our own reads the
others, with inert records in the places of foreign objects. The dry run comes first because torch's
reader allocates whatever the numbers of a file ask for, sets attributes that hide a dictionary's
methods, and overflows the C stack on a nested key.
"""

import contextlib
import json
import pickle
import struct
import warnings
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import torch

from vireo.encoders.reading.archives import Archive
from vireo.encoders.reading.machine import Machine
from vireo.encoders.reading.pickles import DamageError, Inert, Limits
from vireo.encoders.reading.rebuilding import TORCH_ONLY, Find, Rebuilder
from vireo.encoders.reading.recognising import START_BYTES, is_archive, is_safetensors, stranger
from vireo.encoders.reading.streams import Stream
from vireo.encoders.reading.trees import survey, tensors_of_module
from vireo.errors import CheckpointError

__all__ = ["Content", "Inert", "read_file", "tensors_of_module"]

# What readers raise on broken bytes, and what torch's raises on what it does not read.
_BROKEN = (
    RuntimeError,
    EOFError,
    OSError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    AssertionError,
    ArithmeticError,
    MemoryError,
    struct.error,
    zlib.error,
    zipfile.BadZipFile,
    pickle.UnpicklingError,
)


@dataclass(frozen=True, kw_only=True)
class Content:
    """What a file holds.

    Attributes:
        tree: nested dict, list, tuple, set, Tensor, number, str, bytes, None, torch.Size, dtype,
            device and `Inert`. Arrays of NumPy are tensors. Plain recursion over its dictionaries,
            lists and tuples ends; an `Inert` may hold itself.
        reader: "safetensors", "torch", "torch, foreign classes inert", or "restricted reader" where
            there are none and torch does not read it; "pickle" for "torch" where no tensor is
            torch's.
        foreign: names of the classes and functions that stayed inert, sorted.
        metadata: the `__metadata__` of a safetensors file.
    """

    tree: Any
    reader: str
    foreign: tuple[str, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class _Pass:
    """What one run over a pickle gives; `plain`: torch's own reader would give the same."""

    tree: Any
    foreign: set[str]
    plain: bool


def read_file(path: Path) -> Content:
    """Return what a safetensors or torch file holds, on the CPU, as stored.

    Memory stays within a small multiple of the file's tensors, and of a hundred bytes for each
    byte of its pickle.

    Raises:
        CheckpointError: not a checkpoint, broken, or tampered with.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of pickle protocols and odd escapes
        return _read_known(path, *_first_bytes(path))


def _read_known(path: Path, start: bytes, file_bytes: int) -> Content:
    try:
        # before the stream: the length that a safetensors file begins with may end in 0x80 too
        if is_safetensors(start, file_bytes):
            return _read_safetensors(path)
        if is_archive(path, start):
            with path.open("rb") as file:
                return _read_pickled(Archive(file, file_bytes), file, file_bytes)
        if start.startswith(b"\x80"):
            with path.open("rb") as file:
                return _read_pickled(Stream(file, file_bytes), file, file_bytes)
    except DamageError as error:
        raise CheckpointError(
            f"{path} was damaged or tampered with: {error}; download it again from its authors."
        ) from error
    except _BROKEN as error:
        raise CheckpointError(
            f"{path} is broken or cut short ({_line(error)}); download it again."
        ) from error
    raise CheckpointError(f"{path} is no checkpoint: {stranger(path, start)}")


def _first_bytes(path: Path) -> tuple[bytes, int]:
    if path.is_dir():
        raise CheckpointError(f"{path} is a folder; name a file in it, or open it as run:{path}.")
    if path.exists() and not path.is_file():
        raise CheckpointError(f"{path} is a device or a pipe; save it to a file first.")
    try:
        with path.open("rb") as file:
            return file.read(START_BYTES), path.stat().st_size
    except OSError as error:
        raise CheckpointError(f"Cannot read {path} ({error.strerror}); check the path.") from error


def _read_safetensors(path: Path) -> Content:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            names = [*file.keys()]  # it has no iterator of its own
            # copies: what it gives is the file itself, and a file that shrinks ends the process
            tensors = {name: file.get_tensor(name).clone() for name in names}
            metadata = dict(file.metadata() or {})
        _check_header(path)
    except SafetensorError as error:
        raise ValueError(_line(error)) from error
    return Content(tree=tensors, reader="safetensors", metadata=metadata)


def _check_header(path: Path) -> None:
    """Refuse a header that describes a tensor twice: readers do not agree which of them counts."""
    with path.open("rb") as file:
        header = file.read(int.from_bytes(file.read(8), "little"))
    json.loads(header, object_pairs_hook=_once)


def _once(pairs: list[tuple[str, Any]]) -> None:
    if len({name for name, _ in pairs}) < len(pairs):
        raise DamageError("its header says the same thing twice")


def _read_pickled(source: Archive | Stream, file: IO[bytes], file_bytes: int) -> Content:
    plain = _run(source, source.claim, file_bytes).plain  # its tree is dropped at once
    source.settle()
    if plain and source.has_storages:
        source.verify()
        with contextlib.suppress(*_BROKEN):
            return Content(tree=_load_by_torch(file), reader="torch")
    full = _run(source, source.load, file_bytes)
    layout = "torch" if source.has_storages else "pickle"
    manner = "foreign classes inert" if full.foreign else "restricted reader"
    foreign = tuple(sorted(full.foreign))
    return Content(tree=full.tree, reader=f"{layout}, {manner}", foreign=foreign)


def _run(source: Archive | Stream, find: Find, file_bytes: int) -> _Pass:
    limits = Limits(source.pickle_bytes)
    rebuilder = Rebuilder(find, limits, file_bytes)
    machine = Machine(rebuilder.vocabulary(), limits)
    tree = machine.run(source.stream())
    foreign = machine.foreign | survey(tree)
    plain = machine.plain and rebuilder.plain and foreign <= TORCH_ONLY
    return _Pass(tree=tree, foreign=foreign, plain=plain)


def _load_by_torch(file: IO[bytes]) -> Any:
    """Read the very file that was looked at: behind its path another may lie by now."""
    file.seek(0)
    return torch.load(file, map_location="cpu", weights_only=True)


def _line(error: BaseException) -> str:
    text = str(error).strip().splitlines()
    return text[0][:200] if text else type(error).__name__
