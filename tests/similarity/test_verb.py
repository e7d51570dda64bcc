"""`vireo similarity` on files: opened as its options say."""

import json

import pytest
import torch
from typer.testing import CliRunner

from vireo.cli.main import app
from vireo.encoders import open_encoder

RUNNER = CliRunner()
IMAGES = ("--images", "tests.tiny:DATASET", "--side", "8", "--count", "8", "--device", "cpu")


@pytest.fixture
def file(tmp_path):
    """A small network's file."""
    path = tmp_path / "small.pth"
    network = open_encoder("random:resnet20").backbone.network
    torch.save({"state_dict": network.state_dict()}, path)
    return path


def call(*words):
    return RUNNER.invoke(app, ["similarity", *map(str, words), *IMAGES])


def test_a_file_is_compared_as_told(file, tmp_path):
    """Another normalisation is another encoder: side by side the two are told apart."""
    told = ("--architecture", "resnet20", "--mean", "0,0,0", "--std", "1,1,1", "--pooled")
    out = ("--out", tmp_path / "s", "--json")
    (plain,) = json.loads(call(f"a=file:{file}", "--pooled", *out).stdout)[::2]
    (other,) = json.loads(call(f"a=file:{file}", *told, *out).stdout)[::2]
    assert plain["first_blocks"] == other["first_blocks"]
    assert plain["values"] != other["values"]
    assert len(list((tmp_path / "s" / "similarity").glob("*.json"))) == 4


def test_options_of_files_without_a_file_are_refused(tmp_path):
    found = call("random:resnet20", "--mean", "0,0,0", "--out", tmp_path / "s")
    assert found.exit_code == 2
    assert "--mean: only for file: encoders, and none is named" in " ".join(found.stderr.split())
    assert not (tmp_path / "s").exists()


def test_a_wrong_architecture_is_refused(file, tmp_path):
    found = call(f"file:{file}", "--architecture", "resnet32", "--out", tmp_path / "s")
    assert found.exit_code == 2
    assert "does not fill the network" in found.stderr
