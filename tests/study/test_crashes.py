"""What dies, fills up or is damaged: a study loses no finished cell and computes none twice.

The Ray engine's own accidents are in `test_on_ray`.
"""

import errno
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd
import pytest
from tests.study.faulty import passes, write_study

from vireo.devices import choose
from vireo.errors import NoSpaceError, SettingError, StoreError
from vireo.files import lock
from vireo.store.folder import StudyFolder
from vireo.store.results import read_table
from vireo.study import read_plan, run_study
from vireo.study.cells import Cell
from vireo.study.ray_worker import CellWorker, job_of
from vireo.study.resources import Resources
from vireo.study.work import Worker

SETS = {"one": 1, "two": 1, "three": 2}
TIMES = ["seconds", "images_per_second"]


def run(file, out, **options):
    return run_study(read_plan(file), out, compute=choose("cpu", threads=1), **options)


def scores(table):
    return table.drop(columns=TIMES).sort_values("digest", ignore_index=True)


@pytest.fixture
def file(tmp_path):
    return write_study(tmp_path, SETS, encoders=2)


def test_a_damaged_block_is_found_by_its_hash_and_computed_again(file, tmp_path, capfd):
    before = run(file, tmp_path / "out")
    for row in (tmp_path / "out" / "results").iterdir():
        row.unlink()
    (block, *_) = sorted((tmp_path / "out" / "features").glob("*/block.npy"))
    good = block.read_bytes()
    block.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    read = len(passes(tmp_path))
    after = run(file, tmp_path / "out")
    assert "changed since they were written; it is computed again" in capfd.readouterr().err
    assert len(passes(tmp_path)) == read + 1
    assert block.read_bytes() == good
    pd.testing.assert_frame_equal(scores(after), scores(before))


def test_a_full_disk_stops_the_study_which_goes_on_when_there_is_space(
    file, tmp_path, monkeypatch, capfd
):
    """The disk is full while the fourth file of the results is written."""
    real, left = os.fsync, [3]

    def full(handle):
        if "/results/" in str(Path(f"/proc/self/fd/{handle}").readlink()):
            left[0] -= 1
            if left[0] < 0:
                raise OSError(errno.ENOSPC, "No space left on device")
        real(handle)

    out = tmp_path / "out"
    with monkeypatch.context() as patch, pytest.raises(NoSpaceError, match="free some and run"):
        patch.setattr(os, "fsync", full)
        run(file, out)
    kept = {path: path.stat().st_mtime_ns for path in (out / "results").glob("*.json")}
    assert len(kept) == 1
    assert not list(out.rglob(".*.tmp"))
    assert not list((out / "errors").glob("*"))
    capfd.readouterr()
    assert len(run(file, out)) == 6
    assert "5 cells computed, 1 were there already, 0 failed" in capfd.readouterr().err
    assert all(path.stat().st_mtime_ns == written for path, written in kept.items())


def test_a_disk_that_is_really_full(tmp_path):
    """A file system of 64 kB, where the system lets us make one."""
    small = tmp_path / "small"
    small.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(small)],
        capture_output=True,
        check=False,
    )
    if made.returncode:
        pytest.skip("needs the right to mount a file system")
    try:
        file = write_study(tmp_path / "study", SETS, encoders=2)
        with pytest.raises(NoSpaceError, match="No space left"):
            run(file, small / "out")
        subprocess.run(["mount", "-o", "remount,size=64m", str(small)], check=True)
        assert len(run(file, small / "out")) == 6
    finally:
        subprocess.run(["umount", str(small)], check=True)


@pytest.mark.slow
def test_two_studies_use_one_store_of_features_at_once(tmp_path):
    """In two processes: first weights are drawn by torch's one generator, which threads share."""
    files = [write_study(tmp_path / name, SETS, encoders=2, seed=n) for n, name in enumerate("ab")]
    command = [sys.executable, "-m", "vireo", "study", "run"]
    shared = f"--threads 1 --device cpu --features {tmp_path / 'features'}".split()
    at_once = [
        subprocess.Popen(
            [*command, file, "--out", file.parent / "out", *shared],
            cwd=Path(__file__).parents[2],
            stdout=subprocess.DEVNULL,
        )
        for file in files
    ]
    alone = [run(file, file.parent / "alone") for file in files]
    assert [process.wait() for process in at_once] == [0, 0]
    for file, table in zip(files, alone, strict=True):
        together = read_table(file.parent / "out" / "results")
        pd.testing.assert_frame_equal(scores(together), scores(table))
    names = {path.parent.name for path in (tmp_path / "features").glob("*/manifest.json")}
    assert len(names) == 2 * 2 * 2  # encoders, sets of images, splits
    assert not (tmp_path / "a" / "out" / "features").exists()


def test_the_lock_of_a_dead_process_holds_nobody(tmp_path):
    program = (
        "import os, signal, pathlib, vireo.files as files\n"
        f"with files.lock(pathlib.Path({str(tmp_path / '.lock')!r}), 'x'):\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    died = subprocess.run([sys.executable, "-c", program], check=False)
    assert died.returncode == -9
    assert (tmp_path / ".lock").exists()
    with lock(tmp_path / ".lock", "x"):
        pass


def test_a_lock_is_waited_for_as_long_as_is_said(tmp_path):
    held, free = threading.Event(), threading.Event()

    def hold():
        with lock(tmp_path / "lock", "x"):
            held.set()
            free.wait()

    with ThreadPoolExecutor(1) as pool:
        pool.submit(hold)
        held.wait()
        with pytest.raises(StoreError, match="Another process"), lock(tmp_path / "lock", "x", 0.1):
            pass
        threading.Timer(0.3, free.set).start()
        with lock(tmp_path / "lock", "x", wait_seconds=30.0):
            assert free.is_set()


def test_a_cell_that_an_old_worker_still_has_is_waited_for_not_computed_again(file, tmp_path):
    """The worker of a driver that died ends its cell while a new one begins it."""
    out, compute = StudyFolder(tmp_path / "out"), choose("cpu", threads=1)
    old, new = (Worker(read_plan(file), out, compute) for _ in range(2))
    (tmp_path / "faults" / "slow").write_text("0.5")
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(old.attempt, Cell("e0", "one"))
        while not passes(tmp_path):
            time.sleep(0.01)
        second = new.attempt(Cell("e0", "one"))
    assert first.result().computed
    assert not second.computed
    assert second.rows == first.result().rows
    assert len(passes(tmp_path)) == 2


def test_leftovers_of_killed_runs_go_when_they_are_old(file, tmp_path):
    out = tmp_path / "out"
    (out / "results").mkdir(parents=True)
    for name, age in (("old", 2 * 24 * 3600), ("new", 60)):
        for place in (out / "results", out):
            left = place / f".x.{name}.tmp"
            left.write_text("half")
            os.utime(left, (time.time() - age,) * 2)
    run(file, out)
    assert sorted({path.name for path in out.rglob(".x.*")}) == [".x.new.tmp"]


def test_the_serial_engine_refuses_what_only_a_cluster_has(file, tmp_path):
    with pytest.raises(SettingError, match="--engine ray"):
        run(file, tmp_path / "out", resources=Resources(address="auto"))


def test_a_worker_that_sees_another_folder_says_so(file, tmp_path, monkeypatch):
    """On a cluster whose machines do not share the disk, rows would be lost."""
    monkeypatch.setattr("vireo.study.ray_worker.SIGN_SECONDS", 0.0)
    worker = Worker(
        read_plan(file), StudyFolder(tmp_path / "out"), choose("cpu", threads=1), workers=0
    )
    job = job_of(worker)
    hello = CellWorker(job).open("machine")
    assert (hello.problem, hello.machine) == ("", "machine")
    assert hello.facts["precision"] == worker.compute.precision
    job.sign.unlink()
    assert "does not see the study's folder" in CellWorker(job).open("machine").problem


def test_features_that_cannot_be_kept_where_they_should_are_refused_before_a_cell(file, tmp_path):
    (tmp_path / "disk").touch()
    resources, out = Resources(features=tmp_path / "disk" / "features"), tmp_path / "out"
    with pytest.raises(OSError, match="disk"):
        run(file, out, resources=resources)
    assert not list((out / "errors").glob("*"))
    folder = StudyFolder(out, resources.features)
    job = job_of(Worker(read_plan(file), folder, choose("cpu", threads=1)))
    assert str(tmp_path / "disk") in CellWorker(job).open("machine").problem


def test_a_worker_without_the_gpu_it_was_given_says_so(file, tmp_path):
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is one")
    worker = Worker(read_plan(file), StudyFolder(tmp_path / "out"), choose("cpu", threads=1))
    assert "torch sees no GPU here" in CellWorker(job_of(worker), gpus=0.5).open("m").problem


def test_relative_paths_mean_the_drivers_folder_to_its_workers(file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VIREO_SOMEWHERE", "here")
    job = job_of(Worker(read_plan(file), StudyFolder(Path("out")), choose("cpu", threads=1)))
    monkeypatch.chdir("/")
    monkeypatch.delenv("VIREO_SOMEWHERE")
    assert CellWorker(job).open("m").problem == ""
    assert Path.cwd() == tmp_path
    assert os.environ["VIREO_SOMEWHERE"] == "here"
    assert job.root == tmp_path / "out"
