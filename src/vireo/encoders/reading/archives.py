"""A torch zip archive (since torch 1.6): `data.pkl` and one record a storage.

None of its numbers is trusted: records are found in its directory and nowhere else, are never
written to disk, and are checked against their checksums, which torch's own reader ignores.

References: `torch/serialization.py` and the ZIP application note, for the facts of the layout.
"""

import io
import os
import re
import stat
import struct
import sys
import zipfile
import zlib
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath

import torch
from torch import Tensor

from vireo.encoders.reading.pickles import DamageError

# What compressed records may expand to: this many times the file, and 1 MiB.
_EXPANSION = 8
_EXPANSION_FREE = 1 << 20
_ENCRYPTED, _UTF8 = 0x1, 0x800
_STORED, _DEFLATED = zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED
# The record that ends an archive, and before it, in a zip64 archive, a larger one and its locator.
_END, _LOCATOR = struct.Struct("<4s4H2IH"), struct.Struct("<4sIQI")
_END_BYTES = 56 + _LOCATOR.size + _END.size
_CONTENT = re.compile(r"([^/]+/)?data\.pkl")


class Archive:
    """The records of one archive.

    Raises:
        DamageError: its directory does what no archive of torch does.
        Exception: of many standard kinds, where the bytes are no archive.
    """

    has_storages = True

    def __init__(self, file: io.BufferedReader, file_bytes: int) -> None:
        self._file = file
        self._file_bytes = file_bytes
        _check_end(file, file_bytes)
        with zipfile.ZipFile(file) as directory:
            infos = directory.infolist()
        _check_names(infos)
        _check_sizes(infos, file_bytes)
        self._infos = {info.filename: info for info in infos}
        self._prefix = _prefix(self._infos)
        self._claimed: dict[str, torch.dtype | None] = {self._prefix + "data.pkl": None}
        self._loaded: dict[str, Tensor] = {}

    @property
    def pickle_bytes(self) -> int:
        """Length of the pickle of the content."""
        return self._infos[self._prefix + "data.pkl"].file_size

    def stream(self) -> io.BytesIO:
        """Open the pickle of the content."""
        return io.BytesIO(_view(self._read(self._prefix + "data.pkl")))

    def claim(self, key: str, dtype: torch.dtype, elements: int) -> None:
        """Check that a storage has the bytes that the pickle says, without reading it."""
        name = f"{self._prefix}data/{key}"
        if name not in self._infos:
            raise DamageError(f"it asks for the storage {key[:80]!r}, which it does not have")
        found, wanted = self._infos[name].file_size, elements * dtype.itemsize
        if found != wanted:
            raise DamageError(f"its storage {key[:80]!r} has {found} bytes, not {wanted}")
        # torch gives every tensor of a storage the type that the first one says.
        if self._claimed.setdefault(name, dtype) != dtype:
            raise DamageError(f"it describes the storage {key[:80]!r} in two ways")

    def settle(self) -> None:
        """Nothing is left open after the pickle."""

    def verify(self) -> None:
        """Compare every record that was claimed with its checksum."""
        for name in sorted(self._claimed):
            self._read(name)

    def load(self, key: str, dtype: torch.dtype, elements: int) -> Tensor:
        """Return the bytes of a storage; views of one storage share them."""
        self.claim(key, dtype, elements)
        if key not in self._loaded:
            content = self._read(f"{self._prefix}data/{key}")
            if self._byte_order() != sys.byteorder:
                content.untyped_storage().byteswap(dtype)  # type: ignore[no-untyped-call]
            self._loaded[key] = content
        return self._loaded[key]

    def _byte_order(self) -> str:
        name = self._prefix + "byteorder"
        return "big" if name in self._infos and b"big" in bytes(self._read(name)) else "little"

    def _read(self, name: str) -> Tensor:
        info = self._infos[name]
        start = _start(self._file, info)
        if start + info.compress_size > self._file_bytes:
            raise DamageError(f"its record '{name}' lies beyond its end")
        self._file.seek(start)
        content = read_bytes(self._file, info.compress_size)
        if info.compress_type == _DEFLATED:
            content = _expand(content, info)
        # torch.serialization.set_crc32_options(False) leaves checksums at zero.
        if info.CRC and zlib.crc32(_view(content)) != info.CRC:
            raise DamageError(f"its record '{name}' does not match its checksum")
        return content


def read_bytes(file: io.BufferedReader, count: int) -> Tensor:
    """Read `count` bytes of a file that has them."""
    content = torch.empty(count, dtype=torch.uint8)
    if file.readinto(_view(content)) != count:
        raise DamageError("it ends within its tensors")
    return content


def _view(content: Tensor) -> memoryview:
    return content.numpy().data


def _check_end(file: io.BufferedReader, file_bytes: int) -> None:
    """Refuse a directory that is not where the last bytes of the file say, right before them.

    zipfile looks before the end record and torch where that record says: two directories would do.
    """
    file.seek(max(0, file_bytes - _END_BYTES))
    tail = file.read(_END_BYTES)
    record, locator, end = tail[: -_LOCATOR.size - _END.size], tail[-42:-22], tail[-_END.size :]
    signature, *_, length, start, comment = _END.unpack(end)
    last = file_bytes - _END.size
    if locator.startswith(b"PK\6\7"):
        last = file_bytes - _END_BYTES
        _, _, told, _ = _LOCATOR.unpack(locator)
        if told != last or not record.startswith(b"PK\6\6"):
            raise DamageError("its directory is in two places")
        length, start = struct.unpack("<QQ", record[40:56])
    if signature != b"PK\5\6" or comment or start + length != last:
        raise DamageError("its directory is not at its end, or in two places")


def _check_names(infos: Sequence[zipfile.ZipInfo]) -> None:
    # torch looks records up without regard to case, so two that differ in it are one for it; the
    # sources of a TorchScript archive may differ in it, and are not read.
    names = [info.filename for info in infos]
    folded = [n if re.match(r"[^/]+/code/", n) else n.casefold() for n in names]
    if len({*folded}) < len(folded):
        raise DamageError("two of its records have the same name")
    for info in infos:
        # An extra field may give a record a second name, which zipfile takes and torch does not.
        if info.filename != info.orig_filename.partition("\0")[0].replace(os.sep, "/"):
            raise DamageError(f"its record {info.orig_filename[:80]!r} has two names")
        path = PurePosixPath(info.orig_filename)
        if path.is_absolute() or ".." in path.parts or re.search(r"[\\\0]", str(path)):
            raise DamageError(f"its record {info.orig_filename[:80]!r} leads out of the archive")
        if stat.S_ISLNK(info.external_attr >> 16):
            raise DamageError(f"its record '{info.filename}' is a link")


def _check_sizes(infos: Sequence[zipfile.ZipInfo], file_bytes: int) -> None:
    for info in infos:
        if info.compress_type not in (_STORED, _DEFLATED) or info.flag_bits & _ENCRYPTED:
            raise DamageError(f"its record '{info.filename}' is encrypted or packed in another way")
        if info.compress_type == _STORED and info.compress_size != info.file_size:
            raise DamageError(f"its record '{info.filename}' has two lengths")
    if sum(info.compress_size for info in infos) > file_bytes:
        raise DamageError("its records are larger than the file")
    if sum(info.file_size for info in infos) > _EXPANSION * file_bytes + _EXPANSION_FREE:
        raise DamageError(f"its records expand to more than {_EXPANSION} times the file")


def _prefix(names: Iterable[str]) -> str:
    """Return the folder within the archive that holds everything ("archive/")."""
    found = [name for name in names if _CONTENT.fullmatch(name)]
    if len(found) != 1:
        raise DamageError("it is a zip archive without the one 'data.pkl' of a torch file")
    return found[0].removesuffix("data.pkl")


def _start(file: io.BufferedReader, info: zipfile.ZipInfo) -> int:
    """Return where a record's bytes begin, behind its local header."""
    file.seek(info.header_offset)
    header = file.read(30)
    name_length: int
    extra_length: int
    name_length, extra_length = struct.unpack("<HH", header[26:30])
    name = file.read(name_length)
    encoding = "utf-8" if info.flag_bits & _UTF8 else "cp437"
    if not header.startswith(b"PK\x03\x04") or name != info.orig_filename.encode(encoding):
        raise DamageError(f"its directory and its record '{info.filename}' do not agree")
    return info.header_offset + 30 + name_length + extra_length


def _expand(content: Tensor, info: zipfile.ZipInfo) -> Tensor:
    inflator = zlib.decompressobj(-zlib.MAX_WBITS)
    expanded = bytearray(inflator.decompress(_view(content), info.file_size + 1))
    if len(expanded) != info.file_size:
        raise DamageError(f"its record '{info.filename}' has another length than it says")
    return torch.frombuffer(expanded, dtype=torch.uint8) if expanded else content[:0]
