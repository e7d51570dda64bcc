"""The Ray engine on a real cluster of two workers: whatever dies, the table is the serial one."""

import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest
from tests.study.faulty import passes, write_study

from vireo.analysis import read_study
from vireo.devices import choose
from vireo.errors import StoreError
from vireo.study import read_plan, run_study
from vireo.study.ray_cluster import connected

ROOT = Path(__file__).parents[2]
PATIENCE_SECONDS = 240.0
TIMES = ["seconds", "images_per_second"]


@pytest.fixture
def address(monkeypatch):
    """Start a cluster in another process; drivers find it at the address, with the same token."""
    pytest.importorskip("ray")
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN", "0123456789abcdef" * 2)
    command = [sys.executable, "-m", "tests.study.ray_cluster"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, cwd=ROOT, text=True, **pipes) as cluster:
        yield cluster.stdout.readline().strip()
        cluster.stdin.close()


def driver(file, out, address):
    words = f"--engine ray --address {address} --device cpu --threads 1".split()
    return subprocess.Popen(
        [sys.executable, "-m", "vireo", "study", "run", str(file), "--out", str(out), *words],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )


def rows(out):
    """Return each row's file with its inode and time of writing: a row is never written twice."""
    found = {path.name: path.stat() for path in (out / "results").glob("*.json")}
    return {name: (stat.st_ino, stat.st_mtime_ns) for name, stat in found.items()}


def until(condition, process=None):
    give_up = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < give_up, "waited too long"
        assert process is None or process.poll() is None, process.communicate()[1]
        time.sleep(0.02)


def is_alive(process):
    try:
        state = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


@pytest.mark.slow
def test_drivers_and_workers_die_and_nothing_is_lost_or_done_twice(tmp_path, address):
    """Driver one is killed, two gets Ctrl-C, three ends; a worker is killed; a task always fails.

    Each driver starts at once, while workers of the one before may still be at work.
    """
    sets = {"one": 1, "two": 1, "three": 2, "four": 3}
    file = write_study(tmp_path, sets, encoders=2, trained=True)
    expected = run_study(read_plan(file), tmp_path / "serial", compute=choose("cpu", threads=1))
    faults, out = tmp_path / "faults", tmp_path / "out"
    (faults / "journal").write_text("")
    (faults / "slow").write_text("0.2")
    (faults / "broken-images3").touch()

    killed_at = rows_when_killed(driver(file, out, address), out)
    of_the_killed = readers(faults)
    (faults / "deadly-images2").touch()
    (faults / "slow").write_text("3")  # so that the second driver cannot end before it is stopped
    stopped_at = rows_when_stopped(
        driver(file, out, address), out, lambda: readers(faults) - of_the_killed
    )
    (faults / "slow").write_text("0.2")
    third = driver(file, out, address)
    said = third.communicate(timeout=PATIENCE_SECONDS)[1]

    assert (third.returncode, "3 failed" in said) == (1, True), said
    assert killed_at.items() <= stopped_at.items() <= rows(out).items()
    assert not (faults / "deadly-images2").exists()
    assert not (out / ".claims").exists()
    study = read_study(out)
    assert study.missing == ("e0 x four", "e1 x four", "trained x four")
    assert {text.partition(": ")[2] for text in study.errors.values()} == {"images3 is broken."}
    wanted = expected[expected["task"] != "four"]
    pd.testing.assert_frame_equal(ordered(study.table), ordered(wanted))
    # a pass over train and one over test for each encoder, and what deaths interrupted
    counts, interrupted = Counter(passes(tmp_path)), 2 * 2 + 1
    assert all(6 <= counts[f"images{n}"] <= 6 + interrupted for n in (1, 2))
    until(lambda: not any(map(is_alive, readers(faults))))


def test_an_address_where_no_cluster_is_is_refused_at_once():
    """Ray itself tries for minutes, and speaks of what nobody asked."""
    pytest.importorskip("ray")
    with socket.socket() as taken:  # bound and not listening: nobody else answers there
        taken.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        said = f"No cluster can be reached at '{address}'"
        with pytest.raises(StoreError, match=said), connected(address):
            pass


def rows_when_killed(process, out):
    until(lambda: rows(out), process)
    process.kill()
    process.communicate()
    return rows(out)


def rows_when_stopped(process, out, new_readers):
    """Send Ctrl-C while a new worker reads images, which takes it seconds."""
    until(lambda: any(map(is_alive, new_readers())), process)
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=PATIENCE_SECONDS)[1]
    assert process.returncode == 130, said
    return rows(out)


def readers(faults):
    return {int(line.split()[1]) for line in (faults / "journal").read_text().splitlines()}


def ordered(table):
    kept = table.drop(columns=[*TIMES, "baseline", "level"], errors="ignore")
    return kept.sort_values(["encoder", "task"], ignore_index=True)
