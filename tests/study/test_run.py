"""The grid: what is done is kept, what fails is told, what changed is computed again."""

import json
from dataclasses import replace

import pytest

import vireo.encoders
from vireo.analysis import read_study
from vireo.devices import choose
from vireo.errors import SettingError, StoreError
from vireo.files import lock
from vireo.study import read_plan, run_study, study_status
from vireo.study.cells import Cell, plan_cells
from vireo.study.run import Clock, class_names
from vireo.study.work import Outcome

ALL = [
    "pretrain moco-v2 1",
    "random x digits",
    "random x rooms-count",
    "other x digits",
    "other x rooms-count",
    "moco x digits",
    "moco x rooms-count",
]


def run(plan, out):
    return run_study(plan, out, compute=choose("cpu"))


def states(plan, out):
    return [status.state for status in study_status(plan, out)]


def test_everything_is_computed_once(write, fake, tmp_path, capfd):
    plan, out = read_plan(write()), tmp_path / "out"
    assert states(plan, out) == ["to do"] * 7
    table = run(plan, out)
    assert fake.computed == ALL
    assert len(table) == 3 * 2 * 2
    assert set(table["encoder"]) == {"random", "other", "moco"}
    assert "[7/7] moco x rooms-count" in capfd.readouterr().err
    assert states(plan, out) == ["done"] * 7
    again = run(plan, out)
    assert fake.computed == ALL
    assert sorted(again["digest"]) == sorted(table["digest"])
    assert "0 cells computed, 7 were there already, 0 failed" in capfd.readouterr().err


def test_some_cells_alone_and_then_the_others(write, fake, tmp_path, monkeypatch):
    plan, out, checked = read_plan(write()), tmp_path / "out", []
    table = run_study(plan, out, compute=choose("cpu"), only=["moco x digits", "other"])
    assert fake.computed == [ALL[0], *ALL[3:6]]
    assert len(table) == 3 * 2
    assert states(plan, out).count("to do") == 3
    assert len(run(plan, out)) == 3 * 2 * 2
    assert sorted(fake.computed) == sorted(ALL)
    monkeypatch.setattr("vireo.study.run.check_plan", lambda plan, folder: checked.append(plan))
    run_study(plan, out, compute=choose("cpu"), only=["random x digits"])
    ((spec,), (task,)) = checked[0].encoders, checked[0].tasks
    assert (spec.name, task.name, checked[0].pretrain) == ("random", "digits", {})
    with pytest.raises(SettingError, match=r"No cell of .* matches 'mooco'"):
        run_study(plan, tmp_path / "new", compute=choose("cpu"), only=["mooco"])
    assert not (tmp_path / "new").exists()


def test_a_failing_cell_stops_no_other(write, fake, tmp_path, capfd):
    plan, out = read_plan(write()), tmp_path / "out"
    fake.fail = {"other x digits"}
    table = run(plan, out)
    assert fake.computed == [name for name in ALL if name != "other x digits"]
    assert len(table) == 10
    error = capfd.readouterr().err
    assert "warning: other x digits: other x digits diverged; lower the rate." in error
    (record,) = (out / "errors").iterdir()
    text = record.read_text()
    assert text.startswith("other x digits: other x digits diverged")
    assert "Traceback" in text
    assert states(plan, out)[3] == "failed"
    study = read_study(out)
    assert study.missing == ("other x digits",)
    assert list(study.errors.values()) == [
        "other x digits: other x digits diverged; lower the rate."
    ]
    fake.fail, fake.computed = set(), []
    run(plan, out)
    assert fake.computed == ["other x digits"]
    assert list((out / "errors").glob("*")) == []
    assert read_study(out).missing == ()


def test_without_its_pretraining_an_encoder_is_not_probed(write, fake, tmp_path, capfd):
    plan, out = read_plan(write()), tmp_path / "out"
    fake.fail = {"pretrain moco-v2 1"}
    run(plan, out)
    assert fake.computed == ALL[1:5]
    assert capfd.readouterr().err.count("its pre-training did not finish") == 4  # twice a cell
    assert states(plan, out) == ["failed", "done", "done", "done", "done", "failed", "failed"]


def test_a_stopped_study_goes_on(write, fake, tmp_path, capfd):
    plan, out = read_plan(write()), tmp_path / "out"
    fake.stop = {"other x digits"}
    with pytest.raises(KeyboardInterrupt):
        run(plan, out)
    message = capfd.readouterr().err
    assert "Stopped with 3 of 7 cells done" in message
    assert "The same command goes on from there" in message
    fake.stop = set()
    run(plan, out)
    assert fake.computed == ALL
    assert len(read_study(out).table) == 12


def test_a_changed_plan_computes_only_what_changed(write, fake, tmp_path):
    out = tmp_path / "out"
    run(read_plan(write()), out)
    fake.computed = []
    longer = read_plan(write(("epochs = 1", "epochs = 2")))
    table = run(longer, out)
    assert fake.computed == ["pretrain moco-v2 2", "moco x digits", "moco x rooms-count"]
    assert len(table) == 12
    assert len(list((out / "results").glob("*.json"))) == 16  # the old rows are still there
    assert len(read_study(out).table) == 12
    fake.computed = []
    run(read_plan(write()), out)
    assert fake.computed == []


def test_a_renamed_encoder_is_not_computed_again(write, fake, tmp_path):
    out = tmp_path / "out"
    run(read_plan(write()), out)
    fake.computed = []
    run(read_plan(write(('name = "other"', 'name = "another"'))), out)
    assert fake.computed == []
    assert set(read_study(out).table["encoder"]) == {"random", "another", "moco"}


def test_two_names_of_the_same_weights_share_rows(write, fake, tmp_path):
    out = tmp_path / "out"
    run(read_plan(write(("seed = 7\n", ""))), out)
    assert "other x digits" not in fake.computed
    table = read_study(out).table
    assert len(table) == 12
    assert set(table["encoder"]) == {"random", "other", "moco"}


def test_the_table_is_in_the_plans_order(write, fake, tmp_path):
    out = tmp_path / "out"
    run(read_plan(write()), out)
    table = read_study(out).table
    assert list(dict.fromkeys(table["encoder"])) == ["random", "other", "moco"]
    assert set(table.loc[table["baseline"], "encoder"]) == {"random"}
    assert json.loads((out / "plan.json").read_text())["name"] == "small"


def test_two_processes_do_not_run_the_same_study(write, fake, tmp_path):
    out = tmp_path / "out"
    with lock(out / ".lock", "a test"), pytest.raises(StoreError, match="Another process"):
        run(read_plan(write()), out)
    assert fake.computed == []


def test_a_plan_that_cannot_run_computes_nothing(write, fake, tmp_path):
    plan = read_plan(write(('spec = "random:resnet20"\nseed = 7', 'spec = "random:resnet21"')))
    with pytest.raises(SettingError, match="encoder 'other'"):
        run(plan, tmp_path / "out")
    assert fake.computed == []
    assert not (tmp_path / "out" / "plan.json").exists()


def test_an_encoder_is_opened_once_for_all_its_tasks(write, fake, tmp_path, monkeypatch):
    monkeypatch.setattr("vireo.study.run.check_plan", lambda plan, folder: None)
    run(read_plan(write()), tmp_path / "out")
    assert fake.opened == ["random", "other", "moco"]


def test_an_engine_is_named_by_the_catalogue(write, fake, tmp_path):
    with pytest.raises(SettingError, match="Did you mean 'serial'"):
        run_study(read_plan(write()), tmp_path / "out", compute=choose("cpu"), engine="serail")


def test_the_clock_estimates_by_kind_and_ignores_what_was_there(write):
    cells = plan_cells(read_plan(write()))
    clock = Clock(cells)
    assert clock.line(Outcome(cells[0], computed=False)) == ""
    line = clock.line(Outcome(cells[1], ("a",), seconds=10.0), now=110.0)
    assert line == "[2/7] random x digits: 10 s, about 50 s left"
    line = clock.line(Outcome(cells[2], ("a",), seconds=20.0), now=130.0)
    assert line == "[3/7] random x rooms-count: 20 s, about 1 min 0 s left"
    assert "FAILED: no" in clock.line(Outcome(cells[3], error="no"))
    for cell in cells[4:6]:
        clock.line(Outcome(cell, ("a",), seconds=1.0))
    assert clock.line(Outcome(cells[6], ("a",), seconds=1.0)) == "[7/7] moco x rooms-count: 1.0 s"


def test_the_clock_sees_how_many_cells_run_at_a_time(write):
    """Two workers, 20 s a cell: the two that are left take 20 s."""
    cells = plan_cells(read_plan(write()))[1:]
    clock = Clock(cells)
    for cell, now in zip(cells[:4], (120.0, 120.0, 140.0, 140.0), strict=True):
        line = clock.line(Outcome(cell, ("a",), seconds=20.0), now=now)
    assert line == "[4/6] other x rooms-count: 20 s, about 20 s left"


def test_rows_of_a_cell_that_fails_now_are_not_taken_for_its_answer(
    write, fake, tmp_path, monkeypatch
):
    """They are of other weights: a file of the same name was replaced."""
    plan, out = read_plan(write()), tmp_path / "out"
    run(plan, out)
    monkeypatch.setattr(
        vireo.encoders, "open_encoder", lambda spec: fake.open(replace(spec, seed=spec.seed + 100))
    )
    fake.fail = {"other x digits"}
    table = run(plan, out)
    assert read_study(out).missing == ("other x digits",)
    assert len(table) == 10
    assert states(plan, out)[3] == "failed"


def test_a_cell_is_hashable_and_named():
    assert Cell("a").name == "pretrain a"
    assert Cell("a", "b").name == "a x b"


def test_class_names_are_kept_for_the_page(write, fake, tmp_path):
    run(read_plan(write()), tmp_path / "out")
    names = json.loads((tmp_path / "out" / "classes.json").read_text())
    assert names == {"digits": [str(digit) for digit in range(10)]}


def test_more_outputs_than_classes_are_told(write, capfd):
    plan = read_plan(write())
    wide = replace(plan, tasks=(replace(plan.tasks[0], outputs=12),))
    assert class_names(wide) == {}
    assert "task 'digits' has 12 outputs, its images 10 classes" in capfd.readouterr().err


@pytest.mark.parametrize("text", ['{"a": 1}', "[1]", "[{}]", "7"])
def test_an_index_of_another_kind_is_refused(write, fake, tmp_path, text):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "cells.json").write_text(text)
    with pytest.raises(StoreError, match=r"cells.json is not as a study leaves it; delete it"):
        run(read_plan(write()), tmp_path / "out")
