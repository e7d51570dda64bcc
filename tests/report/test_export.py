"""Figures and tables for a paper: all of them, twice the same, inside the folder."""

import re

import pandas as pd
import pytest
from PIL import Image
from tests.report.conftest import FEW
from tests.report.folders import ENCODERS, TASKS, fill, fill_protocols
from tests.report.planted_folder import add_runs
from typer.testing import CliRunner

from vireo.analysis import Finding, read_study
from vireo.cli.main import app
from vireo.errors import SettingError, StoreError
from vireo.report import export, write_figures, write_report, write_tables
from vireo.report.questions import find_all

pytestmark = pytest.mark.usefixtures("few")


def test_every_figure_is_written_as_svg_and_pdf(study, tmp_path):
    add_runs(study, [ENCODERS[1]])
    written = [path.name for path in write_figures(study, tmp_path / "f")]
    found = read_study(study)
    findings = find_all(found.table, found.context)
    count = sum(len(f.figures) for f in findings.values() if isinstance(f, Finding))
    stems = {name.rsplit(".", 1)[0] for name in written}
    curves = {name for name in stems if name.startswith("curves-")}
    assert {"curves-loss", "curves-knn"} <= curves
    assert len(stems) == 1 + count + len(curves)
    assert all({f"{stem}.svg", f"{stem}.pdf"} <= set(written) for stem in stems)
    with Image.open(tmp_path / "f" / "overview.png") as picture:
        assert picture.width > 1000


def test_every_table_is_written_as_csv_and_latex(study, tmp_path):
    written = write_tables(study, tmp_path / "t")
    names = {path.name for path in written}
    assert {f"{name}.{kind}" for name in FEW for kind in ("csv", "tex")} <= names
    scores = pd.read_csv(tmp_path / "t" / "scores.csv")
    assert len(scores) == len(ENCODERS) * len(TASKS)
    text = (tmp_path / "t" / "scores.tex").read_text()
    assert text.count(r" \\") == len(scores) + 1
    again = [path.read_bytes() for path in write_tables(study, tmp_path / "t2")]
    assert [path.read_bytes() for path in written] == again


def test_of_several_protocols_one_is_reported(tmp_path):
    root = fill_protocols(tmp_path / "s", seeds=1)
    for write in (write_report, write_figures, write_tables):
        with pytest.raises(SettingError, match=r"got few-shot, tuned.* --protocol few-shot"):
            write(root, tmp_path / "none")
    page, figures, tables = tmp_path / "page.html", tmp_path / "f", tmp_path / "t"
    places = ("--out", page, "--figures", figures, "--tables", tables)
    words = ("report", root, "--protocol", "few-shot", *places)
    result = CliRunner().invoke(app, [*map(str, words)])
    assert result.exit_code == 0, result.stderr
    assert ">few-shot<" in page.read_text()
    assert (figures / "overview.svg").is_file()
    shown = pd.read_csv(tables / "scores.csv").set_index(["encoder", "task"])["score"]
    few = read_study(root, protocol="few-shot").table.set_index(["encoder", "task"])["score"]
    assert len(shown) == len(ENCODERS) * len(TASKS)
    pd.testing.assert_series_equal(shown, few, check_like=True)


@pytest.mark.parametrize("words", ["../../etc/passwd", "a/b", "x" * 300, "", ".", "a b", "a-b"])
def test_a_name_stays_inside_its_folder(words):
    name = export.file_name(words)
    assert re.fullmatch(r"[A-Za-z0-9+_-]{1,70}", name)
    assert name != export.file_name(words + " ")


def test_hostile_names_are_written_as_text(tmp_path):
    names = ("</svg><script>", "$x_{", r"\input{/etc/passwd}")
    root = fill(tmp_path / "s", encoders=names, tasks=("digits", "rooms-depth"), baseline="$x_{")
    write_figures(root, tmp_path / "f")
    write_tables(root, tmp_path / "t")
    assert b"<script>" not in (tmp_path / "f" / "overview.svg").read_bytes()
    assert r"\textbackslash{}input\{" in (tmp_path / "t" / "scores.tex").read_text()


def test_a_folder_without_results_says_what_to_do(tmp_path):
    for write in (write_figures, write_tables):
        with pytest.raises(StoreError, match="holds no results"):
            write(tmp_path, tmp_path / "out")
