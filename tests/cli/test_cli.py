"""The command line: verbs parse, say what they can, and tell mistakes in a sentence."""

import dataclasses
import json
import subprocess
import sys

import pytest
from PIL import Image
from tests.report.folders import fill
from typer.main import get_command
from typer.testing import CliRunner

from vireo import __version__
from vireo.cli.main import app
from vireo.errors import SettingError
from vireo.methods import find_method

RUNNER = CliRunner()


def call(*words):
    return RUNNER.invoke(app, list(map(str, words)))


def verbs(command=None, prefix=()):
    """Every command of the tree, groups included, as words."""
    command = command or get_command(app)
    yield prefix
    for name, inner in getattr(command, "commands", {}).items():
        yield from verbs(inner, (*prefix, name))


@pytest.mark.parametrize("words", sorted(verbs()), ids=" ".join)
def test_every_help_has_an_example(words):
    result = call(*words, "--help")
    assert result.exit_code == 0
    assert "Example:" in result.stdout
    assert " ".join(("vireo", *words)) in " ".join(result.stdout.split())


def test_the_version_is_the_packages():
    assert call("--version").stdout.strip() == f"vireo {__version__}"


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("encoders", {"random:ARCHITECTURE", "resnet20", "timm:NAME"}),
        ("methods", {"moco-v2", "swav", "supervised"}),
        ("tasks", {"digits", "rooms-depth"}),
        ("datasets", {"digits", "rooms"}),
        ("sources", {"image-folder", "csv", "rooms"}),
        ("subsets", {"fraction", "linear", "log", "combination"}),
    ],
)
def test_lists_are_tables_and_json(kind, expected):
    lines = json.loads(call("list", kind, "--json").stdout)
    assert expected <= {line["name"] for line in lines}
    assert all(line["summary"] for line in lines)
    table = call("list", kind).stdout
    assert all(name in table for name in expected)


def test_a_mistake_is_a_sentence_and_exit_code_two(tmp_path):
    result = call("pretrain", "moco", "--data", "digits", "--out", tmp_path / "run")
    assert result.exit_code == 2
    assert "vireo: Unknown method 'moco'. Did you mean 'moco-v2'?" in result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize("where", ["file", "file/below", "a-folder"])
def test_a_path_that_cannot_be_written_is_a_sentence(study, tmp_path, where):
    (tmp_path / "file").write_text("in the way")
    (tmp_path / "a-folder" / "inside").mkdir(parents=True)
    out = tmp_path / where
    words = ("report", study) if where == "a-folder" else ("data", "rooms", "--images", 1)
    result = call(*words, "--out", out)
    assert result.exit_code == 2
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"vireo: {out}")
    assert line.endswith("give another path." if where != "a-folder" else "the name of a file.")
    assert (tmp_path / "file").read_text() == "in the way"


def test_threads_are_at_least_one_and_workers_none(tmp_path):
    result = call("demo", "--threads", 0, "--out", tmp_path / "d")
    assert result.exit_code == 2
    assert "greater than or equal to 1" in " ".join(result.stderr.split())
    result = call("study", "run", tmp_path / "s.toml", "--workers", -1)
    assert result.exit_code == 2
    assert "greater than or equal to 0" in " ".join(result.stderr.split())


def test_an_unknown_option_or_kind_is_refused_by_the_parser():
    assert call("list", "encodings").exit_code == 2
    assert call("demo", "--ouut", "x").exit_code == 2


def test_an_interrupt_says_how_to_go_on(monkeypatch, tmp_path):
    def stopped(*_args, **_options):
        raise KeyboardInterrupt

    monkeypatch.setattr("vireo.report.write_report", stopped)
    result = call("report", tmp_path)
    assert result.exit_code == 130
    assert "the same command goes on from there" in result.stderr


def test_settings_of_a_method_are_read_as_toml():
    from vireo.cli.pretrain import parse_options

    found = parse_options(["a=3", "b=0.5", "c=true", "d=[0.1, 1.0]", "e=word", 'f="7"', "g=a=b"])
    expected = {"a": 3, "b": 0.5, "c": True, "d": (0.1, 1.0), "e": "word", "f": "7", "g": "a=b"}
    assert found == expected
    assert [type(found[key]) for key in "abc"] == [int, float, bool]
    with pytest.raises(SettingError, match="takes key=value; got 'lonely'"):
        parse_options(["lonely"])


@pytest.mark.parametrize(
    ("text", "name", "spec"),
    [
        ("run:runs/a", "run:runs/a", "run:runs/a"),
        ("mine=file:/x=y.pth", "mine", "file:/x=y.pth"),
        ("file:/a=run:b", "file:/a=run:b", "file:/a=run:b"),
    ],
)
def test_an_encoder_may_be_given_a_name(text, name, spec):
    from vireo.cli.probe import encoder_spec

    assert (encoder_spec(text).name, encoder_spec(text).spec) == (name, spec)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return fill(tmp_path_factory.mktemp("cli") / "study")


def test_report_writes_the_page_and_figures(study, tmp_path):
    page = tmp_path / "page.html"
    result = call("report", study, "--out", page, "--figures", tmp_path / "figures")
    assert result.exit_code == 0
    assert page.stat().st_size > 1e6
    assert (tmp_path / "figures" / "overview.svg").is_file()
    assert str(page) in result.stderr


def test_a_folder_that_holds_nothing_says_what_to_do(tmp_path):
    result = call("report", tmp_path)
    assert result.exit_code == 2
    assert "holds no results; run a study or a probe" in result.stderr


def test_rooms_are_made_and_can_be_checked(tmp_path):
    out = tmp_path / "rooms"
    result = call("data", "rooms", "--out", out, "--images", 5, "--size", 16)
    assert result.exit_code == 0, result.stderr
    assert (out / "contact-sheet.png").is_file()
    lines = json.loads(call("data", "check", f"rooms:{out}", "--json").stdout)
    assert {line["name"]: line["examples"] for line in lines} == {"train": 5, "val": 1, "test": 1}
    assert lines[0]["size"] == "16 x 16"
    assert "count" in lines[0]["targets"]


def test_a_probe_scores_and_the_second_time_computes_nothing(tmp_path):
    words = ("probe", "mine=random:resnet20", "--task", "digits", "--out", tmp_path / "p")
    first = call(*words, "--protocol", "paper", "--device", "cpu", "--json")
    assert first.exit_code == 0, first.stderr
    (line,) = json.loads(first.stdout)
    assert line["name"] == "mine x digits"
    assert line["low"] < line["score"] < line["high"]
    second = call(*words, "--protocol", "paper", "--device", "cpu", "--json")
    assert "0 cells computed, 1 were there already" in second.stderr
    assert second.stdout == first.stdout


def test_a_study_is_planned_run_and_told(tmp_path, monkeypatch):
    file = tmp_path / "s.toml"
    file.write_text(
        'name = "s"\nsummary = ""\ntasks = ["digits"]\n[probe]\nprotocol = "paper"\n'
        '[[encoders]]\nname = "a"\nspec = "random:resnet20"\n'
    )
    monkeypatch.chdir(tmp_path)
    planned = json.loads(call("study", "plan", file, "--json").stdout)
    assert [(line["name"], line["state"]) for line in planned] == [("a x digits", "to do")]
    assert planned[0]["bytes"] == 1797 * 64 * 4
    assert planned[0]["seconds"] > 0
    ran = call("study", "run", file, "--device", "cpu")
    assert ran.exit_code == 0, ran.stderr
    assert "[1/1] a x digits" in ran.stderr
    assert "digits" in ran.stdout
    for place in (file, "runs/s"):
        told = call("study", "status", place, "--watch")
        assert "1 cells in runs/s: 1 done." in told.stderr
        assert "(1 computed)" in told.stderr
    again = call("study", "plan", file)
    assert "Nothing is left to do." in again.stderr


def test_a_failing_cell_is_exit_code_one(tmp_path, monkeypatch):
    import importlib

    from vireo.errors import TrainingError

    def diverges(*_args, **_kwargs):
        raise TrainingError("the head diverged.")

    monkeypatch.setattr(importlib.import_module("vireo.probe"), "probe", diverges)
    result = call("probe", "random:resnet20", "--task", "digits", "--out", tmp_path / "p")
    assert result.exit_code == 1
    assert "the head diverged." in result.stderr
    assert "Traceback" not in result.stderr


def test_the_demo_plan_reads_and_is_the_one_in_studies():
    from importlib import resources
    from pathlib import Path

    from vireo.study import read_plan

    packaged = Path(str(resources.files("vireo.study") / "demo.toml"))
    plan = read_plan(packaged)
    assert plan.name == "demo"
    assert plan.baseline == "random"
    shown = Path(__file__).parents[2] / "studies" / "demo.toml"
    assert shown.read_text() == packaged.read_text()


@pytest.mark.slow
def test_a_broken_image_ends_the_command_and_its_workers(tmp_path):
    for number in range(16):
        shade = Image.new("RGB", (32, 32), (number, 9, 9))
        shade.save(tmp_path / f"{number:02}.png")
    (tmp_path / "zz.png").write_bytes(b"no image")
    words = f"pretrain moco-v2 --data folder:{tmp_path} --architecture resnet20 --image-size 32"
    options = "--epochs 9 --batch-size 8 --set queue_size=8 --set bn_splits=1 --device cpu --out"
    result = subprocess.run(
        [
            *(sys.executable, "-c", "from vireo.cli.main import app; app()"),
            *(*words.split(), *options.split(), str(tmp_path / "run")),
        ],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert result.returncode == 2
    assert "zz.png is not an image" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.slow
def test_the_help_is_fast_and_needs_no_torch():
    code = (
        "import sys, vireo.cli.main;"
        "slow = {'torch', 'numpy', 'pandas', 'plotly', 'pydantic'} & set(sys.modules);"
        "assert not slow, slow"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    code = "import sys, vireo.report, vireo.analysis; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_papers_optimiser_can_be_changed_in_part(monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr(
        "vireo.pretrain.pretrain", lambda settings, out, **_: asked.append(settings)
    )
    base = ["pretrain", "swav", "--data", "digits", "--batch-size", "256", "--out", tmp_path / "r"]
    call(*base)
    call(*base, "--optimizer", "name=sgd", "--optimizer", "learning_rate=0.5")
    published = find_method("swav").published_optimizer(256)
    assert asked[0].optimizer is None
    assert asked[1].optimizer == dataclasses.replace(published, name="sgd", learning_rate=0.5)
    wrong = call(*base, "--optimizer", "learning_rat=1", "--optimizer", "name=sdg")
    assert wrong.exit_code == 2
    assert "The optimiser has 2 mistakes" in wrong.stderr
    assert "Did you mean 'learning_rate'" in wrong.stderr
