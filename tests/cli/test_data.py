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


@pytest.mark.parametrize(
    ("name", "there", "asked"),
    [
        ("dtd", ".", "dtd"),
        ("dtd", ".", "dtd/dtd"),
        ("dtd", "dtd-r1.0.1", "."),
        ("imagenet", ".", "train"),
        ("pets", "a folder", "a folder/oxford-iiit-pet"),
    ],
)
def test_a_check_one_folder_too_deep_or_too_high_says_which_it_is(name, there, asked, tmp_path):
    whole = tmp_path / there
    miniatures.MAKERS[name](whole)
    words = ("data", "check", name, "--root", tmp_path / asked)
    said = " ".join(call(*words).stderr.split())
    assert f"All of it is in {whole}: name that folder, by --root or VIREO_" in said
    assert "How to get it" not in said
    lines = json.loads(call(*words, "--json").stdout)
    assert {line["whole_in"] for line in lines} == {str(whole)}


def test_a_check_beside_nothing_names_no_other_folder(tmp_path):
    miniatures.dtd(tmp_path / "a/b")
    (tmp_path / "c").mkdir()
    for asked in (".", "a/b", "c", "c/d"):  # two folders up, the very one, beside it, none
        result = call("data", "check", "dtd", "--root", tmp_path / asked, "--json")
        assert {line["whole_in"] for line in json.loads(result.stdout)} == {""}


@pytest.mark.parametrize(
    "words",
    [
        ("data", "check", "dtd", "--root"),
        ("data", "get", "dtd", "--root"),
        ("data", "rooms", "--out"),
        ("data", "frames", "videos", "--out"),
        ("pretrain", "simclr", "--data", "digits", "--out"),
        ("probe", "random:resnet20", "--task", "digits", "--out"),
        ("subset", "half", "--data", "digits", "--out"),
        ("demo", "--out"),
        ("results", "export", "runs", "--to", "csv", "--out"),
        ("similarity", "random:resnet20", "--images", "digits", "--out"),
    ],
    ids=" ".join,
)
def test_an_empty_path_is_not_the_folder_one_is_in(words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for empty in ("", " "):
        result = call(*words, empty)
        assert result.exit_code == 2
        said = " ".join(result.stderr.replace("│", " ").split())
        assert f"Invalid value for '{words[-1]}': the path is empty" in said
    assert not list(tmp_path.iterdir())


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
