"""`vireo analyse`: answers first, tables after, and nothing but the results needed."""

import json
import shutil
import subprocess
import sys

import pytest
from tests.report.folders import ENCODERS, TASKS, fill, fill_protocols
from typer.testing import CliRunner

from vireo.analysis import ANALYSES
from vireo.cli.main import app

RUNNER = CliRunner()
WITHOUT_TORCH = """
import sys
class NoTorch:
    def find_spec(self, name, path=None, target=None):
        if name == "torch":
            raise ImportError("torch was imported")
sys.meta_path.insert(0, NoTorch())
from vireo.cli.main import app
app(["analyse", *sys.argv[1:]])
"""


def call(*words):
    return RUNNER.invoke(app, ["analyse", *map(str, words)])


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return fill(tmp_path_factory.mktemp("analyse") / "study")


def test_answers_come_first_then_the_tables(study):
    result = call(study)
    assert result.exit_code == 0
    answers, _, tables = result.stdout.partition("\nScores [scores]")
    assert "Is ImageNet accuracy a good metric for progress" in answers
    assert "Not answered: supervised, gain" in answers
    assert "compares with a supervised encoder; got none. Add one" in " ".join(answers.split())
    for title in ("Normalised scores [normalised]", "Ranking [ranking]"):
        assert f"\n{title}\nencoder " in tables


def test_json_has_every_analysis_and_the_reason_where_one_refuses(study):
    findings = {line["name"]: line for line in json.loads(call(study, "--json").stdout)}
    assert list(findings) == list(ANALYSES)
    scores = findings["scores"]
    assert len(scores["rows"]) == len(ENCODERS) * len(TASKS)
    assert (scores["refused"], scores["notes"]) == ("", [])
    refused = findings["supervised"]
    assert refused["rows"] == []
    assert "compares with a supervised encoder" in refused["refused"]
    assert (
        refused["question"] == "Is supervised learning on ImageNet a good default encoder choice?"
    )


@pytest.mark.parametrize("option", ["--question", "--only"])
def test_one_question_by_name(study, option):
    (only,) = json.loads(call(study, option, "ranking", "--json").stdout)
    assert only["name"] == "ranking"
    assert {line["encoder"] for line in only["rows"]} == set(ENCODERS)


def test_one_that_cannot_be_answered_is_a_mistake_told_in_a_sentence(study):
    result = call(study, "--question", "supervised")
    assert result.exit_code == 2
    assert "This question compares with a supervised encoder; got none." in result.stderr
    unknown = call(study, "--question", "proxies")
    assert unknown.exit_code == 2
    assert "Did you mean 'proxy'?" in unknown.stderr


def test_of_several_protocols_one_is_chosen(tmp_path):
    root = fill_protocols(tmp_path / "s", seeds=1)
    refused = call(root, "--question", "scores")
    assert refused.exit_code == 2
    said = " ".join(refused.stderr.split())
    assert "got few-shot, tuned. Keep one, for example --protocol few-shot, or table" in said
    found = {}
    for name in ("tuned", "few-shot"):
        shown = call(root, "--question", "scores", "--protocol", name, "--json")
        (line,) = json.loads(shown.stdout)
        found[name] = {(row["encoder"], row["task"]): row["score"] for row in line["rows"]}
    assert len(found["tuned"]) == len(ENCODERS) * len(TASKS)
    few = {cell: score - 0.1 for cell, score in found["tuned"].items()}
    assert found["few-shot"] == pytest.approx(few)


def test_a_protocol_without_rows_is_a_mistake(study, tmp_path):
    root = fill_protocols(tmp_path / "s", tasks=("digits",), seeds=1)
    result = call(root, "--protocol", "knn")
    assert result.exit_code == 2
    assert "of the protocol 'knn'; choose from: few-shot, tuned." in result.stderr
    result = call(study, "--protocol", "few-shot")
    assert result.exit_code == 2
    said = " ".join(result.stderr.split())
    assert "No row of the folder's plan is of the protocol 'few-shot'; choose from: tuned." in said


def test_an_incomplete_study_is_analysed_and_names_the_cell(tmp_path):
    root = fill(tmp_path / "s", skip={("swav-digits", "digits")})
    result = call(root)
    assert result.exit_code == 0
    assert "missing cells: swav-digits x digits" in result.stderr
    assert "Note: Not there, and so left out: swav-digits x digits." in result.stdout
    wide = result.stdout[result.stdout.index("Scores so far") :]
    (line,) = [line for line in wide.splitlines()[:8] if line.startswith("swav-digits")]
    assert "missing" in line
    assert call(root, "--question", "scores").exit_code == 0


def test_a_long_table_is_cut_unless_it_is_asked_for(tmp_path):
    root = fill(tmp_path / "s", encoders=[f"e{n}" for n in range(11)], seeds=1, baseline="e0")
    assert "... 44 lines in all: vireo analyse FOLDER --question scores" in call(root).stdout
    whole = call(root, "--question", "scores").stdout
    assert whole.count("e10 ") == len(TASKS)


def test_a_folder_without_rows_says_what_to_do(tmp_path):
    result = call(tmp_path)
    assert result.exit_code == 2
    assert "holds no results" in result.stderr
    empty = fill(tmp_path / "s", encoders=("a",), skip={("a", task) for task in TASKS})
    (empty / "results").mkdir(exist_ok=True)
    nothing = call(empty)
    assert nothing.exit_code == 2
    assert "The table has no rows yet" in nothing.stderr


@pytest.mark.slow
def test_a_copied_folder_of_results_is_enough_and_torch_is_not_needed(study, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(study / "results", copy / "results", ignore=shutil.ignore_patterns("*.npz"))
    found = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, str(copy), "--json"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stderr
    lines = {line["name"]: line for line in json.loads(found.stdout)}
    assert len(lines["scores"]["rows"]) == len(ENCODERS) * len(TASKS)
    assert lines["correlation"]["verdict"]
