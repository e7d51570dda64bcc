"""The log: lines after the checkpoint are dropped, as is half a line; TensorBoard is optional."""

import json
import sys
import types

import pytest

from vireo.pretrain.log import MetricsLog


def lines(path):
    return [json.loads(text) for text in path.read_text().splitlines()]


def test_lines_are_appended_and_those_after_the_checkpoint_dropped(tmp_path):
    path = tmp_path / "metrics.jsonl"
    with MetricsLog(path, 0) as log:
        for step in (1, 2, 3):
            log.write({"step": step, "loss": 0.5})
    with MetricsLog(path, 2) as log:
        log.write({"step": 3, "loss": 0.25})
    assert lines(path) == [
        {"step": 1, "loss": 0.5},
        {"step": 2, "loss": 0.5},
        {"step": 3, "loss": 0.25},
    ]


def test_half_a_line_is_dropped(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1}\n{"step": 2, "lo')
    with MetricsLog(path, 5):
        pass
    assert lines(path) == [{"step": 1}]


def test_a_number_that_json_has_not_is_refused(tmp_path):
    with MetricsLog(tmp_path / "m.jsonl", 0) as log, pytest.raises(ValueError, match="JSON"):
        log.write({"step": 1, "loss": float("nan")})


def test_tensorboard_gets_the_numbers_where_it_is_installed(tmp_path, monkeypatch):
    calls = []

    class SummaryWriter:
        def __init__(self, folder, purge_step):
            calls.append(("open", purge_step))

        def add_scalar(self, name, value, step):
            calls.append((name, value, step))

        def close(self):
            calls.append("close")

    module = types.SimpleNamespace(SummaryWriter=SummaryWriter)
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", module)
    with MetricsLog(tmp_path / "m.jsonl", 4) as log:
        log.write({"step": 7, "loss": 0.5})
    assert calls == [("open", 5), ("step", 7, 7), ("loss", 0.5, 7), "close"]
