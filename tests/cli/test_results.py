"""`vireo results`: exports and merges from the command line, without torch."""

import csv
import subprocess
import sys

import pytest
from tests.report.folders import ENCODERS, fill
from tests.store.rows import OUTCOMES, make_row
from typer.testing import CliRunner

from vireo.analysis import read_study
from vireo.cli.main import app
from vireo.store import ResultStore
from vireo.store.folder import StudyFolder

RUNNER = CliRunner()


def call(*words):
    return RUNNER.invoke(app, list(map(str, words)))


def test_a_study_is_exported_and_the_place_is_said(tmp_path):
    fill(tmp_path / "study", ENCODERS[:2], ("digits",))
    result = call("results", "export", tmp_path / "study", "--to", "csv")
    assert result.exit_code == 0
    path = tmp_path / "study" / "results.csv"
    assert str(path) in " ".join(result.stderr.split())
    with path.open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert {line["encoder"] for line in lines} == set(ENCODERS[:2])
    assert len(lines) == 4


def test_merging_parts_of_a_study_gives_the_study(tmp_path):
    """Each of two machines lacks the other's cells; together they have the whole table."""
    cells = [(encoder, task) for encoder in ENCODERS[:2] for task in ("digits", "rooms-depth")]
    for name, lacking in (("one", cells[::2]), ("two", cells[1::2])):
        fill(tmp_path / name, ENCODERS[:2], ("digits", "rooms-depth"), 1, skip=lacking)
        assert len(read_study(tmp_path / name).missing) == 2
    result = call("results", "merge", tmp_path / "one", tmp_path / "two", "--out", tmp_path / "all")
    assert result.exit_code == 0
    assert "4 of 4 cells of its plan are done" in " ".join(result.stderr.split())
    assert read_study(tmp_path / "all").missing == ()
    assert len(read_study(tmp_path / "all").table) == 4


@pytest.mark.parametrize("flag", [(), ("--keep-first",)])
def test_contradictions_are_a_mistake_of_the_person(tmp_path, flag):
    for name, score in (("one", 0.25), ("two", 0.5)):
        store = ResultStore(StudyFolder(tmp_path / name).results)
        store.write(make_row(score=score), OUTCOMES)
    words = (tmp_path / "one", tmp_path / "two", "--out", tmp_path / "all")
    result = call("results", "merge", *words, *flag)
    assert result.exit_code == (0 if flag else 2)
    assert "resnet20 x digits, seed 0: score 0.25 against 0.5" in " ".join(result.stderr.split())
    assert (tmp_path / "all").exists() == bool(flag)


def test_a_wrong_format_is_said_in_a_sentence(tmp_path):
    result = call("results", "export", tmp_path, "--to", "excel")
    assert result.exit_code == 2
    assert "Unknown export format 'excel'" in result.stderr


@pytest.mark.parametrize("verb", [("export", "--to", "csv"), ("merge",)])
def test_an_empty_path_is_refused(tmp_path, monkeypatch, verb):
    fill(tmp_path / "study", ENCODERS[:1], ("digits",))
    monkeypatch.chdir(tmp_path)
    result = call("results", verb[0], tmp_path / "study", *verb[1:], "--out", "")
    assert result.exit_code == 2
    assert "the path is empty" in " ".join(result.stderr.split())
    assert [entry.name for entry in tmp_path.iterdir()] == ["study"]


@pytest.mark.slow
def test_exports_and_merges_need_no_torch(tmp_path):
    fill(tmp_path / "study", encoders=ENCODERS[:1], tasks=("digits",))
    code = """
import sys
from pathlib import Path
from vireo.store.export import export
from vireo.store.merge import merge
root = Path(sys.argv[1])
merge([root / "study"], root / "all")
for kind in ("csv", "parquet", "sqlite"):
    export(root / "all", kind)
assert "torch" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
    assert len(list((tmp_path / "all").glob("results.*"))) == 3
