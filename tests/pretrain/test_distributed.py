"""Two processes against one on the same batches; what differs is named so; killed, they resume."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from tests.pretrain.ranks import (
    CASES,
    CPU,
    EQUAL,
    LOCAL,
    agreements,
    batch_norm,
    build,
    settings,
    train,
)
from tests.pretrain.test_running import log, same_run

from vireo.data.views.loading import load_views
from vireo.errors import SettingError
from vireo.methods import METHODS
from vireo.pretrain import pretrain
from vireo.pretrain.distributed import ALONE, Processes, joined
from vireo.pretrain.state import checkpoints

ROOT = Path(__file__).parents[2]
RUNNING = ("running_mean", "running_var", "num_batches_tracked")
CLOSE = {"rtol": 1e-6, "atol": 1e-9}
pytestmark = pytest.mark.slow


@contextlib.contextmanager
def started(work: str, folder: Path, count: int = 2) -> Iterator[list[subprocess.Popen]]:
    """Start processes as torchrun does; kill what is left of them at the end of the block."""
    folder.mkdir(parents=True, exist_ok=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-W", "ignore", "-m", "tests.pretrain.ranks", work, str(folder)]
    facts = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": str(count)}
    shared = {**os.environ, **facts, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    ranks = [
        subprocess.Popen(
            command,
            cwd=ROOT,
            env={**shared, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        for rank in range(count)
    ]
    try:
        yield ranks
    finally:
        for process in ranks:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            process.stderr.close()


def finish(ranks: list[subprocess.Popen]) -> list[str]:
    """Wait for all, and return what they said."""
    said = [process.communicate(timeout=240)[1] for process in ranks]
    assert [process.returncode for process in ranks] == [0] * len(ranks), "\n".join(said)
    return said


@pytest.fixture(scope="module")
def together(tmp_path_factory) -> tuple[Path, list[dict], list[str]]:
    """All that two processes are asked, in one start: folder, results by rank, what they said."""
    folder = tmp_path_factory.mktemp("together")
    with started("all", folder) as ranks:
        said = finish(ranks)
    return folder, [torch.load(folder / f"out-{rank}.pt") for rank in range(2)], said


def compare(one: dict, two: list[dict]) -> None:
    """Losses, gradient norms and every number of the state; running statistics in the mean."""
    for step, (loss, norm) in enumerate(one["steps"]):
        losses = [rank["steps"][step][0] for rank in two]
        assert sum(losses) / 2 == pytest.approx(loss, rel=1e-6), step
        for rank in two:
            assert rank["steps"][step][1] == pytest.approx(norm, rel=1e-6), step
    states = [rank["state"] for rank in two]
    for name, value in one["state"].items():
        found = [state[name] for state in states]
        if not name.endswith(RUNNING):
            torch.testing.assert_close(found[0], found[1], rtol=0, atol=0, msg=name)
        mean = torch.stack([tensor.double() for tensor in found]).mean(0)
        torch.testing.assert_close(mean, value.double(), **CLOSE, msg=lambda m, n=name: f"{n}: {m}")


def test_every_method_is_among_the_cases():
    assert {name for name, _ in CASES.values()} == set(METHODS)


@pytest.mark.parametrize("case", EQUAL)
def test_loss_and_update_of_two_processes_are_those_of_one(together, case):
    compare(train(case, ALONE), [rank["cases"][case] for rank in together[1]])


@pytest.mark.parametrize("case", LOCAL)
def test_with_local_batch_norm_two_processes_are_one_whose_batch_norm_is_split(together, case):
    compare(train(case, ALONE, splits=2), [rank["cases"][case] for rank in together[1]])


@pytest.mark.parametrize("case", LOCAL)
def test_with_local_batch_norm_two_processes_differ_from_one_with_the_whole_batchs(together, case):
    whole, two = train(case, ALONE), [rank["cases"][case] for rank in together[1]]
    losses = [sum(rank["steps"][1][0] for rank in two) / 2, whole["steps"][1][0]]
    assert losses[0] != pytest.approx(losses[1], rel=1e-4)


@pytest.mark.parametrize("case", CASES)
def test_only_running_statistics_of_local_batch_norm_differ_between_processes(together, case):
    first, second = (rank["cases"][case]["state"] for rank in together[1])
    unequal = {name for name, value in first.items() if not torch.equal(value, second[name])}
    assert all(name.endswith(RUNNING) for name in unequal)
    assert bool(unequal) == (case in LOCAL or CASES[case][1].get("bn_splits", 1) > 1)


def test_parts_of_two_processes_are_one_whose_batch_norm_is_split_in_all_of_them(together):
    two = [rank["parts"] for rank in together[1]]
    one = train("supervised", ALONE, splits=4)
    assert [s[1] for s in two[0]["steps"]] == pytest.approx([s[1] for s in one["steps"]], rel=1e-6)
    for name, value in one["state"].items():
        if not name.endswith(RUNNING):  # a part after the other moves them twice a step
            torch.testing.assert_close(two[0]["state"][name], value, **CLOSE)


@pytest.mark.parametrize("name", ["flat", "images"])
def test_batch_norm_of_two_processes_is_torchs_on_the_whole_batch(together, name):
    wanted, found = batch_norm(ALONE)[name], [rank["batch norm"][name] for rank in together[1]]
    for key in ("y", "x.grad", "evaluated"):
        torch.testing.assert_close(torch.cat([f[key] for f in found]), wanted[key])
    torch.testing.assert_close(sum(f["gradients"] for f in found), wanted["gradients"])
    for key in RUNNING:
        for f in found:
            torch.testing.assert_close(f[key], wanted[key])


def test_processes_agree_and_the_failure_of_one_ends_all(together):
    first, second = (rank["agreements"] for rank in together[1])
    assert first["any"] == second["any"] == (True, False, True)
    assert first["each"] == second["each"] == [0, 10]
    assert first["first"] == second["first"] == "from 0"
    assert (first["agreed"], second["agreed"]) == (0, 1)
    for work in ("all", "items"):
        assert first[work] == ("DataError", "Process 1: image 7 is broken")
        assert second[work] == ("ElsewhereError", "Process 1: image 7 is broken")
    alone = agreements(ALONE)
    assert alone["any"] == (True, False, True)
    assert alone["all"] == ("DataError", "image 7 is broken")


def test_a_whole_run_of_two_processes_is_that_of_one_but_for_rounding(together, tmp_path):
    folder = together[0] / "moco"
    pretrain(settings(), tmp_path / "moco", compute=CPU, workers=0, knn_every=1)
    one, two = (torch.load(checkpoints(f)[-1]) for f in (tmp_path / "moco", folder))
    for name, value in one["method"].items():
        if not name.endswith(RUNNING):
            torch.testing.assert_close(two["method"][name], value, rtol=1e-3, atol=1e-5)
    for a, b in zip(log(tmp_path / "moco"), log(folder), strict=True):
        assert a.keys() == b.keys()
        for name in ("step", "loss", "accuracy", "gradient_norm", "feature_std", "feature_rank"):
            assert b[name] == pytest.approx(a[name], rel=1e-3), name
    alone, cost = (json.loads((f / "cost.json").read_text()) for f in (tmp_path / "moco", folder))
    assert (cost["images"], cost["flops"]) == (alone["images"], alone["flops"])


def test_the_first_process_alone_speaks_and_its_statistics_are_the_encoders(together):
    folder, _, said = together
    assert "Finished" in said[0]
    assert said[1] == ""
    for name in ("moco", "supervised"):
        state = torch.load(checkpoints(folder / name)[-1])
        first, second = (rank["method"] for rank in state["ranks"])
        key = next(n for n in first if n.startswith("encoder.") and n.endswith("running_mean"))
        assert not torch.equal(first[key], second[key])
        assert torch.equal(state["method"][key], first[key])


def test_each_process_loads_its_own_share_of_the_same_batches():
    from tests.tiny import ArraySource

    source, recipe = ArraySource(count=20), settings_views()

    def batches(share: tuple[int, int]) -> list:
        given = {"seed_digest": "run", "epoch": 1, "batch_size": 6, "engine": "torch"}
        return list(load_views(source, recipe, device="cpu", workers=0, share=share, **given))

    whole, parts = batches((0, 1)), [batches((rank, 3)) for rank in range(3)]
    for step, batch in enumerate(whole):
        found = [part[step] for part in parts]
        assert torch.equal(torch.cat([f.index for f in found]), batch.index)
        assert torch.equal(torch.cat([f.label for f in found]), batch.label)
        assert torch.equal(torch.cat([f.groups[0] for f in found], dim=1), batch.groups[0])


def settings_views():
    from vireo.data.views.published import two_crops

    return two_crops(8, mean=(0.5,) * 3, std=(0.25,) * 3)


def wait_for_checkpoints(folder: Path, count: int) -> None:
    deadline = time.monotonic() + 120
    seen: set[str] = set()
    while len(seen) < count:
        assert time.monotonic() < deadline, "no checkpoint"
        seen |= {path.name for path in checkpoints(folder)}
        time.sleep(0.005)


def same_in_all_processes(first: Path, second: Path) -> None:
    same_run(first, second)
    states = [torch.load(checkpoints(folder)[-1])["ranks"] for folder in (first, second)]
    for a, b in zip(*states, strict=True):
        assert all(torch.equal(value, b["method"][name]) for name, value in a["method"].items())


def test_two_processes_killed_at_any_moment_resume_bit_for_bit(together, tmp_path):
    with started("long", tmp_path / "r") as ranks:
        wait_for_checkpoints(tmp_path / "r", 3)
        for process in ranks:
            os.killpg(process.pid, signal.SIGKILL)
    assert not (tmp_path / "r" / "card.json").exists()
    with started("long", tmp_path / "r") as ranks:
        assert "Going on from step" in finish(ranks)[0]
    same_in_all_processes(together[0] / "whole", tmp_path / "r")


def test_the_order_in_which_three_processes_add_gradients_survives_a_resumption(tmp_path):
    """DDP groups gradients otherwise in the first step that it sees; two numbers have one order."""
    with started("three", tmp_path, count=3) as ranks:
        assert "Going on from step 2 of 6" in finish(ranks)[0]
    same_run(tmp_path / "whole", tmp_path / "parts")


def test_one_process_told_to_stop_stops_all_after_the_same_step(together):
    folder, _, said = together
    assert all((folder / f"stopped-{rank}").exists() for rank in range(2))
    assert "Stopped after step 6 of 90; run the same again" in said[0]
    assert "Going on from step 6 of 90" in said[0]
    same_in_all_processes(folder / "whole", folder / "stopped")


def test_another_number_of_processes_goes_on_and_says_that_it_is_not_bit_for_bit(
    together, tmp_path, capsys
):
    folder = tmp_path / "r"
    folder.mkdir()
    for path in (together[0] / "moco").iterdir():
        if path.is_file() and path.name not in ("card.json", "encoder.safetensors"):
            (folder / path.name).write_bytes(path.read_bytes())
    pretrain(settings(), folder, compute=CPU, workers=0, knn_every=1)
    assert "processes 2 -> 1): not bit for bit" in capsys.readouterr().err
    assert (folder / "card.json").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch_size": 9}, "batch_size must give each of 2 processes 1 equal parts"),
        ({"batch_size": 2}, "at least 2 images"),
        ({"accumulate": 2}, "moco-v2 cannot accumulate gradients .* keys are shuffled"),
    ],
)
def test_batches_that_cannot_be_shared_are_refused(changes, message):
    import dataclasses

    from vireo.pretrain.prepare import prepare

    with pytest.raises(SettingError, match=message):
        prepare(dataclasses.replace(settings(), **changes), CPU, None, 2)


def test_splits_that_processes_cannot_share_are_refused():
    from vireo.pretrain.distributed import spread

    method = build("moco-v1")
    with pytest.raises(SettingError, match=r"multiple of the 3 processes.*Set bn_splits = 3"):
        spread(method, Processes(rank=0, count=3))


def test_devices_of_processes():
    third = Processes(rank=6, count=8, local_rank=2, local_count=4)
    assert third.device("cuda") == "cuda:2"
    assert third.device("cpu") == "cpu"
    assert ALONE.device("cuda:3") == "cuda:3"
    with pytest.raises(SettingError, match="GPU of its own; got --device cuda:1"):
        third.device("cuda:1")


def test_a_world_without_an_address_is_refused(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    for name in ("RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(SettingError, match=r"RANK, MASTER_ADDR, MASTER_PORT is not set"), joined():
        pass
