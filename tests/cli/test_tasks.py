"""`vireo list tasks`, and task files as `vireo probe` is given them."""

import json
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from vireo.cli.main import app
from vireo.tasks import TASKS

RUNNER = CliRunner()
PUBLISHED = {
    *("imagenet", "imagenet-v2", "pets", "caltech-101", "cifar-100", "sun397", "eurosat", "dtd"),
    *("kinetics-action", "clevr-count", "thor-num-steps", "thor-egomotion", "nuscenes-egomotion"),
    *("cityscapes", "pets-segmentation", "egohands", "nyu-depth", "thor-depth"),
    *("taskonomy-depth", "nyu-walkable", "kitti-flow"),
}


def call(*words):
    return RUNNER.invoke(app, list(map(str, words)))


@pytest.fixture
def lines(monkeypatch, tmp_path):
    """The tasks as JSON, by name, where only Pets lies in the folder of all datasets."""
    monkeypatch.setenv("VIREO_DATASETS", str(tmp_path))
    monkeypatch.delenv("VIREO_KITTI_FLOW", raising=False)
    listed = json.loads(call("list", "tasks", "--json").stdout)
    return {line["name"]: line for line in listed}


def test_the_21_tasks_of_the_study_and_ten_of_rooms_are_listed(lines):
    assert len(PUBLISHED) == 21
    assert set(lines) == set(TASKS) >= PUBLISHED
    assert sum(name.startswith("rooms-") for name in lines) >= 10
    assert len({line["family"] for line in lines.values()}) == 4


def test_a_task_has_family_head_metric_size_and_floor(lines):
    flow = lines["kitti-flow"]
    facts = ("family", "head", "metric", "size", "floor", "frames")
    assert [flow[fact] for fact in facts] == [
        "structural-pixel",
        "siamese-unet",
        "fl",
        {"train": 180, "test": 20},
        "measured",
        2,
    ]


def test_absent_data_is_told_with_the_variable_that_would_name_it(lines, monkeypatch, tmp_path):
    assert lines["kitti-flow"]["data"] == "absent: VIREO_KITTI_FLOW"
    assert "cvlibs.net" in lines["kitti-flow"]["missing"]
    assert lines["digits"]["data"] == lines["rooms-depth"]["data"] == "here"
    assert lines["digits"]["missing"] == ""
    for folder in ("image_2", "flow_occ"):
        for number in ("10", "11"):
            path = tmp_path / "k" / "training" / folder / f"000000_{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    monkeypatch.setenv("VIREO_KITTI_FLOW", str(tmp_path / "k"))
    listed = json.loads(call("list", "tasks", "--json").stdout)
    assert next(line for line in listed if line["name"] == "kitti-flow")["data"] == "here"


def test_the_table_shows_the_columns_a_person_compares(lines):
    table = call("list", "tasks").stdout
    head, *rows = table.splitlines()
    assert head.split() == ["name", "family", "head", "metric", "size", "floor", "data"]
    assert len(rows) == len(lines)


def test_listing_needs_no_torch():
    code = (
        "import sys; from vireo.cli.listing import _tasks; assert len(_tasks()) > 20;"
        "assert not {'torch', 'pydantic', 'pandas'} & set(sys.modules), 'slow'"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_wrong_file_is_refused_before_any_work(tmp_path):
    (tmp_path / "task.toml").write_text('name = "a"\nhead = "liner"\nepochs = 1.5\n')
    out = tmp_path / "out"
    result = call("probe", "random:resnet20", "--task", tmp_path / "task.toml", "--out", out)
    assert result.exit_code == 2
    assert "line 2: head: Unknown head 'liner'. Did you mean 'linear'?" in result.stderr
    assert "line 3: epochs should be a valid integer" in result.stderr
    assert "Traceback" not in result.stderr
    assert not out.exists()
