"""The study as published, as a file: its encoders and tasks, and a plan without any of its data."""

import dataclasses
from collections import Counter
from pathlib import Path

import pytest

from vireo.devices import Compute
from vireo.encoders import open_encoder
from vireo.encoders.zoo import ZOO
from vireo.study import read_plan
from vireo.study.check import look
from vireo.study.estimate import estimate
from vireo.study.forecast import cell_lines, forecast, group_lines, sentences
from vireo.study.rates import Rates

COMPUTE = Compute(device="cpu", precision="float32", threads=1, reason="test")
STUDIES = Path(__file__).parents[2] / "studies"
EXTRAS = {
    "swav-log-200-draw2",
    "swav-log-200-draw3",
    "swav-200-seed1",
    "swav-200-seed2",
    "moco-v2-multicrop",
    "simsiam-200",
    "exemplar-v2",
    "supervised-resnet50",
    "random-resnet50",
}


@pytest.fixture(scope="module")
def plan():
    return read_plan(STUDIES / "paper.toml")


def test_it_has_630_cells_and_the_named_extras(plan):
    groups = {
        spec.name: ZOO[spec.spec.removeprefix("zoo:")].group
        for spec in plan.encoders
        if spec.spec.startswith("zoo:")
    }
    table = [name for name, group in groups.items() if group == "study"]
    assert len(table) * len(plan.tasks) == 630
    assert {spec.name for spec in plan.encoders} - set(table) == EXTRAS
    families = Counter(task.family for task in plan.tasks)
    assert families == {
        "semantic-image": 9,
        "structural-image": 4,
        "semantic-pixel": 3,
        "structural-pixel": 5,
    }


def test_its_encoders_are_in_the_order_of_the_studys_table(plan):
    methods = [ZOO[spec.name].method for spec in plan.encoders[:30]]
    assert methods == ["swav"] * 14 + ["moco-v2"] * 14 + ["moco-v1", "pirl"]
    epochs = [ZOO[spec.name].epochs for spec in plan.encoders[:14]]
    assert epochs == [800, 200, 100, 50, 200, 100, 200, 200, 100, 200, 200, 200, 200, 200]


def test_its_plan_is_told_offline_and_names_what_is_absent(plan, monkeypatch, tmp_path):
    monkeypatch.setenv("VIREO_OFFLINE", "1")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("torch.hub.get_dir", lambda: str(tmp_path))
    monkeypatch.delenv("VIREO_DATASETS", raising=False)
    monkeypatch.setattr(Rates, "_once", lambda *_: 1e-3)  # the machine is not measured
    checked = look(plan)
    assert checked.of("mistake", "fetch") == []
    assert len(checked.cards) == 39
    assert len({p.name for p in checked.problems if p.what == "encoder"}) == 38
    assert len({p.name for p in checked.problems if p.what == "task"}) == 21
    found = forecast(plan, checked, tmp_path / "out", COMPUTE)
    said = "\n".join(sentences(found))
    assert "39 encoders x 21 tasks = 819 cells: 819 to do." in said
    assert "630 of the study's encoders" in said
    assert "encoder 'swav-log-200-draw2': Nobody publishes this file" in said
    assert "task 'sun397': 'sun397' is not here" in said
    lines = cell_lines(found)
    assert len(lines) == 819
    sun = next(line for line in lines if line["name"] == "swav-800 x sun397")
    assert sun["images"] == 87_003 + 21_751
    assert sun["bytes"] == (87_003 + 21_751) * 2048 * 4
    assert len(sun["absent"]) == 2
    assert len(group_lines(found, "encoder")) == 39


def test_images_that_two_tasks_share_are_encoded_once(plan, monkeypatch):
    """ImageNet v2 is asked of heads that are trained on ImageNet itself."""
    monkeypatch.delenv("VIREO_DATASETS", raising=False)
    one = dataclasses.replace(plan, encoders=plan.encoders[-1:])
    cards = {spec.name: open_encoder(spec).card for spec in one.encoders}
    rates = Rates(COMPUTE, measures=False)
    found = {demand.cell.task: demand for demand in estimate(one, cards, rates)}
    assert found["imagenet"].images == 1_281_167 + 50_000
    assert found["imagenet-v2"].images == 10_000
    assert found["kinetics-action"].new_bytes == found["kinetics-action"].images * 2048 * 4
    assert found["cityscapes"].blocks == {}


def test_the_miniature_is_four_methods_on_eight_sets():
    plan = read_plan(STUDIES / "mini.toml")
    methods = Counter(run.method for run in plan.pretrain.values())
    assert methods == {"moco-v2": 10, "swav": 8, "simsiam": 8, "pirl": 8, "supervised": 1}
    assert {run.seed for run in plan.pretrain.values()} == {0, 1, 2}
    assert len(plan.tasks) == 21
    assert {run.epochs for run in plan.pretrain.values()} == {60}


@pytest.mark.parametrize("name", ["mini", "real-battery"])
def test_settings_do_not_differ_from_set_to_set(name):
    """Runs of a method differ in images and seed alone, or sets could not be compared."""
    runs = read_plan(STUDIES / f"{name}.toml").pretrain.values()
    for method in {run.method for run in runs}:
        alike = [run for run in runs if run.method == method]
        first = alike[0]
        same = [dataclasses.replace(run, data=first.data, seed=first.seed) for run in alike]
        assert all(run == first for run in same)
