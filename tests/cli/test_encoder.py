"""`vireo encoder`, the list of encoders, and what probe is told of files."""

import json
import subprocess
import sys

import pytest
import torch
from torchvision import models
from typer.testing import CliRunner

from vireo.cli.main import app
from vireo.cli.probe import encoder_spec, size, triple, with_facts
from vireo.encoders import OPENERS, open_encoder
from vireo.encoders.downloads import fetching
from vireo.encoders.zoo import ZOO
from vireo.errors import SettingError

RUNNER = CliRunner()


def call(*words):
    return RUNNER.invoke(app, list(map(str, words)))


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache, and a network that is switched off."""
    monkeypatch.setattr("torch.hub.get_dir", lambda: str(tmp_path))
    monkeypatch.setenv(fetching.OFFLINE, "1")
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    return folder


@pytest.fixture
def file(tmp_path):
    """A small network's file, and the network."""
    encoder = open_encoder("random:resnet20")
    path = tmp_path / "small.pth"
    torch.save({"epoch": 7, "state_dict": encoder.backbone.network.state_dict()}, path)
    return path


def test_a_file_that_loads_is_accepted(file):
    result = call("encoder", "inspect", file)
    assert result.exit_code == 0, result.stderr
    assert result.stdout.startswith(f"accepted: {file} loads as resnet20\n")
    (line,) = json.loads(call("encoder", "inspect", file, "--json").stdout)
    assert (line["accepted"], line["architecture"], line["name"]) == (True, "resnet20", str(file))
    assert line["weights"] == open_encoder(f"file:{file}").card.weights
    assert line["missing"] == []


def test_a_file_that_does_not_fit_is_refused_with_what_did_not(file):
    result = call("encoder", "inspect", file, "--architecture", "resnet32")
    assert result.exit_code == 1
    assert result.stdout.startswith("refused: ")
    assert "missing" in result.stdout
    assert "layer1.3.conv1.weight" in result.stdout
    lines = call("encoder", "inspect", file, "--architecture", "resnet32", "--json")
    assert lines.exit_code == 1
    (line,) = json.loads(lines.stdout)
    assert not line["accepted"]
    assert line["missing"][0] == "layer1.3.conv1.weight"


def test_a_file_that_is_none_is_unreadable(tmp_path):
    (tmp_path / "page.pth").write_text("<!DOCTYPE html><html></html>")
    for path in (tmp_path / "page.pth", tmp_path / "nothing.pth"):
        result = call("encoder", "inspect", path)
        assert result.exit_code == 2
        assert result.stderr.startswith("vireo: ")
        assert str(path) in result.stderr
        assert "Traceback" not in result.stderr


def test_a_published_card_is_shown_without_its_file(cache):
    result = call("encoder", "show", "swav-half-200")
    assert result.exit_code == 0, result.stderr
    lines = dict(line.split(maxsplit=1) for line in result.stdout.splitlines())
    assert lines["images"].strip() == "500,000"
    assert lines["epochs"].strip() == "200"
    assert lines["checksum"].strip() == "unknown"
    assert lines["cached"].strip() == "no"
    (card,) = json.loads(call("encoder", "show", "zoo:swav-half-200", "--json").stdout)
    assert card["address"].endswith("SWAVHalfImagenet.pt")
    assert card["cached"] is False


def test_any_encoders_card_is_shown(file):
    (card,) = json.loads(call("encoder", "show", f"file:{file}", "--json").stdout)
    assert (card["architecture"], card["features"]) == ("resnet20", 64)
    assert "resnet20" in call("encoder", "show", "random:resnet20").stdout


def test_an_unknown_published_name_is_a_mistake():
    for words in (("show", "swav-half200"), ("fetch", "swav-half200")):
        result = call("encoder", *words)
        assert result.exit_code == 2
        assert "Did you mean 'swav-half-200' or " in result.stderr


def test_what_is_fetched_is_verified_and_loaded_and_the_rest_is_said(cache):
    released = {f"model.{name}": value for name, value in models.resnet50().state_dict().items()}
    torch.save(released, cache / "SWAVPlaces.pt")
    result = call("encoder", "fetch", "swav-places-200", "swav-800", "--json")
    assert result.exit_code == 1
    there, missing = json.loads(result.stdout)
    assert (there["loads"], there["architecture"]) == ("yes", "resnet50")
    assert there["file"] == str(cache / "SWAVPlaces.pt")
    assert len(there["weights"]) == 16
    assert (cache / "SWAVPlaces.pt.sha256").is_file()
    assert (missing["name"], missing["loads"]) == ("swav-800", "no")
    assert str(cache / "swav_800ep_pretrain.pth.tar") in result.stderr


def test_the_list_has_every_spec_and_every_published_encoder(cache):
    (cache / "SWAVPlaces.pt").touch()
    lines = {line["name"]: line for line in json.loads(call("list", "encoders", "--json").stdout)}
    specs = {name.partition(":")[0] for name, line in lines.items() if line["kind"] == "spec"}
    assert specs == set(OPENERS)
    assert {f"zoo:{name}" for name in ZOO} <= set(lines)
    places = lines["zoo:swav-places-200"]
    assert (places["kind"], places["method"], places["cached"]) == ("study", "swav", True)
    assert places["summary"].endswith("200 epochs; resnet50; in the cache")
    assert lines["zoo:swav-800"]["summary"].endswith("; download")
    assert "zoo:dinov2-vit-g14" in call("list", "encoders").stdout


def test_listing_encoders_needs_no_torch():
    code = (
        "import sys; from vireo.cli.main import app\n"
        "try: app(['list', 'encoders'])\n"
        "except SystemExit as end: assert not end.code\n"
        "assert not {'torch', 'timm', 'numpy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_what_probe_is_told_reaches_files_only():
    specs = [encoder_spec("mine=file:a.pth"), encoder_spec("random:resnet20")]
    told = with_facts(specs, architecture="timm:resnet10t", mean=(0.5, 0.5, 0.5), std=None)
    assert (told[0].architecture, told[0].mean, told[0].std) == (
        "timm:resnet10t",
        (0.5, 0.5, 0.5),
        None,
    )
    assert told[1] == specs[1]
    with pytest.raises(SettingError, match="--input-size: only for file: encoders"):
        with_facts(specs[1:], input_size=(64, 64))
    assert with_facts(specs[1:], architecture="") == (specs[1],)


@pytest.mark.parametrize(
    ("text", "found"), [("224", (224, 224)), ("224x320", (224, 320)), ("", None)]
)
def test_sizes_are_one_number_or_two(text, found):
    assert size(text) == found


@pytest.mark.parametrize("text", ["0", "224x", "axb", "1x2x3", "2.5"])
def test_other_sizes_are_refused(text):
    with pytest.raises(SettingError, match="--input-size is written as 224 or 224x320; got"):
        size(text)


@pytest.mark.parametrize(
    "text", ["0,1", "a,b,c", "0.1", "1;2;3", "-1,0,0", "123,117,104", "nan,0,0"]
)
def test_a_mean_is_three_numbers_from_0_to_1(text):
    with pytest.raises(SettingError, match="--mean is three numbers of RGB from 0 to 1"):
        triple(text, "--mean")
    assert triple("0,0.5,1", "--mean") == (0.0, 0.5, 1.0)


def test_a_file_is_probed_as_told(file, tmp_path, monkeypatch):
    plans = []
    monkeypatch.setattr("vireo.study.run_study", lambda plan, *_, **__: plans.append(plan))
    monkeypatch.setattr("vireo.cli.study.finish", lambda *_: None)
    told = ("--architecture", "resnet20", "--mean", "0,0,0", "--std", "1,1,1", "--input-size", 32)
    words = ("probe", f"mine=file:{file}", "--task", "digits", "--out", tmp_path / "p")
    assert call(*words, *told, "--device", "cpu").exit_code == 0
    (spec,) = plans[0].encoders
    assert (spec.name, spec.architecture, spec.input_size) == ("mine", "resnet20", (32, 32))
    card = open_encoder(spec).card
    assert (card.mean, card.std) == ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))


def test_a_file_that_is_told_wrongly_ends_the_probe_before_it_starts(file, tmp_path):
    words = ("probe", f"mine=file:{file}", "--task", "digits", "--out", tmp_path / "p")
    wrong = call(*words, "--architecture", "resnet32", "--device", "cpu")
    assert wrong.exit_code == 2
    assert "does not fill the network" in wrong.stderr


def test_a_study_of_published_encoders_is_planned_without_fetching(cache, tmp_path, monkeypatch):
    file = tmp_path / "s.toml"
    text = 'name = "s"\nsummary = ""\ntasks = ["digits"]\n[[encoders]]\nspec = "zoo:{}"\n'
    file.write_text(text.format("swav-half-200"))
    monkeypatch.chdir(tmp_path)
    offline = call("study", "plan", file)
    assert offline.exit_code == 0, offline.stderr
    assert "zoo:swav-half-200 x digits" in offline.stdout
    assert "VIREO_OFFLINE is set" in offline.stderr
    ran = call("study", "run", file)
    assert ran.exit_code == 2
    assert "VIREO_OFFLINE is set" in ran.stderr
    monkeypatch.delenv(fetching.OFFLINE)
    monkeypatch.setattr(fetching, "_download", None)  # any attempt to fetch would fail
    planned = call("study", "plan", file)
    assert planned.exit_code == 0, planned.stderr
    assert "zoo:swav-half-200 x digits" in planned.stdout
    file.write_text(text.format("swav-half200"))
    assert "Did you mean 'swav-half-200'" in call("study", "plan", file).stderr
