"""Files that are never half there: temporary name, sync, rename; a lock; safe paths."""

import contextlib
import errno
import fcntl
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from vireo.errors import StoreError


@contextlib.contextmanager
def atomic_writer(path: Path) -> Iterator[IO[bytes]]:
    """Open a binary file that takes the name `path` only if the block ends without an error.

    The bytes are synced before the rename, so a crash or a full disk leaves the previous file or
    none, never a part.

    Raises:
        StoreError: the disk is full.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            raise StoreError(
                f"No space left while writing {path}; free some and run again."
            ) from error
        raise


def write_bytes(path: Path, content: bytes) -> None:
    """Write `content` to `path` atomically."""
    with atomic_writer(path) as file:
        file.write(content)


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON to `path` atomically; refuses NaN: JSON has none."""
    write_bytes(
        path, (json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False) + "\n").encode()
    )


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        StoreError: the file is missing or not JSON; NaN and infinity are not.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse_constant)
    except FileNotFoundError as error:
        raise StoreError(f"{path} does not exist.") from error
    except (ValueError, RecursionError) as error:
        raise StoreError(
            f"{path} is not valid JSON ({error}); delete it to make it again."
        ) from error


@contextlib.contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Give a temporary folder that takes the name `path` when the block ends without an error.

    If `path` appears meanwhile (another process made the same content), the temporary folder is
    dropped.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(
        dir=path.parent, prefix=f".{path.name}.", suffix=".tmp"
    ) as name:
        inner = Path(name) / "content"
        inner.mkdir()
        yield inner
        for file in inner.rglob("*"):
            if file.is_file():
                _sync(file)
        with contextlib.suppress(OSError):
            inner.rename(path)
    if not path.is_dir():
        raise StoreError(f"Could not create {path}; check the permissions of {path.parent}.")


@contextlib.contextmanager
def lock(path: Path, what: str) -> Iterator[None]:
    """Hold an exclusive lock on `path`; the system frees it even if the process is killed.

    Args:
        path: the lock file, created if needed and left in place.
        what: named in the message when somebody else holds it.

    Raises:
        StoreError: another process holds the lock.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StoreError(
                f"Another process is at work on {what} (lock {path}). Wait for it or stop it."
            ) from error
        yield


def inside(folder: Path, name: str) -> Path:
    """Return the path of `name` below `folder`.

    Raises:
        StoreError: `name` is absolute or leads out of `folder`, through `..` or a link.
    """
    root = folder.resolve()
    path = (root / name).resolve()
    if not path.is_relative_to(root) or path == root:
        raise StoreError(f"The name {name!r} leads outside {folder}; refused.")
    return path


def expand(text: str) -> Path:
    """Expand `~` and `$VARIABLES` of a path that a person wrote.

    Raises:
        StoreError: a variable is not set, or there is no such person's home.
    """
    expanded = os.path.expandvars(text)
    if "$" in expanded:
        raise StoreError(
            f"The path '{text}' uses a variable that is not set; export it and try again."
        )
    try:
        return Path(expanded).expanduser()
    except RuntimeError as error:
        raise StoreError(
            f"The path '{text}' names a home that is not here; write it out."
        ) from error


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
