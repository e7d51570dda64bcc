"""Fetch a published file once, whole and unchanged, into torch's cache of downloads.

The bytes go to `FILE.part`; a transfer that breaks is resumed, now or by the next call, and starts
anew if the file at the address has changed. Length and hash are checked before the file gets its
name. Where the publisher states no hash, that of the first download is kept in `FILE.sha256` and
checked from then on.

The standard library's urllib does the talking: the core has no HTTP library, and `torch.hub`'s
downloader neither resumes nor looks at what comes. Only http and https are spoken.
"""

import contextlib
import hashlib
import os
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from vireo import console, files
from vireo.encoders.downloads import transfers
from vireo.errors import CheckpointError, StoreError

OFFLINE = "VIREO_OFFLINE"
TIMEOUT_SECONDS = 20.0
# Waits before a broken transfer is resumed; a transfer that made progress starts the list again.
WAITS_SECONDS = (1.0, 4.0)
_HASHED_NAME = re.compile(r"-([0-9a-f]{8,64})\.[a-z.]+$")


def fetch(
    address: str, file: str, checksum: str = "", *, timeout_seconds: float = TIMEOUT_SECONDS
) -> Path:
    """Return the cached file, downloaded from `address` first if it is not there.

    Args:
        address: http or https; empty if nobody publishes the file.
        file: its name in the cache.
        checksum: "sha256:" or "md5:" and the first digits of the hash; empty if none is known.
        timeout_seconds: of silence, before a transfer counts as broken.

    Raises:
        CheckpointError: no network, no such file, a web page instead of it, or another hash. What
            has come so far is kept, and the message says where a file fetched elsewhere belongs.
        StoreError: the cache cannot be written to.
    """
    path = cache_folder() / file
    if not path.is_file():
        if not address:
            raise CheckpointError(f"Nobody publishes this file. {_place(path)}")
        if is_offline():
            raise CheckpointError(f"{OFFLINE} is set, so {address} was not fetched. {_place(path)}")
        with _writable(path), _alone(path):
            if not path.is_file():
                _download(address, path, checksum, timeout_seconds)
    verify(path, checksum)
    return path


def is_offline() -> bool:
    """Whether the person has switched the network off (`VIREO_OFFLINE=1`)."""
    return os.environ.get(OFFLINE, "0") not in ("", "0")


def cache_folder() -> Path:
    """Return torch's own folder for downloaded weights, without importing torch.

    `TORCH_HOME` moves it, and so does `torch.hub.set_dir`, which only exists once torch does.
    """
    torch = sys.modules.get("torch")
    if torch is not None:
        return Path(torch.hub.get_dir()) / "checkpoints"
    cache = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache"))
    home = Path(os.environ.get("TORCH_HOME", cache / "torch"))
    return home.expanduser() / "hub" / "checkpoints"


def verify(path: Path, checksum: str = "") -> str:
    """Check a cached file against the publisher's hash, or else its first download's.

    Returns:
        The file's SHA-256.

    Raises:
        CheckpointError: the file is not what was published, or has changed.
    """
    found = _hash(path, "sha256")
    _check_published(path, checksum, found)
    record = path.with_name(f"{path.name}.sha256")
    if not record.is_file():
        with contextlib.suppress(OSError, StoreError):  # a cache that others share may be read-only
            files.write_bytes(record, f"{found}  {path.name}\n".encode())
        return found
    kept = record.read_text(encoding="utf-8", errors="replace").partition(" ")[0].strip()
    if kept != found:
        raise CheckpointError(
            f"{path} has changed since it was first opened: its SHA-256 was {kept[:16]}... and is"
            f" {found[:16]}.... Delete it and {record.name} to fetch it again."
        )
    return found


def stated_checksum(file: str) -> str:
    """Return the checksum that a file's name states by torch's convention (`NAME-HASH.pth`).

    Example:
        >>> stated_checksum("resnet50-0676ba61.pth"), stated_checksum("swav_800ep.pth.tar")
        ('sha256:0676ba61', '')
    """
    found = _HASHED_NAME.search(file)
    return f"sha256:{found[1]}" if found else ""


def _download(address: str, path: Path, checksum: str, timeout_seconds: float) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    console.say(f"Fetching {address} to {path}")
    _transfer(address, part, _place(path), timeout_seconds)
    try:
        _check_published(part, checksum, _hash(part, "sha256"))
    except CheckpointError as error:
        transfers.forget(part)
        raise CheckpointError(f"{address}: {error} It was removed. {_place(path)}") from error
    part.replace(path)
    transfers.forget(part)


def _transfer(address: str, part: Path, advice: str, timeout_seconds: float) -> None:
    """Fill `part`, resuming a broken transfer as long as each attempt brings something."""
    waits = list(WAITS_SECONDS)
    furthest = transfers.size(part)
    while True:
        try:
            transfers.get(address, part, timeout_seconds)
        except transfers.RefusedError as error:
            raise CheckpointError(f"Cannot fetch {address}: {error} {advice}") from error
        except transfers.BrokenError as error:
            if transfers.size(part) > furthest:
                furthest = transfers.size(part)
                waits = list(WAITS_SECONDS)
            elif not waits:
                raise CheckpointError(
                    f"The transfer of {address} broke off ({error}). What came is kept: the same"
                    f" command goes on from there. {advice}"
                ) from error
            time.sleep(waits.pop(0))
        else:
            return


def _check_published(path: Path, checksum: str, sha256: str) -> None:
    kind, _, digits = checksum.partition(":")
    found = sha256 if kind in ("sha256", "") else _hash(path, kind)
    if not found.startswith(digits):
        raise CheckpointError(
            f"{path.name} has the {kind} {found[: max(16, len(digits))]}, its publisher states"
            f" {digits}: it is broken or another file."
        )


def _hash(path: Path, kind: str) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, kind).hexdigest()


def _place(path: Path) -> str:
    return f"If you have the file, or can fetch it elsewhere, put it at {path}."


@contextlib.contextmanager
def _writable(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreError(
            f"Cannot write in {path.parent} ({error.strerror}); set TORCH_HOME to another folder."
        ) from error


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Keep other processes from fetching the same file; wait for one that does."""
    said = False
    with contextlib.ExitStack() as stack:
        while True:
            try:
                stack.enter_context(files.lock(path.with_name(f".{path.name}.lock"), path.name))
                break
            except StoreError:
                if not said:
                    console.say(f"Another process is fetching {path.name}; waiting for it.")
                said = True
                time.sleep(0.2)
        yield
