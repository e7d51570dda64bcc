"""`vireo data check` and `vireo data get` of named datasets, as a person types them."""

import json

import pytest
from tests import miniatures
from typer.testing import CliRunner

from vireo.cli.main import app


@pytest.fixture(autouse=True)
def no_variables(monkeypatch):
    for name in ("VIREO_DATASETS", "VIREO_DTD", "VIREO_IMAGENET", "VIREO_KITTI_FLOW"):
        monkeypatch.delenv(name, raising=False)


def call(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


def test_a_check_says_what_is_there_and_what_differs(tmp_path):
    miniatures.dtd(tmp_path)
    result = call("data", "check", "dtd", "--root", tmp_path, "--json")
    assert result.exit_code == 1  # a miniature is not the published set
    train, test = json.loads(result.stdout)
    assert (train["examples"], train["expected"], test["examples"]) == (12, 3760, 6)
    assert train["problem"] == "12 examples, not 3,760"
    assert (train["missing"], train["folder"]) == ([], str(tmp_path))
    assert train["first_label"] == "class 0 (banded)"
    assert "research" in train["licence"]
    table = call("data", "check", "dtd", "--root", tmp_path)
    assert "12 examples, not 3,760" in table.stdout
    assert "there  dtd/dtd/labels/train1.txt" in table.stderr
    assert "How to get it" not in table.stderr


def test_a_check_of_nothing_says_what_is_missing_and_how_to_get_it(tmp_path):
    result = call("data", "check", "imagenet", "--root", tmp_path / "no", "--json")
    assert result.exit_code == 1
    train, test = json.loads(result.stdout)
    assert train["examples"] is None
    assert train["missing"] == ["train/n*", "val/n*"]
    assert "Register at https://image-net.org" in test["how_to_get"]
    table = call("data", "check", "imagenet")
    assert "MISSING  val/n*" in table.stderr
    assert "neither VIREO_IMAGENET nor VIREO_DATASETS is set" in table.stderr
    assert "non-commercial" in table.stderr


def test_what_cannot_be_fetched_says_the_steps(tmp_path):
    result = call("data", "get", "imagenet", "--root", tmp_path)
    assert result.exit_code == 2
    assert "ILSVRC2012_img_train.tar" in result.stderr
    assert "accept the terms" in result.stderr
    result = call("data", "get", "imagenet")
    assert result.exit_code == 2
    assert "give --root DIR, or set VIREO_IMAGENET or VIREO_DATASETS" in result.stderr
    assert "needs no fetching" in call("data", "get", "digits").stderr
    steps = call("data", "get", "kitti-flow", "--root", tmp_path)
    assert f"vireo data check kitti-flow --root {tmp_path}" in " ".join(steps.stderr.split())
    assert "Name the folder by VIREO_KITTI_FLOW" in call("data", "get", "kitti-flow").stderr


def test_what_is_there_is_not_fetched_again(tmp_path):
    miniatures.dtd(tmp_path)
    result = call("data", "get", "dtd", "--root", tmp_path)
    assert result.exit_code == 0, result.stderr
    assert "already" in result.stderr
    assert "vireo data check dtd" in result.stderr
