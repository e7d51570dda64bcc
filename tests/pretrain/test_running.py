"""Whole runs: resumed anywhere they end bit for bit the same; folders are kept apart."""

import contextlib
import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from tests.pretrain.conftest import OPTIONS
from tests.tiny import ARCHITECTURE

from vireo import files
from vireo.encoders import open_encoder
from vireo.errors import SettingError, StoreError, TrainingError
from vireo.methods.moco_v2 import MoCoV2
from vireo.pretrain import interrupts, loop, pretrain
from vireo.pretrain.prepare import prepare
from vireo.pretrain.state import checkpoints, load_checkpoint
from vireo.records import EncoderSpec, OptimizerSettings, PretrainSettings

FILES = ("encoder.safetensors", "card.json")


def log(folder: Path) -> list[dict]:
    text = (folder / "metrics.jsonl").read_text()
    parsed = [json.loads(line) for line in text.splitlines()]
    return [{k: v for k, v in line.items() if k != "images_per_second"} for line in parsed]


def same_run(first: Path, second: Path) -> None:
    """Weights, momenta, queues and the log are equal, bit for bit."""
    one, two = (torch.load(checkpoints(f)[-1], weights_only=True) for f in (first, second))
    for part in ("method", "optimizer"):
        a, b = flat(one[part]), flat(two[part])
        assert a.keys() == b.keys()
        assert all(torch.equal(torch.as_tensor(a[k]), torch.as_tensor(b[k])) for k in a)
    assert (first / FILES[0]).read_bytes() == (second / FILES[0]).read_bytes()
    assert log(first) == log(second)


def flat(value, name: str = "") -> dict:
    if isinstance(value, dict):
        return {k: v for key, item in value.items() for k, v in flat(item, f"{name}/{key}").items()}
    if isinstance(value, list):
        return flat(dict(enumerate(value)), name)
    return {} if value is None else {name: value}


class StopError(Exception):
    """What a test breaks a run with."""


@contextlib.contextmanager
def broken_at(step: int, monkeypatch):
    """Let the run die inside step `step`, after the network moved and before it is counted."""
    original = loop.train_step

    def dying(method, optimizer, batch, now, **rest):
        losses = original(method, optimizer, batch, now, **rest)
        if now.step == step:
            raise StopError
        return losses

    with monkeypatch.context() as patch, pytest.raises(StopError):
        patch.setattr(loop, "train_step", dying)
        yield


@pytest.mark.parametrize("method", sorted(OPTIONS))
@pytest.mark.parametrize(("interval", "step"), [(0.0, 1), (0.0, 4), (1e9, 4)])
def test_a_run_broken_anywhere_ends_as_if_it_had_not_been(
    tmp_path, monkeypatch, make_settings, compute, method, interval, step
):
    settings, whole, parts = make_settings(method), tmp_path / "a" / "r", tmp_path / "b" / "r"
    pretrain(settings, whole, compute=compute, workers=0)
    with broken_at(step, monkeypatch):
        pretrain(settings, parts, compute=compute, workers=0, save_every_seconds=interval)
    assert [p.stem for p in checkpoints(parts)][-1:] == (
        [f"checkpoint-{step:08d}"] if interval == 0 else []
    )
    pretrain(settings, parts, compute=compute, workers=0)
    same_run(whole, parts)


def test_dropout_is_resumed_too(tmp_path, monkeypatch, make_settings, compute):
    settings = make_settings(architecture="tests.tiny:dropout_network")
    whole, parts = tmp_path / "a" / "r", tmp_path / "b" / "r"
    torch.manual_seed(1)
    pretrain(settings, whole, compute=compute, workers=0)
    with broken_at(4, monkeypatch):
        pretrain(settings, parts, compute=compute, workers=0, save_every_seconds=0.0)
    torch.manual_seed(2)
    pretrain(settings, parts, compute=compute, workers=0)
    same_run(whole, parts)


def test_the_result_opens_as_an_encoder_with_an_honest_card(tmp_path, make_settings, compute):
    out = pretrain(make_settings("supervised"), tmp_path / "r", compute=compute, workers=0)
    encoder = open_encoder(EncoderSpec(spec=f"run:{out}", architecture=ARCHITECTURE))
    card = encoder.card
    assert (card.name, card.method, card.pretraining_set) == ("r", "supervised", "array")
    assert (card.images, card.epochs, card.steps) == (27, 2.0, 6)
    assert card.recipe == prepare(make_settings("supervised"), compute).recipe
    assert encoder.classifier.weight.shape == (2, 8)
    recipe = files.read_json(out / "recipe.json")
    assert recipe["resolved"]["images"] == 27
    assert recipe["compute"]["threads"] == 1
    assert "torch" in recipe["versions"]


def test_the_bill_of_a_run_counts_its_broken_parts_once(
    tmp_path, monkeypatch, make_settings, compute
):
    settings, out = make_settings(), tmp_path / "r"
    with broken_at(4, monkeypatch):
        pretrain(settings, out, compute=compute, workers=0, save_every_seconds=0.0)
    before = torch.load(checkpoints(out)[-1], weights_only=True)["cost"]
    pretrain(settings, out, compute=compute, workers=0)
    bill = files.read_json(out / "cost.json")
    assert bill["images"] == 6 * 8
    assert bill["seconds"] > before["seconds"] > 0
    assert bill["flops"] % 6 == 0
    assert bill["images_per_second"] == pytest.approx(48 / bill["seconds"])
    assert (bill["device"], bill["threads"], bill["gpu_seconds"]) == ("cpu", 1, 0.0)


def test_online_knn_is_logged_and_changes_nothing(tmp_path, make_settings, compute):
    settings = make_settings()
    plain, judged = tmp_path / "a" / "r", tmp_path / "b" / "r"
    pretrain(settings, plain, compute=compute, workers=0)
    pretrain(settings, judged, compute=compute, workers=0, knn_every=1)
    assert (plain / FILES[0]).read_bytes() == (judged / FILES[0]).read_bytes()
    lines = log(judged)
    assert [line["step"] for line in lines if "knn" in line] == [3, 6]
    assert all(0 <= line["knn"] <= 1 for line in lines if "knn" in line)
    without = [{k: v for k, v in line.items() if k != "knn"} for line in lines]
    assert without == log(plain)


def test_online_knn_needs_labels(tmp_path, make_settings, compute):
    settings = make_settings(data={"labelled": False})
    with pytest.raises(SettingError, match="Online kNN needs classes"):
        pretrain(settings, tmp_path / "r", compute=compute, workers=0, knn_every=1)


def test_views_that_cannot_be_made_leave_a_folder_that_takes_the_mended_settings(
    tmp_path, make_settings, compute
):
    wrong = make_settings(options={"queue_size": 16, "bn_splits": 2, "crop_scale": (1.0, 0.2)})
    with pytest.raises(SettingError, match="scale"):
        pretrain(wrong, tmp_path / "r", compute=compute, workers=0)
    pretrain(make_settings(), tmp_path / "r", compute=compute, workers=0)


def test_the_length_of_the_gradient_is_logged(tmp_path, make_settings, compute):
    out = pretrain(make_settings(), tmp_path / "r", compute=compute, workers=0)
    assert all(line["gradient_norm"] > 0 for line in log(out))


def test_a_split_network_is_saved_as_a_plain_one(tmp_path, make_settings, compute):
    out = pretrain(make_settings("moco-v2"), tmp_path / "r", compute=compute, workers=0)
    trained = load_checkpoint(out, files.read_json(out / "recipe.json")["digest"])["method"]
    opened = open_encoder(EncoderSpec(spec=f"run:{out}", architecture=ARCHITECTURE))
    kinds = {type(module).__name__ for module in opened.modules()}
    assert "SplitBatchNorm2d" not in kinds
    for name, value in opened.state_dict().items():
        assert torch.equal(value, trained[f"encoder.{name}"])


def test_a_finished_run_returns_at_once(tmp_path, make_settings, compute, monkeypatch):
    settings = make_settings()
    out = pretrain(settings, tmp_path / "r", compute=compute, workers=0)
    before = {path.name: path.stat().st_mtime_ns for path in out.iterdir()}
    monkeypatch.setattr("vireo.pretrain.running.prepare", lambda *_a: pytest.fail("work was done"))
    assert pretrain(settings, out, compute=compute) == out
    assert {path.name: path.stat().st_mtime_ns for path in out.iterdir()} == before


def test_a_folder_with_another_recipe_is_refused(tmp_path, make_settings, compute):
    out = pretrain(make_settings(), tmp_path / "r", compute=compute, workers=0)
    with pytest.raises(SettingError, match=r"another seed \(seed: 0 there, 1 asked for\)"):
        pretrain(make_settings(seed=1), out, compute=compute)
    with pytest.raises(SettingError, match="another data"):
        pretrain(make_settings(data={"count": 26}), out, compute=compute)


def test_a_folder_of_something_else_is_refused(tmp_path, make_settings, compute):
    (tmp_path / "card.json").write_text("{}")
    with pytest.raises(SettingError, match=r"has card\.json but no recipe\.json"):
        pretrain(make_settings(), tmp_path, compute=compute)
    assert (tmp_path / "card.json").read_text() == "{}"


def test_images_that_changed_meanwhile_are_refused(tmp_path, make_settings, compute, monkeypatch):
    settings = make_settings()
    with broken_at(2, monkeypatch):
        pretrain(settings, tmp_path, compute=compute, workers=0, save_every_seconds=0.0)
    recipe = files.read_json(tmp_path / "recipe.json")
    recipe["resolved"]["source"] = "other"
    files.write_json(tmp_path / "recipe.json", recipe)
    with pytest.raises(SettingError, match="another source"):
        pretrain(settings, tmp_path, compute=compute)


def test_another_number_of_threads_is_said(tmp_path, make_settings, compute, monkeypatch, capsys):
    settings = make_settings()
    with broken_at(2, monkeypatch):
        pretrain(settings, tmp_path, compute=compute, workers=0, save_every_seconds=0.0)
    pretrain(settings, tmp_path, compute=dataclasses.replace(compute, threads=2), workers=0)
    assert "threads 1 -> 2" in capsys.readouterr().err


def test_two_processes_do_not_share_a_folder(tmp_path, make_settings, compute):
    with (
        files.lock(tmp_path / ".lock", "test"),
        pytest.raises(StoreError, match="Another process is at work on the run"),
    ):
        pretrain(make_settings(), tmp_path, compute=compute)


def test_a_loss_that_is_not_finite_stops_and_spoils_no_checkpoint(
    tmp_path, make_settings, compute, monkeypatch
):
    settings = make_settings(optimizer=OptimizerSettings(learning_rate=1e38, weight_decay=0.0))
    with pytest.raises(TrainingError, match="Lower the learning rate"):
        pretrain(settings, tmp_path, compute=compute, workers=0, save_every_seconds=0.0)
    assert not (tmp_path / FILES[1]).exists()
    for path in checkpoints(tmp_path):
        state = torch.load(path, weights_only=True)["method"]
        assert all(value.isfinite().all() for name, value in state.items() if "running" not in name)


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_signal_ends_the_step_writes_and_says_how_to_go_on(
    tmp_path, make_settings, compute, monkeypatch, capsys, name
):
    settings, whole, parts = make_settings(), tmp_path / "a" / "r", tmp_path / "b" / "r"
    pretrain(settings, whole, compute=compute, workers=0)
    before = signal.getsignal(getattr(signal, name))
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        original = MoCoV2.before_step

        def raising(self, now):
            if now.step == 3:
                signal.raise_signal(getattr(signal, name))
            original(self, now)

        patch.setattr(MoCoV2, "before_step", raising)
        pretrain(settings, parts, compute=compute, workers=0)
    assert "Stopped after step 4 of 6; run the same again" in capsys.readouterr().err
    assert checkpoints(parts)[-1].stem == "checkpoint-00000004"
    assert signal.getsignal(getattr(signal, name)) == before
    pretrain(settings, parts, compute=compute, workers=0)
    same_run(whole, parts)


def test_a_signal_sent_twice_at_once_is_one_request(tmp_path, make_settings, compute, monkeypatch):
    """`timeout` signals its child, then the child's group: the child gets both."""
    original = MoCoV2.before_step

    def raising(self, now):
        if now.step == 3:
            for _ in range(2):
                signal.raise_signal(signal.SIGINT)
        original(self, now)

    monkeypatch.setattr(MoCoV2, "before_step", raising)
    with pytest.raises(KeyboardInterrupt):
        pretrain(make_settings(), tmp_path, compute=compute, workers=0)
    assert [path.stem for path in checkpoints(tmp_path)] == ["checkpoint-00000004"]


def test_a_later_second_signal_acts_at_once(monkeypatch):
    monkeypatch.setattr(interrupts, "SAME_SECONDS", -1.0)
    with interrupts.Interrupts() as asked:
        signal.raise_signal(signal.SIGINT)
        assert asked.asked
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_other_versions_are_said(tmp_path, make_settings, compute, monkeypatch, capsys):
    settings = make_settings()
    with broken_at(2, monkeypatch):
        pretrain(settings, tmp_path, compute=compute, workers=0, save_every_seconds=0.0)
    recipe = files.read_json(tmp_path / "recipe.json")
    recipe["versions"]["torch"] = "1.0"
    files.write_json(tmp_path / "recipe.json", recipe)
    pretrain(settings, tmp_path, compute=compute, workers=0)
    assert "torch 1.0 -> " in capsys.readouterr().err


def test_runs_of_other_seeds_differ(tmp_path, make_settings, compute):
    folders = [
        pretrain(make_settings(seed=seed), tmp_path / str(seed), compute=compute, workers=0)
        for seed in (0, 1)
    ]
    assert log(folders[0])[-1]["loss"] != log(folders[1])[-1]["loss"]


CHILD = """
import sys
from pathlib import Path
import torch
torch.set_num_threads(1)
from tests.pretrain.test_running import killed_settings, make_compute
from vireo.pretrain import pretrain
pretrain(killed_settings(), Path(sys.argv[1]), compute=make_compute(), workers=int(sys.argv[2]),
         save_every_seconds=float(sys.argv[3]))
"""
ROOT = Path(__file__).parents[2]


def start(folder: Path, workers: int, save_every_seconds: float) -> subprocess.Popen:
    """Begin `killed_settings` in a process group of its own."""
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, str(folder), str(workers), str(save_every_seconds)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        start_new_session=True,
    )


def killed_settings() -> PretrainSettings:
    from tests.tiny import ARCHITECTURE, DATASET

    return PretrainSettings(
        method="moco-v2",
        architecture=ARCHITECTURE,
        data=DATASET,
        epochs=100,
        batch_size=8,
        image_size=8,
        options=OPTIONS["moco-v2"],
        optimizer=OptimizerSettings(learning_rate=0.05, weight_decay=1e-4),
        engine="torch",
    )


def make_compute():
    from vireo.devices import Compute

    return Compute(device="cpu", precision="float32", threads=1, reason="test")


@pytest.mark.slow
def test_a_killed_run_ends_bit_for_bit_like_one_that_was_not(tmp_path):
    whole, parts = tmp_path / "a" / "r", tmp_path / "b" / "r"
    with start(parts, 0, 0.0) as child:
        while len(checkpoints(parts)) < 2 and child.poll() is None:
            time.sleep(0.02)
        child.send_signal(signal.SIGKILL)
    assert not (parts / FILES[1]).exists(), "killed before the end"
    pretrain(killed_settings(), parts, compute=make_compute(), workers=0)
    pretrain(killed_settings(), whole, compute=make_compute(), workers=0)
    same_run(whole, parts)


@pytest.mark.slow
def test_a_signal_to_the_whole_group_leaves_a_checkpoint_to_go_on_from(tmp_path):
    """As `timeout` sends it: to the child, then to its group, loader workers included."""
    whole, parts = tmp_path / "a" / "r", tmp_path / "b" / "r"
    log_file = parts / "metrics.jsonl"
    with start(parts, 2, 1e9) as child:
        while child.poll() is None and not (log_file.exists() and log_file.stat().st_size):
            time.sleep(0.02)
        child.send_signal(signal.SIGTERM)
        os.killpg(child.pid, signal.SIGTERM)
    assert len(checkpoints(parts)) == 1, "none is due before the signal"
    assert not (parts / FILES[1]).exists(), "stopped before the end"
    pretrain(killed_settings(), parts, compute=make_compute(), workers=0)
    pretrain(killed_settings(), whole, compute=make_compute(), workers=0)
    same_run(whole, parts)
