"""Files that are never half there: temporary name, sync, rename; a lock; safe paths."""

import contextlib
import errno
import fcntl
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from vireo.errors import NoSpaceError, StoreError

_POLL_SECONDS = 0.2


@contextlib.contextmanager
def atomic_writer(path: Path) -> Iterator[IO[bytes]]:
    """Open a binary file that takes the name `path` only if the block ends without an error.

    The bytes are synced before the rename, so a crash or a full disk leaves the previous file or
    none, never a part.

    Raises:
        NoSpaceError: the disk is full.
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
        if is_full(error):
            raise NoSpaceError(
                f"No space left while writing {path}; free some and run again."
            ) from error
        raise


def is_full(error: BaseException) -> bool:
    """Say whether the system refused to write for want of space, or of a person's share of it."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


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
def lock(path: Path, what: str, wait_seconds: float = 0.0) -> Iterator[None]:
    """Hold an exclusive lock on `path`; the system frees it even if the process is killed.

    A file that a dead process left says nothing: only a living one holds the lock. Children that
    it forked hold it too, until they notice that it died. Where the block ends with an error, a
    lock that was made is removed, with the folders made for it that hold nothing else.

    Args:
        path: the lock file, created if needed and else left in place.
        what: named in the message when somebody else holds it.
        wait_seconds: how long to wait for them.

    Raises:
        StoreError: another process holds the lock, or the file system has none.
    """
    made = [each for each in (path, *path.parents) if not each.exists()]
    give_up = time.monotonic() + wait_seconds
    while (file := _locked(path)) is None:
        if time.monotonic() >= give_up:
            raise StoreError(
                f"Another process is at work on {what} (lock {path}). Wait for it or stop it."
            )
        time.sleep(_POLL_SECONDS)
    with file:
        try:
            yield
        except BaseException:
            _unmake(path, made)
            raise


def _locked(path: Path) -> IO[str] | None:
    """Return the lock file, held, or None while somebody else holds it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        file = stack.enter_context(path.open("a"))
        if not _held(file, path):
            return None
        if os.fstat(file.fileno()).st_nlink == 0:  # its last holder has removed it meanwhile
            return _locked(path)
        stack.pop_all()
        return file


def _unmake(path: Path, made: Sequence[Path]) -> None:
    """Remove a lock that was made, and its folders as far as they are empty."""
    if path in made:
        path.unlink()
        with contextlib.suppress(OSError):
            for folder in made[1:]:
                folder.rmdir()


def _held(file: IO[str], path: Path) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        raise StoreError(
            f"The disk of {path} has no locks ({error.strerror}), so two processes could not be "
            "held apart. Take a folder on another, or mount it with locks."
        ) from error
    return True


def remove_leftovers(folder: Path, older_than_seconds: float = 24 * 3600.0) -> None:
    """Remove what killed processes left under temporary names, some time ago, in `folder`."""
    for path in folder.glob(".*.tmp"):
        with contextlib.suppress(FileNotFoundError):  # its process completes it at this moment
            content = list(path.rglob("*")) or [path]
            if time.time() - max(map(_written, content)) > older_than_seconds:
                shutil.rmtree(path) if path.is_dir() else path.unlink()


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


def _written(path: Path) -> float:
    return path.stat().st_mtime


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
