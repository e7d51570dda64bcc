"""`vireo probe` under each protocol: its options become settings, foreign ones are refused."""

import json

import pytest
from typer.testing import CliRunner

from vireo.cli.main import app
from vireo.cli.probe import Protocol, Scoring, settings
from vireo.errors import SettingError
from vireo.probe.protocols import PROTOCOLS
from vireo.store.folder import StudyFolder
from vireo.store.results import ResultStore

RUNNER = CliRunner()
TASK = """
name = "bright"
summary = "which channel is bright"
target = "class"
outputs = 2
family = "semantic-image"
head = "linear"
loss = "cross-entropy"
metric = "top-1"
epochs = 5
input_size = [8, 8]
[data]
name = "array"
source = "tests.tiny:ArraySource"
splits.train = {seed = 0, count = 60}
splits.test = {seed = 1}
"""


def call(out, *words):
    task = out / "bright.toml"
    task.write_text(TASK)
    encoder = "random:tests.tiny:tiny_network"
    line = ("probe", encoder, "--task", task, "--out", out, "--device", "cpu")
    return RUNNER.invoke(app, list(map(str, (*line, *words))))


def test_the_protocols_are_those_there_are():
    assert {protocol.value for protocol in Protocol} == set(PROTOCOLS)
    assert [scoring.value for scoring in Scoring] == ["standard", "released"]


def test_options_become_settings():
    found = settings("few-shot", "released", (0, 1), {"shots": 2, "draws": 7, "neighbours": None})
    assert (found.protocol, found.scoring, found.seeds) == ("few-shot", "released", (0, 1))
    assert (found.shots, found.draws, found.neighbours) == (2, 7, 20)
    assert settings("reference", "standard", (0,), {"reference": "a"}).reference == "a"


@pytest.mark.parametrize(
    ("protocol", "asked"),
    [("knn", {"shots": 2}), ("tuned", {"reference": "a"}), ("paper", {"encoder_rate": 0.1})],
)
def test_an_option_of_another_protocol_is_refused(protocol, asked):
    with pytest.raises(SettingError, match=f"--protocol {protocol} does not use it"):
        settings(protocol, "standard", (0,), asked)


def test_neighbours_are_asked_from_the_command_line(tmp_path):
    done = call(tmp_path, "--protocol", "knn", "--neighbours", 7, "--temperature", 0.1, "--json")
    assert done.exit_code == 0, done.stderr
    (line,) = json.loads(done.stdout)
    (row,) = ResultStore(StudyFolder(tmp_path).results).rows()
    assert row.score == line["score"] > row.floor
    assert (row.protocol, row.hyperparameters["neighbours"]) == ("knn", 7)
    assert row.hyperparameters["temperature"] == 0.1


def test_what_is_refused_leaves_no_folder(tmp_path):
    probe = "probe random:tests.tiny:tiny_network --task digits --protocol knn --seeds 2"
    pretrain = "pretrain simclr --data digits --architecture resnet20 --set temperature=-1"
    for words in (probe, pretrain):
        result = RUNNER.invoke(app, [*words.split(), "--out", str(tmp_path / "runs/new")])
        assert (result.exit_code, list(tmp_path.iterdir())) == (2, []), result.stderr


def test_a_mistake_is_a_sentence(tmp_path):
    wrong = call(tmp_path, "--protocol", "knn", "--shots", 3)
    assert wrong.exit_code == 2
    assert "--shots: --protocol knn does not use it; leave it out." in " ".join(
        wrong.stderr.split()
    )
    wrong = call(tmp_path, "--protocol", "knn", "--seeds", 2)
    assert wrong.exit_code == 2
    assert "every seed gives the same row" in " ".join(wrong.stderr.split())
