"""A real study in its own process: killed in the middle and run again, it says the same."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from vireo.analysis import read_study
from vireo.cli.main import app
from vireo.store.results import ResultStore

STUDY = """
name = "tiny"
summary = "two encoders, three tasks"
tasks = ["digits.toml", "foreground.toml", "count.toml"]
baseline = "random"

[probe]
seeds = [0, 1]
learning_rates = [1.0, 10.0]
weight_decays = [0.0]
resamples = 50

[[encoders]]
name = "random"
spec = "random:resnet20"

[pretrain.moco]
method = "moco-v2"
architecture = "resnet20"
epochs = 1
batch_size = 16
image_size = 16
options = { queue_size = 32, bn_splits = 1 }

[pretrain.moco.data]
name = "few-digits"
source = "digits"
limit = { train = 48 }
"""

DIGITS = """
name = "few-digits"
summary = "which digit, from few images"
target = "class"
outputs = 10
family = "semantic-image"
head = "linear"
loss = "cross-entropy"
metric = "top-1"
epochs = 5
input_size = [16, 16]

[data]
name = "few-digits"
source = "digits"
limit = { train = 80, test = 40 }
carve = { test = { fraction = 0.2 } }
"""

ROOMS = """
name = "few-NAME"
summary = "a question about few rooms"
target = "NAME"
input_size = [32, 32]
KIND

[data]
name = "few-rooms"
source = "rooms"
options = { size = 32 }

[data.splits]
train = { split = "train", images = 24 }
val = { split = "val", images = 8 }
test = { split = "test", images = 12 }
"""

DENSE = """
outputs = 2
family = "structural-pixel"
head = "unet"
loss = "cross-entropy"
metric = "miou"
epochs = 2
batch_size = 8
"""

COUNT = """
outputs = 7
family = "structural-image"
head = "linear"
loss = "cross-entropy"
metric = "top-1"
epochs = 5
"""

CELLS, ROWS = 7, 12
LIMIT = 600  # seconds; the run takes about ten, on a machine that does nothing else
TIMES = ["seconds", "images_per_second"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("study")
    files = {
        "study": STUDY,
        "digits": DIGITS,
        "foreground": ROOMS.replace("NAME", "foreground").replace("KIND", DENSE),
        "count": ROOMS.replace("NAME", "count").replace("KIND", COUNT),
    }
    for name, text in files.items():
        (root / f"{name}.toml").write_text(text)
    return root


def start(folder, out):
    command = "from vireo.cli.main import app; app()"
    words = ["study", "run", folder / "study.toml", "--out", out, "--device", "cpu"]
    return subprocess.Popen(
        [sys.executable, "-c", command, *map(str, words), "--threads", "1"],
        env=os.environ | {"XDG_CACHE_HOME": str(folder / "cache")},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(folder, out):
    """Run the study to its end and return what it told."""
    process = start(folder, out)
    try:
        _, told = process.communicate(timeout=LIMIT)
    finally:
        process.kill()
    assert process.returncode == 0, told
    return told


def rows(out):
    return sorted((out / "results").glob("[!.]*.json"))


def kill_in_the_middle(folder, out):
    """Kill as soon as the first row is there: the next cell, a dense one, is then at work."""
    process = start(folder, out)
    try:
        while process.poll() is None and not rows(out):
            time.sleep(0.01)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert 0 < len(rows(out)) < ROWS


def same_outcomes(first, second):
    one, two = ResultStore(first / "results"), ResultStore(second / "results")
    for row in one.rows():
        expected, found = one.outcomes(row.key), two.outcomes(row.key)
        assert expected.keys() == found.keys()
        for name, array in expected.items():
            np.testing.assert_array_equal(array, found[name], err_msg=name)


@pytest.mark.slow
def test_a_killed_study_goes_on_and_says_exactly_the_same(folder):
    whole, broken = folder / "whole", folder / "broken"
    assert f"{CELLS} cells computed, 0 were there already" in run(folder, whole)
    kill_in_the_middle(folder, broken)
    kept = {path.name: path.stat().st_mtime_ns for path in rows(broken)}
    told = run(folder, broken)
    assert ", 0 failed" in told
    assert f"{CELLS} cells computed" not in told  # pre-training at least was there
    assert kept.items() <= {path.name: path.stat().st_mtime_ns for path in rows(broken)}.items()

    expected, found = read_study(whole), read_study(broken)
    assert len(expected.table) == ROWS
    assert not found.missing
    pd.testing.assert_frame_equal(
        found.table.drop(columns=TIMES), expected.table.drop(columns=TIMES), check_exact=True
    )
    same_outcomes(whole, broken)

    before = {path: path.stat().st_mtime_ns for path in (broken / "results").iterdir()}
    assert f"0 cells computed, {CELLS} were there already, 0 failed" in run(folder, broken)
    assert before == {path: path.stat().st_mtime_ns for path in (broken / "results").iterdir()}

    page = folder / "page.html"
    result = CliRunner().invoke(app, ["report", str(broken), "--out", str(page)])
    assert result.exit_code == 0, result.output
    text = page.read_text()
    assert all(name in text for name in ("few-digits", "few-foreground", "few-count", "moco"))
