"""`vireo similarity`: what it prints, draws and refuses."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from vireo.cli.main import app
from vireo.store.similarities import read_similarities

RUNNER = CliRunner()
TINY = "random:tests.tiny:tiny_network"
IMAGES = ("--images", "tests.tiny:DATASET", "--side", "8", "--device", "cpu")


def call(*words):
    return RUNNER.invoke(app, ["similarity", *map(str, words)])


def test_it_prints_and_draws_what_it_stores(tmp_path):
    found = call(
        f"a={TINY}", "random:resnet20", *IMAGES, "--count", 20, "--out", tmp_path, "--json"
    )
    assert found.exit_code == 0, found.output
    lines = json.loads(found.stdout)
    assert [line["name"] for line in lines[::2]] == ["a", "a x random:resnet20", "random:resnet20"]
    assert {line["estimator"] for line in lines} == {"biased", "unbiased"}
    assert {line["n"] for line in lines} == {20}
    between = np.array(lines[2]["values"])
    assert between.shape == (2, 9)
    assert lines[2]["mean"] == pytest.approx(between.mean())
    assert lines[2]["same_place"] is None
    assert lines[2]["first_to_last"] == between[0, -1]
    table = read_similarities(tmp_path)
    stored = table[(table["first"] != table["second"]) & (table["estimator"] == "biased")]
    np.testing.assert_array_equal(stored["value"].to_numpy().reshape(2, 9), between)
    pictures = sorted(path.name for path in (tmp_path / "similarity").glob("*.png"))
    assert pictures == ["biased-flattened-8px.png", "unbiased-flattened-8px.png"]


def test_one_encoder_is_compared_with_itself(tmp_path):
    words = (TINY, *IMAGES, "--estimator", "minibatch", "--batch-size", 8, "--pooled")
    found = call(*words, "--out", tmp_path)
    assert found.exit_code == 0, found.output
    assert "minibatch" in found.stdout
    assert (tmp_path / "similarity" / "minibatch-pooled-8px.png").is_file()


def test_a_name_that_is_there_twice_is_refused(tmp_path):
    found = call(f"a={TINY}", f"a={TINY}", *IMAGES, "--out", tmp_path)
    assert found.exit_code == 2
    assert "twice there: a" in found.output
    assert not list(tmp_path.iterdir())
