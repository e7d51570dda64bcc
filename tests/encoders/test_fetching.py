"""Downloads, against a server of our own in a thread: whole and unchanged files, or a sentence."""

import contextlib
import hashlib
import http.server
import io
import multiprocessing
import resource
import socket
import ssl
import threading
import time

import pytest

from vireo.encoders.downloads import fetching, transfers
from vireo.encoders.downloads.fetching import fetch
from vireo.errors import CheckpointError, StoreError

CONTENT = bytes(range(256)) * 40_000  # 10 MB: several reads, more than sockets buffer
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Server(http.server.ThreadingHTTPServer):
    """Serves CONTENT, as badly as a test asks.

    Attributes:
        breaks: for each answer in turn, the bytes of its body after which the line goes down.
        asked: the Range headers of the requests, in order.
    """

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.content, self.ranges, self.status = CONTENT, True, 200
        self.breaks, self.asked, self.headers = [], [], {"ETag": '"one"'}
        self.redirect, self.pause, self.type = "", 0.0, "application/octet-stream"

    @property
    def address(self):
        return f"http://127.0.0.1:{self.server_address[1]}/weights.pth"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        server = self.server
        server.asked.append(self.headers.get("Range"))
        if server.redirect and self.path == "/weights.pth":
            self.send_response(302)
            self.send_header("Location", server.redirect)
            self.end_headers()
            return
        if server.status != 200:
            self.send_error(server.status)
            return
        self.send_body(server, self.start_at(server))

    def start_at(self, server):
        asked = self.headers.get("Range")
        if (
            not asked
            or not server.ranges
            or self.headers.get("If-Range") not in server.headers.values()
        ):
            return 0
        return int(asked.removeprefix("bytes=").removesuffix("-"))

    def send_body(self, server, start):
        body, total = server.content[start:], len(server.content)
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{total - 1}/{total}")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Type", server.type)
        for name, value in server.headers.items():
            self.send_header(name, value)
        self.end_headers()
        time.sleep(server.pause)
        stop = server.breaks.pop(0) if server.breaks else len(body)
        with contextlib.suppress(ConnectionError):
            self.wfile.write(body[:stop])

    do_HEAD = do_GET  # noqa: N815

    def log_message(self, *args):
        pass


@pytest.fixture
def server(monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY", fetching.OFFLINE):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(fetching, "WAITS_SECONDS", (0.0, 0.0))
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setattr("torch.hub.get_dir", lambda: str(tmp_path))
    return tmp_path / "checkpoints"


def names(folder):
    return sorted(path.name for path in folder.glob("*") if path.suffix != ".lock")


def test_a_file_comes_whole_and_its_hash_is_kept_beside_it(server, cache):
    path = fetch(server.address, "w.pth", f"sha256:{SHA256[:8]}")
    assert path == cache / "w.pth"
    assert path.read_bytes() == CONTENT
    assert (cache / "w.pth.sha256").read_text() == f"{SHA256}  w.pth\n"  # as sha256sum -c reads it
    assert names(cache) == ["w.pth", "w.pth.sha256"]
    fetch(server.address, "w.pth")
    assert server.asked == [None]  # the second time nobody is asked


def test_an_md5_is_checked_too(server, cache):
    digits = hashlib.md5(CONTENT).hexdigest()[:8]
    assert fetch(server.address, "w.pth", f"md5:{digits}").is_file()
    with pytest.raises(CheckpointError, match="publisher states 00000000"):
        fetch(server.address, "w.pth", "md5:00000000")


def test_a_broken_transfer_goes_on_where_it_broke(server, cache):
    server.breaks = [3_000_000, 2_000_000]
    assert fetch(server.address, "w.pth").read_bytes() == CONTENT
    assert server.asked == [None, "bytes=3000000-", "bytes=5000000-"]


def test_a_later_call_goes_on_where_an_earlier_one_stopped(server, cache, monkeypatch):
    chunks = transfers._chunks

    def stops(response):
        yield next(chunks(response))
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(transfers, "_chunks", stops)
        with pytest.raises(KeyboardInterrupt):
            fetch(server.address, "w.pth")
    come = (cache / "w.pth.part").stat().st_size
    assert 0 < come < len(CONTENT)
    assert fetch(server.address, "w.pth").read_bytes() == CONTENT
    assert server.asked[-1] == f"bytes={come}-"
    assert names(cache) == ["w.pth", "w.pth.sha256"]


def test_a_transfer_that_was_whole_but_not_named_is_not_asked_for_again(server, cache):
    transfers.get(server.address, cache_part(cache), 5.0)
    assert fetch(server.address, "w.pth").read_bytes() == CONTENT
    assert server.asked == [None]


def cache_part(cache):
    cache.mkdir(exist_ok=True)
    return cache / "w.pth.part"


def test_a_server_without_ranges_sends_all_of_it_again(server, cache):
    server.breaks, server.ranges = [3_000_000], False
    assert fetch(server.address, "w.pth").read_bytes() == CONTENT
    assert server.asked == [None, "bytes=3000000-"]


@pytest.mark.parametrize("changed", ["etag", "size"])
def test_a_file_that_changed_meanwhile_is_begun_anew(server, cache, changed):
    server.breaks = [3_000_000] * 3
    with pytest.raises(CheckpointError, match="broke off"):
        server.ranges = False
        fetch(server.address, "w.pth")
    server.ranges = True
    server.content = CONTENT[::-1] + (b"more" if changed == "size" else b"")
    server.headers["ETag"] = '"two"' if changed == "etag" else '"one"'
    assert fetch(server.address, "w.pth").read_bytes() == server.content


def test_without_a_mark_of_the_version_nothing_is_joined(server, cache):
    server.breaks, server.headers = [3_000_000], {"ETag": 'W/"weak"'}
    assert fetch(server.address, "w.pth").read_bytes() == CONTENT
    assert server.asked == [None, None]


def test_a_date_of_change_is_mark_enough(server, cache):
    date = "Wed, 21 Oct 2015 07:28:00 GMT"
    server.breaks, server.headers = [3_000_000], {"ETag": 'W/"weak"', "Last-Modified": date}
    assert fetch(server.address, "w.pth").read_bytes() == CONTENT
    assert server.asked == [None, "bytes=3000000-"]


def test_a_body_that_ends_early_is_no_file(server, cache):
    server.breaks = [3_000_000, 0, 0]
    with pytest.raises(CheckpointError, match=r"broke off \(3,000,000 of 10,240,000 bytes came\)"):
        fetch(server.address, "w.pth")
    assert not (cache / "w.pth").exists()
    assert (cache / "w.pth.part").stat().st_size == 3_000_000


def test_another_hash_is_refused_and_nothing_stays(server, cache):
    with pytest.raises(CheckpointError) as raised:
        fetch(server.address, "w.pth", "sha256:0123456789abcdef")
    said = str(raised.value)
    assert server.address in said
    assert SHA256[:16] in said
    assert "publisher states 0123456789abcdef" in said
    assert names(cache) == []


def test_a_file_that_changes_in_the_cache_is_noticed(server, cache):
    path = fetch(server.address, "w.pth")
    path.write_bytes(CONTENT[:-1])
    with pytest.raises(CheckpointError, match="has changed since it was first opened"):
        fetch(server.address, "w.pth")


def test_a_file_that_a_person_put_there_is_taken(cache):
    cache.mkdir()
    (cache / "w.pth").write_bytes(CONTENT)
    assert fetch("", "w.pth", f"sha256:{SHA256}") == cache / "w.pth"
    with pytest.raises(CheckpointError, match=r"w\.pth has the sha256"):
        fetch("", "w.pth", "sha256:ffff")


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (404, "no such file .HTTP 404.; it was moved or withdrawn"),
        (403, "refuses it .HTTP 403."),
        (418, "HTTP 418"),
        (503, "broke off .the server answered HTTP 503."),
    ],
)
def test_what_the_server_answers_is_said(server, cache, status, said):
    server.status = status
    with pytest.raises(CheckpointError, match=said) as raised:
        fetch(server.address, "w.pth")
    assert server.address in str(raised.value)
    assert f"put it at {cache / 'w.pth'}" in str(raised.value)
    assert len(server.asked) == (3 if status == 503 else 1)


@contextlib.contextmanager
def answering(*answers):
    """Answer requests with these bytes in turn, the last again and again; give the address."""
    left = list(answers)
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer():
            while True:
                connection, _ = listening.accept()
                with connection:
                    if not connection.recv(65536):
                        return
                    connection.sendall(left.pop(0) if len(left) > 1 else left[0])

        thread = threading.Thread(target=answer)
        thread.start()
        port = listening.getsockname()[1]
        yield f"http://127.0.0.1:{port}/weights.pth"
        socket.create_connection(("127.0.0.1", port)).close()
        thread.join()


def found(*headers, to="302 Found"):
    return "\r\n".join([f"HTTP/1.1 {to}", *headers, "", ""]).encode("latin-1")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"HTTP/1.1 418 \r\n\r\n", "HTTP 418 .no reason given"),
        (b"HTTP/1.1 418 \x1b[2Jgone\r\n\r\n", r"HTTP 418 .'\\x1b\[2Jgone'"),
        (found("Location: http://[bad/"), "makes no sense"),
        (found("Location: http://a..b/"), "makes no sense"),
        (found("Transfer-Encoding: chunked", to="200 OK") + b"-5\r\nabc", "makes no sense"),
        (found("Content-Encoding: gzip", to="200 OK") + b"\x1f\x8b\x08", "packed for browsers"),
        (found("Content-Length: 0", to="200 OK"), "an empty file"),
        (found("Content-Length: 3", to="206 Partial Content") + b"abc", "another part"),
    ],
)
def test_an_answer_that_is_no_file_is_one_sentence(server, cache, answer, said):
    with answering(answer) as address, pytest.raises(CheckpointError, match=said):
        fetch(address, "w.pth")
    assert not (cache / "w.pth").exists()


@pytest.mark.parametrize("length", ["-5", "\xb2", "9" * 5000, "five"])
def test_a_length_that_is_no_number_counts_as_none(server, cache, length):
    answer = found(f"Content-Length: {length}", to="200 OK") + b"weights"
    with answering(answer) as address:
        assert fetch(address, "w.pth").read_bytes() == b"weights"


def test_a_part_of_unheard_numbers_is_not_joined(server, cache):
    begun = found('ETag: "a"', "Content-Length: 7", to="200 OK")
    part = found('ETag: "a"', f"Content-Range: bytes {'9' * 5000}-6/7", to="206 Partial Content")
    with answering(begun + b"wei", part + b"ghts", begun + b"weights") as address:
        assert fetch(address, "w.pth").read_bytes() == b"weights"


def test_a_line_that_breaks_at_odd_places_is_not_tried_for_ever(server, cache):
    server.headers = {}  # nothing can be joined, so every attempt begins anew
    server.breaks = [500_000, 400_000, 500_000, 400_000, 500_000, 400_000]
    with pytest.raises(CheckpointError, match="broke off"):
        fetch(server.address, "w.pth")
    assert len(server.asked) <= 4


def test_a_secure_line_that_breaks_is_resumed(server, cache, monkeypatch):
    chunks, broken = transfers._chunks, []

    def breaking(response):
        yield next(chunks(response))
        if not broken:
            broken.append(True)
            raise ssl.SSLEOFError(8, "EOF occurred in violation of protocol")
        yield from chunks(response)

    monkeypatch.setattr(transfers, "_chunks", breaking)
    assert fetch(server.address, "w.pth").read_bytes() == CONTENT
    assert server.asked == [None, f"bytes={1 << 20}-"]


def test_a_disk_that_fills_meanwhile_is_said(server, cache, monkeypatch):
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (3_000_000, limit[1]))
    try:
        with pytest.raises(StoreError, match=r"Cannot write .*w\.pth\.part: File too large"):
            fetch(server.address, "w.pth")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert fetch(server.address, "w.pth").read_bytes() == CONTENT


def test_a_cache_that_cannot_be_written_is_said_and_its_files_are_taken(cache, monkeypatch):
    cache.write_bytes(b"a file where the folder should be")
    with pytest.raises(StoreError, match="set TORCH_HOME"):
        fetch("http://127.0.0.1:9/w.pth", "w.pth")
    cache.unlink()
    cache.mkdir()
    (cache / "w.pth").write_bytes(CONTENT)

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(fetching.files, "write_bytes", refuse)
    assert fetch("", "w.pth") == cache / "w.pth"


@pytest.mark.parametrize("announced", [True, False])
def test_a_web_page_is_not_taken_for_weights(server, cache, announced):
    server.content = b"\n<!DOCTYPE html><title>Sign in</title>"
    server.type = "text/html; charset=utf-8" if announced else "application/octet-stream"
    server.redirect = server.address.replace("weights.pth", "login")
    with pytest.raises(CheckpointError, match="web page") as raised:
        fetch(server.address, "w.pth")
    assert server.address in str(raised.value)
    assert names(cache) == []


def test_redirects_are_followed_with_the_range(server, cache):
    server.redirect, server.breaks = server.address.replace("weights", "mirror"), [3_000_000]
    assert fetch(server.address, "w.pth").read_bytes() == CONTENT
    assert server.asked == [None, None, "bytes=3000000-", "bytes=3000000-"]


@pytest.mark.parametrize("to", ["file:///etc/passwd", "ftp://127.0.0.1/x", "data:,x", "loop"])
def test_redirects_lead_nowhere_else(server, cache, to):
    server.redirect = server.address if to == "loop" else to
    with pytest.raises(CheckpointError, match=r"redirects to|infinite loop|HTTP 302"):
        fetch(server.address, "w.pth")
    assert names(cache) == []


@pytest.mark.parametrize("address", ["file:///etc/passwd", "ftp://x/y", "weights.pth"])
def test_only_http_is_spoken(cache, address):
    with pytest.raises(CheckpointError, match="only http and https"):
        fetch(address, "w.pth")


def test_a_redirect_never_leaves_https():
    class Request:
        type = "https"

    with pytest.raises(transfers.RefusedError, match="redirects to http://x"):
        transfers._Redirects().redirect_request(Request(), io.BytesIO(), 302, "", {}, "http://x/y")


def test_a_silent_server_is_not_waited_for(server, cache):
    server.pause = 0.5
    with pytest.raises(CheckpointError, match="broke off"):
        fetch(server.address, "w.pth", timeout_seconds=0.05)


def test_without_a_network_it_says_so_at_once(cache):
    address = "https://no-such-host.invalid/weights.pth"
    with pytest.raises(CheckpointError) as raised:
        fetch(address, "w.pth")
    assert "there is no network, or no host no-such-host.invalid" in str(raised.value)
    assert f"put it at {cache / 'w.pth'}" in str(raised.value)


def test_a_closed_port_is_not_tried_again(server, cache):
    address = server.address.replace(str(server.server_address[1]), "1")
    with pytest.raises(CheckpointError, match=r"127\.0\.0\.1 cannot be reached"):
        fetch(address, "w.pth")


def test_the_network_can_be_switched_off(server, cache, monkeypatch):
    monkeypatch.setenv(fetching.OFFLINE, "1")
    with pytest.raises(CheckpointError, match="VIREO_OFFLINE is set") as raised:
        fetch(server.address, "w.pth")
    assert str(cache / "w.pth") in str(raised.value)
    assert server.asked == []


def test_a_full_disk_is_said_before_the_transfer(server, cache, monkeypatch):
    class Usage:
        free = 5

    monkeypatch.setattr("shutil.disk_usage", lambda _: Usage)
    with pytest.raises(StoreError, match=r"needs 0\.01 GB"):
        fetch(server.address, "w.pth")


def _fetch(address, folder):
    import torch

    torch.hub.get_dir = lambda: folder
    fetch(address, "w.pth")


def test_two_processes_that_want_one_file_get_it_once(server, cache, tmp_path):
    server.pause = 0.3
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=_fetch, args=(server.address, str(tmp_path))) for _ in "ab"]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0]
    assert (cache / "w.pth").read_bytes() == CONTENT
    assert server.asked == [None]


def test_the_folder_is_torchs_own(monkeypatch, tmp_path):
    import sys

    import torch

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "_hub_dir", None)
    theirs = fetching.cache_folder()
    assert theirs == tmp_path / "hub" / "checkpoints"
    monkeypatch.delitem(sys.modules, "torch")
    assert fetching.cache_folder() == theirs
    monkeypatch.delenv("TORCH_HOME")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    without = fetching.cache_folder()
    monkeypatch.setitem(sys.modules, "torch", torch)
    assert fetching.cache_folder() == without


def test_whether_a_server_answers(server):
    assert transfers.reachable(server.address)
    server.status = 404
    assert transfers.reachable(server.address)
    assert not transfers.reachable("http://127.0.0.1:1/")
