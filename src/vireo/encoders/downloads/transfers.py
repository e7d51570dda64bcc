"""One attempt to bring a file from an http address, from where the last attempt broke off.

Beside the bytes lies a note of what the server said of the file (its size, `ETag` and
`Last-Modified`). The rest is asked for on condition that the file is still that one (`If-Range`);
a server that cannot tell, or does not know ranges, sends all of it again.

References:
    RFC 9110, HTTP semantics, sections 13.1.5 (If-Range) and 14 (ranges).
"""

import contextlib
import errno
import http.client
import os
import re
import shutil
import socket
import ssl
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from email.message import Message
from pathlib import Path
from typing import Any

from vireo import __version__, console, files
from vireo.errors import StoreError

MAX_REDIRECTS = 5
_CHUNK_BYTES = 1 << 20
_MEBIBYTE = 1 << 20
_RANGE = re.compile(r"bytes (\d{1,18})-\d+/(\d{1,18})")
_LENGTH = re.compile(r"[0-9]{1,18}")
_PAGE = re.compile(rb"\s*<(!doctype|html|head|\?xml)", re.IGNORECASE)
_POINTER = b"version https://git-lfs"
_GONE, _FORBIDDEN, _LOGIN, _BAD_RANGE, _TOO_MANY = (404, 410), (403,), (401,), 416, 429
# What a line that goes down leaves behind; anything else an address answers is final.
_BREAKS = (TimeoutError, ConnectionResetError, BrokenPipeError, http.client.HTTPException)
_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO)


class BrokenError(Exception):
    """The transfer broke off; another attempt may bring the rest."""


class RefusedError(Exception):
    """Another attempt will not help: no network, no such file, or not a file."""


def get(address: str, part: Path, timeout_seconds: float) -> None:
    """Bring `address` into `part`, going on from the bytes that are there already.

    Raises:
        BrokenError: the connection ended before the file did; what came is in `part`.
        RefusedError: the address has no such file, or cannot be reached at all.
        StoreError: the disk is full, or the folder cannot be written to.
    """
    known = _note(part, address)
    have = size(part) if known else 0
    if known and have == known["total"]:
        return
    opener = _opener(address)
    request = urllib.request.Request(address, headers=_headers(known, have))
    with (
        _failures(address, part),
        opener.open(request, timeout=timeout_seconds) as response,
    ):
        found = _facts(address, response.headers)
        start = have if response.status == 206 and _continues(response.headers, known, have) else 0
        if response.status == 206 and start == 0:
            forget(part)
            raise BrokenError("the server sent another part than was asked for")
        total = known["total"] if start else found["total"]
        _refuse_other(response.headers)
        _make_room(part, total, start)
        if start == 0:
            forget(part)
            files.write_json(_note_path(part), found)
        _write(response, part, start, total)


def reachable(address: str, timeout_seconds: float = 5.0) -> bool:
    """Whether a server answers at `address`, whatever it answers."""
    request = urllib.request.Request(address, method="HEAD")
    try:
        _opener(address).open(request, timeout=timeout_seconds).close()
    except urllib.error.HTTPError as error:
        error.close()
        return True
    except (OSError, http.client.HTTPException, RefusedError):
        return False
    return True


def size(part: Path) -> int:
    """Return how many bytes came so far."""
    return part.stat().st_size if part.is_file() else 0


def forget(part: Path) -> None:
    """Drop what came so far, and the note of what it belongs to."""
    part.unlink(missing_ok=True)
    _note_path(part).unlink(missing_ok=True)


def _headers(known: Mapping[str, Any], have: int) -> dict[str, str]:
    headers = {"User-Agent": f"vireo/{__version__}", "Accept-Encoding": "identity"}
    if have:
        headers |= {"Range": f"bytes={have}-", "If-Range": known["etag"] or known["modified"]}
    return headers


def _facts(address: str, headers: Message) -> dict[str, Any]:
    """Return what tells whether the file is still the same one; a weak ETag does not."""
    etag = headers.get("ETag", "")
    length = headers.get("Content-Length", "")
    return {
        "address": address,
        "total": int(length) if _LENGTH.fullmatch(length) else None,
        "etag": "" if etag.startswith("W/") else etag,
        "modified": headers.get("Last-Modified", ""),
    }


def _note(part: Path, address: str) -> dict[str, Any]:
    """Return what is known of the file that `part` is the start of; empty: nothing to go on with.

    Without a size, or a mark of the version, nobody could say that the rest belongs to it.
    """
    try:
        known: dict[str, Any] = files.read_json(_note_path(part))
    except StoreError:
        return {}
    same = known.get("address") == address and isinstance(known.get("total"), int)
    marked = known.get("etag") or known.get("modified")
    return known if same and marked and size(part) <= known["total"] else {}


def _note_path(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


def _continues(headers: Message, known: Mapping[str, Any], have: int) -> bool:
    """Whether an answer of 206 is the rest of the file that was begun."""
    said = _RANGE.fullmatch(headers.get("Content-Range", ""))
    if not known or said is None:
        return False
    place = (int(said[1]), int(said[2])) == (have, known["total"])
    marks = {"ETag": known["etag"], "Last-Modified": known["modified"]}
    return place and all(headers.get(name, mark) == mark for name, mark in marks.items() if mark)


def _write(response: Any, part: Path, start: int, total: int | None) -> None:
    come = start
    mebibytes = -(-(total or 0) // _MEBIBYTE)
    title = f"{part.stem}, MiB"
    with part.open("ab") as file, console.progress(title, mebibytes, come // _MEBIBYTE) as bar:
        for chunk in _chunks(response):
            if come == 0 and (_PAGE.match(chunk) or chunk.startswith(_POINTER)):
                forget(part)
                raise RefusedError("it sends a web page or a Git-LFS pointer, not a file.")
            file.write(chunk)
            bar.advance((come + len(chunk)) // _MEBIBYTE - come // _MEBIBYTE)
            come += len(chunk)
        file.flush()
        os.fsync(file.fileno())
    if total is not None and come != total:
        raise BrokenError(f"{come:,} of {total:,} bytes came")
    if come == 0:
        forget(part)
        raise RefusedError("it sends nothing: an empty file.")


def _chunks(response: Any) -> Iterator[bytes]:
    # A body that ends early is no error of `read`: its length is compared by the caller.
    while chunk := response.read(_CHUNK_BYTES):
        yield chunk


def _make_room(part: Path, total: int | None, start: int) -> None:
    free = shutil.disk_usage(part.parent).free
    needed = (total or 0) - start
    if needed > free:
        raise StoreError(
            f"{part.stem} needs {needed / 1e9:.2f} GB and {part.parent} has {free / 1e9:.2f} GB"
            " free; make room, or set TORCH_HOME to another disk."
        )


def _refuse_other(headers: Message) -> None:
    """Refuse what is not the file's own bytes: a page about it, or a packed form of it."""
    if headers.get("Content-Encoding", "identity").lower() != "identity":
        raise RefusedError("it sends the file packed for browsers, though it was told not to.")
    if headers.get_content_type() == "text/html":
        raise RefusedError(
            "it leads to a web page, not to a file; look at it in a browser, for the publisher may"
            " have moved the file or want a login."
        )


@contextlib.contextmanager
def _failures(address: str, part: Path) -> Iterator[None]:
    """Tell failures that may pass (`BrokenError`) from those that will not (`RefusedError`)."""
    try:
        yield
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == _BAD_RANGE:
            forget(part)
        raise _by_status(error) from error
    except _BREAKS as error:
        raise BrokenError(_shown(error)) from error
    except urllib.error.URLError as error:
        if isinstance(error.reason, _BREAKS):
            raise BrokenError(_shown(error.reason)) from error
        raise RefusedError(_unreachable(address, error.reason)) from error
    except OSError as error:
        raise _by_place(error, part) from error
    except ValueError as error:  # an address or a length that a server made up
        raise RefusedError(f"the server's answer makes no sense ({_shown(error)}).") from error


def _by_place(error: OSError, part: Path) -> Exception:
    """Tell a disk that is full from a connection that ended in an unusual way."""
    if error.errno in _DISK or error.filename is not None:
        return StoreError(f"Cannot write {part}: {error.strerror}.")
    return BrokenError(_shown(error))


def _shown(said: object) -> str:
    """Return the first line of what a server or a library says; it may try to move the cursor."""
    line = (str(said).strip() or type(said).__name__).splitlines()[0][:200]
    return line if line.isprintable() else ascii(line)


def _by_status(error: urllib.error.HTTPError) -> Exception:
    code = error.code
    if code in _GONE:
        return RefusedError(
            f"the server has no such file (HTTP {code}); it was moved or withdrawn."
        )
    if code in _LOGIN + _FORBIDDEN:
        return RefusedError(
            f"the server refuses it (HTTP {code}); it was withdrawn or wants a login."
        )
    if code >= 500 or code in (_BAD_RANGE, _TOO_MANY):
        return BrokenError(f"the server answered HTTP {code}")
    reason = _shown(error.msg or "no reason given")
    return RefusedError(f"the server answered HTTP {code} ({reason}).")


def _unreachable(address: str, reason: object) -> str:
    host = urllib.parse.urlsplit(address).hostname
    if isinstance(reason, socket.gaierror):
        return f"there is no network, or no host {host} ({reason.strerror})."
    if isinstance(reason, ssl.SSLError):
        return f"the connection to {host} is not secure ({reason.reason})."
    return f"{host} cannot be reached ({_shown(reason)})."


def _opener(address: str) -> urllib.request.OpenerDirector:
    """Return an opener that speaks http and https and nothing else: no file, no ftp, no data."""
    if urllib.parse.urlsplit(address).scheme not in ("http", "https"):
        raise RefusedError("only http and https addresses are fetched.")
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        _Redirects(),
    ):
        opener.add_handler(handler)
    return opener


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follow a few redirects, within http and https, and never from https to http."""

    max_redirections = MAX_REDIRECTS
    max_repeats = 2

    def redirect_request(  # noqa: PLR0917 - urllib calls it so
        self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        """Return the request to follow with."""
        scheme = urllib.parse.urlsplit(newurl).scheme
        if scheme != "https" and scheme != req.type:
            fp.close()
            raise RefusedError(f"it redirects to {newurl}, which is not followed.")
        return super().redirect_request(req, fp, code, msg, headers, newurl)
