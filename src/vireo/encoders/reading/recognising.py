"""What a file is by its first bytes; and where it is no checkpoint, what to do about it."""

import contextlib
import itertools
import json
import re
import struct
import tarfile
import zipfile
from collections.abc import Iterable
from pathlib import Path

START_BYTES = 4096
# safetensors allows no longer header; the first letters of a text give a far larger number.
_LONGEST_HEADER = 100_000_000
_SHORT_TEXT = 1000
_UNPACK = "unpack it, and open the file within"
_EXPORT = "load it there, and save the network's tensors by name with safetensors"
_ORIGINAL = "take the torch checkpoint that it was made from"
_INSIDE = (".pth", ".pt", ".bin", ".ckpt", ".safetensors", ".pth.tar")
# The first bytes, what they mean, and the next step.
_STRANGERS = [
    (re.compile(start, re.IGNORECASE | re.DOTALL), what, step)
    for start, what, step in (
        (rb"version https://git-lfs", "a Git-LFS pointer", "run 'git lfs pull' in its repository"),
        (
            rb"\s*(<\?xml[^>]*>\s*)?<(!doctype\s+html|html|head)",
            "a web page",
            "its address leads to a page about the file; download the file",
        ),
        (rb"\x1f\x8b", "packed with gzip", f"{_UNPACK} ('gunzip', 'tar xzf')"),
        (rb"BZh[1-9]", "packed with bzip2", f"{_UNPACK} ('bunzip2', 'tar xjf')"),
        (rb"\xfd7zXZ", "packed with xz", f"{_UNPACK} ('unxz', 'tar xJf')"),
        (rb"\x28\xb5\x2f\xfd", "packed with zstd", f"{_UNPACK} ('unzstd')"),
        (rb"7z\xbc\xaf\x27\x1c|Rar!", "a packed archive", _UNPACK),
        (rb"\x93NUMPY", "a single NumPy array", "save all arrays by name with safetensors"),
        (rb"\x89HDF\r\n", "an HDF5 file, as Keras writes", _EXPORT),
        (rb"GGUF|ggml|lmgg", "a file of llama.cpp", _ORIGINAL),
        (rb"\x08\x01\x12", "a TensorFlow SavedModel", _EXPORT),
        (rb"\x08[\x02-\x20][\x12:]", "an ONNX graph", _ORIGINAL),
        (rb"\x0a.*(Placeholder|MatMul|Const)", "a TensorFlow graph", _EXPORT),
        (rb"model_checkpoint_path:", "TensorFlow's list of checkpoints", _EXPORT),
        (
            rb"\(dp\d|\(lp\d|[}\]]q|c(copy_reg|numpy|torch|collections)[\w.]*\n",
            "a pickle of protocol 0 or 1",
            "load it in Python if you trust it, and save its tensors with safetensors",
        ),
    )
]


def is_safetensors(start: bytes, file_bytes: int) -> bool:
    """Whether a file begins with a header of safetensors that fits in it."""
    return _header_end(start) <= file_bytes and start[8:9] == b"{"


def is_archive(path: Path, start: bytes) -> bool:
    """Whether a file is a zip archive with the pickle of a torch file."""
    return start.startswith(b"PK") and any(name.endswith("data.pkl") for name in _names(path))


def stranger(path: Path, start: bytes) -> str:
    """Say in one clause what a file is that is no checkpoint, with the next step."""
    if not start:
        return "it is empty; download it again."
    for pattern, what, step in _STRANGERS:
        if pattern.match(start):
            return f"it is {what}; {step}."
    if start[257:262] == b"ustar":
        return _tar(path)
    if start.startswith(b"PK"):
        return _zip(path)
    return _text(start) or _rest(path, start)


def _rest(path: Path, start: bytes) -> str:
    if start[8:9] == b"{" and _header_end(start) <= _LONGEST_HEADER:
        return "its header is longer than the file, so it was cut short; download it again."
    if path.stat().st_size < _SHORT_TEXT and start.isascii() and start.decode().strip():
        said = " ".join(start.decode().split())[:80]
        return (
            f"it is neither safetensors nor a torch file, but a short text ({said!r}); check the"
            " address that it came from."
        )
    return "it is neither safetensors nor a torch file; convert it to one of them."


def _header_end(start: bytes) -> int:
    return 8 + int.from_bytes(start[:8], "little")


def _text(start: bytes) -> str:
    """Say what a text for programs is: a refusal of a server, or settings."""
    code = re.search(rb"<Error>.*?<Code>(\w+)</Code>", start, re.DOTALL)
    if code is not None:
        return _answer(code[1].decode())
    if re.match(rb"\s*<\?xml", start):
        return "it is an XML document, not the file; download the file."
    return _json(start) if re.match(rb"\s*[{\[]", start) else ""


def _json(start: bytes) -> str:
    if b'"weight_map"' in start:
        return (
            "it is the index of a checkpoint in several files; join them in one safetensors file."
        )
    content = None
    with contextlib.suppress(ValueError, RecursionError):
        content = json.loads(start)
    if isinstance(content, dict):
        for key in ("message", "error", "detail", "title"):
            if key in content:
                return _answer(str(content[key])[:80])
    known = content is not None or len(start) == START_BYTES
    return "it is a JSON file; the weights lie in another file beside it." if known else ""


def _answer(said: str) -> str:
    shown = said if said.isprintable() else ascii(said)
    return (
        f"it is a server's answer ({shown}), not the file; check the address, and whether it asks"
        " for an account."
    )


def _tar(path: Path) -> str:
    names: list[str] = []
    with (
        contextlib.suppress(tarfile.TarError, OSError, ValueError),
        tarfile.open(path, "r:") as tar,
    ):
        names = [member.name for member in itertools.islice(tar, 20)]
    if {"storages", "tensors", "pickle"} & {*names}:
        return (
            "it is in torch's tar format from before 2017; load it with torch if you trust it, and"
            " save its state_dict again."
        )
    return f"it is a tar archive; {_UNPACK}{_inside(names)}."


def _names(path: Path) -> list[str]:
    broken = (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, struct.error, EOFError)
    with contextlib.suppress(*broken), zipfile.ZipFile(path) as archive:
        return archive.namelist()
    return []


def _zip(path: Path) -> str:
    names = _names(path)
    if names and all(name.endswith(".npy") for name in names):
        return "it is a NumPy .npz file; save its arrays by name with safetensors."
    if "model.weights.h5" in names:
        return f"it is a Keras file; {_EXPORT}."
    if names:
        return f"it is a zip archive of other files; {_UNPACK}{_inside(names)}."
    return "it is a broken zip archive, or cut short; download it again."


def _inside(names: Iterable[str]) -> str:
    found = [name for name in names if name.endswith(_INSIDE) and name.isprintable()]
    return f" ({', '.join(found[:3])})" if found else ""
