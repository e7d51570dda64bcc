"""Where every file of a tar shard lies: read once from the headers, kept beside for the next time.

Nothing is unpacked, so a name in an archive cannot lead anywhere: it is only a key. A file is read
later by its offset and length.
"""

import hashlib
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from vireo import console, files
from vireo.errors import DataError, StoreError

Member = tuple[str, str, int, int]
"""Key of the example, extension in lower case, offset, bytes."""

_FORMAT = 1


def read_index(shards: Sequence[Path], cache: Path) -> list[list[Member]]:
    """Return the members of each shard, in its order; what was indexed before is not read again.

    Args:
        shards: uncompressed tar files.
        cache: folder of the indices; one that cannot be written to is done without.

    Raises:
        DataError: a shard is missing, broken, cut short or compressed.
    """
    return [_indexed(shard, cache) for shard in console.track(shards, "Indexing", len(shards))]


def _indexed(shard: Path, cache: Path) -> list[Member]:
    try:
        status = shard.stat()
    except OSError as error:
        raise DataError(f"{shard} cannot be read ({error.strerror}); check the path.") from error
    identity = [_FORMAT, str(shard.resolve()), status.st_size, status.st_mtime_ns]
    name = hashlib.sha256(repr(identity).encode()).hexdigest()[:24]
    path = cache / f"{name}.npz"
    stored = _read(path)
    if stored is not None:
        return stored
    members = list(_scan(shard, status.st_size))
    _write(path, members)
    return members


def _scan(shard: Path, size: int) -> Iterator[Member]:
    try:
        with tarfile.open(shard, mode="r:") as archive:
            for member in archive:
                if member.offset_data + member.size > size:
                    raise DataError(f"{shard} is cut short at '{member.name}'; copy it again.")
                if member.isreg() and not member.issparse():
                    key, extension = split_name(member.name)
                    yield key, extension, member.offset_data, member.size
    except (tarfile.TarError, OSError, EOFError, ValueError) as error:
        with shard.open("rb") as file:
            packed = file.read(2) in (b"\x1f\x8b", b"BZ", b"\xfd7")
        advice = "unpack it (gunzip): images are read by their place" if packed else "copy it again"
        raise DataError(f"{shard} is not a whole tar file ({error}); {advice}.") from error


def split_name(name: str) -> tuple[str, str]:
    """Split a member's name into key and extension as WebDataset does: at the base's first dot.

    Example:
        >>> split_name("train/n01/0007.seg.PNG")
        ('train/n01/0007', 'seg.png')
    """
    path = PurePosixPath(name)
    base, _, extension = path.name.partition(".")
    return str(path.with_name(base)) if base else "", extension.lower()


def _read(path: Path) -> list[Member] | None:
    try:
        with np.load(path, allow_pickle=False) as stored:
            columns = [stored[name].tolist() for name in ("keys", "extensions", "offsets", "sizes")]
    except (OSError, ValueError, LookupError, EOFError):
        return None
    return list(zip(*columns, strict=True))


def _write(path: Path, members: Sequence[Member]) -> None:
    keys, extensions, offsets, sizes = zip(*members, strict=True) if members else ((), (), (), ())
    try:
        with files.atomic_writer(path) as file:
            np.savez(
                file,
                keys=np.array(keys, dtype=np.str_),
                extensions=np.array(extensions, dtype=np.str_),
                offsets=np.array(offsets, dtype=np.int64),
                sizes=np.array(sizes, dtype=np.int64),
            )
    except (OSError, StoreError) as error:
        console.warn(f"The index of shards is not kept ({error}); it is read again next time.")
