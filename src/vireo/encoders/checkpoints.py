"""Read the tensors of a file that may be hostile, broken or something else altogether.

safetensors files and torch files are recognised by their first bytes. Torch files are pickles:
they are read with `weights_only=True`, which builds tensors and plain containers and nothing else,
so no code of the file runs.
"""

import pickle
import re
import struct
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vireo.errors import CheckpointError

# What torch's restricted unpickler raises on broken bytes, apart from UnpicklingError.
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
)
# Where trainers put a model's tensors beside optimiser states and settings.
_KEYS = ("state_dict", "model", "model_state_dict", "network", "net")
_HTML = re.compile(rb"^\s*<(!doctype|html|head|\?xml)", re.IGNORECASE)


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Return the named tensors of a safetensors or torch file, on the CPU, as stored.

    A dictionary around them (`{"state_dict": ...}`) is unwrapped.

    Raises:
        CheckpointError: not a checkpoint, broken, unsafe, or without tensors.
    """
    start = _first_bytes(path)
    if start.startswith((b"PK\x03\x04", b"\x80")):
        return _named_tensors(_read_torch(path), path)
    if start[8:9] == b"{" and path.stat().st_size > int.from_bytes(start[:8], "little"):
        return _read_safetensors(path)
    raise CheckpointError(f"{path} is no checkpoint: {_guess(start)}")


def _first_bytes(path: Path) -> bytes:
    if path.is_dir():
        raise CheckpointError(f"{path} is a folder; name a file in it, or open it as run:{path}.")
    try:
        with path.open("rb") as file:
            return file.read(512)
    except OSError as error:
        raise CheckpointError(f"Cannot read {path} ({error.strerror}); check the path.") from error


def _guess(start: bytes) -> str:
    if not start:
        return "it is empty; download it again."
    if _HTML.match(start):
        return "it is a web page, so the address leads to a page about the file; download the file."
    if start.startswith(b"version https://git-lfs"):
        return "it is a Git-LFS pointer, not the file; run 'git lfs pull' where it comes from."
    if start[8:9] == b"{":
        return "its header is longer than the file, so it was cut short; download it again."
    return "it is neither safetensors nor a torch file; convert it to one of them."


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return dict(load_file(path, device="cpu"))
    except (SafetensorError, *_BROKEN) as error:
        raise CheckpointError(
            f"{path} is broken or cut short ({_line(error)}); download it again."
        ) from error


def _read_torch(path: Path) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of pickle protocols; what matters is raised
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(_unpickling_sentence(path, str(error))) from error
    except _BROKEN as error:
        raise CheckpointError(
            f"{path} is broken or cut short ({_line(error)}); download it again."
        ) from error


def _unpickling_sentence(path: Path, text: str) -> str:
    foreign = re.search(r"(?:GLOBAL|global|class|function) `?([\w.]+\.[\w.]+)", text)
    if foreign is None:
        return f"{path} is not a torch file of tensors, or is broken; download it again."
    return (
        f"{path} holds more than tensors: it asks to import '{foreign[1]}', which can run code, so"
        " it was not loaded. If you trust it, save its state_dict alone with safetensors and open"
        " that."
    )


def _named_tensors(content: Any, path: Path) -> dict[str, Tensor]:
    if isinstance(content, Mapping):
        tensors = {
            name: value
            for name, value in content.items()
            if isinstance(name, str) and isinstance(value, Tensor)
        }
        inner = next((content[key] for key in _KEYS if isinstance(content.get(key), Mapping)), None)
        if inner is not None and len(tensors) < len(inner):
            return _named_tensors(inner, path)
        if tensors:
            return tensors
        keys = ", ".join(sorted(map(str, content))[:8])
        raise CheckpointError(
            f"{path} has no named tensors at its top or under {', '.join(_KEYS)}; it has: {keys}."
            " Save the network's state_dict alone."
        )
    raise CheckpointError(
        f"{path} holds a {type(content).__name__}, not a dictionary of tensors;"
        " save the network's state_dict instead."
    )


def _line(error: BaseException) -> str:
    text = str(error).strip().splitlines()
    return text[0][:200] if text else type(error).__name__
