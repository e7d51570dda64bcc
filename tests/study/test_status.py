"""What a folder tells of its study: states, speed, time left; by hand-computed numbers."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime

import pytest
from typer.testing import CliRunner

from vireo.cli.main import app
from vireo.devices import choose
from vireo.errors import StoreError
from vireo.files import lock, write_json
from vireo.store.folder import StudyFolder
from vireo.study import read_plan, run_study
from vireo.study.cells import Cell
from vireo.study.status import Progress, progress, read_last_plan, study_status

START = 1_700_000_000


@pytest.fixture
def out(write, fake, tmp_path):
    """The folder of a study in which one cell failed and one was not reached."""
    fake.fail, fake.stop = {"other x digits"}, {"moco x rooms-count"}
    with pytest.raises(KeyboardInterrupt):
        run_study(read_plan(write()), tmp_path / "out", compute=choose("cpu"))
    return tmp_path / "out"


def at(out, rows, **facts):
    """Change the cost and the time of some rows."""
    for row in rows:
        path = StudyFolder(out).results / f"{row}.json"
        value = json.loads(path.read_text())
        value["cost"]["seconds"] = facts["seconds"]
        ended = datetime.fromtimestamp(facts["ended"], UTC)
        path.write_text(json.dumps(value | {"time": ended.isoformat()}))


def timed(out):
    """Give every row 10 seconds (two seeds: 20 a cell), one cell every 25 seconds from START."""
    folder = StudyFolder(out)
    os.utime(folder.plan, (START, START))
    entries = [entry for entry in json.loads(folder.cells.read_text()) if entry["rows"]]
    for number, entry in enumerate(entries, start=1):
        at(out, entry["rows"], seconds=10.0, ended=START + 25 * number)
    (run,) = folder.runs.iterdir()
    write_json(run / "cost.json", {"seconds": 5.0})
    os.utime(run / "card.json", (START + 10, START + 10))
    return len(entries)


def test_states_are_those_of_the_last_run(write, out):
    found = study_status(read_plan(write()), out)
    states = {status.cell.name: status.state for status in found}
    assert states.pop("other x digits") == "failed"
    assert states.pop("moco x rooms-count") == "to do"
    assert set(states.values()) == {"done"}
    (failed,) = [status for status in found if status.state == "failed"]
    assert failed.error == "other x digits: other x digits diverged; lower the rate."


def test_a_cell_that_a_worker_holds_is_running(write, out):
    folder, cell = StudyFolder(out), Cell("moco", "rooms-count")
    with lock(folder.claims / f"{cell.file_name}.lock", "a cell"):
        found = {s.cell: s.state for s in study_status(read_plan(write()), out)}
        assert found[cell] == "running"
    found = {s.cell: s.state for s in study_status(read_plan(write()), out)}
    assert found[cell] == "to do"


def test_speed_and_time_left_follow_from_costs_and_times(write, out):
    """4 probes of 20 s and a run of 5 s in 100 s: speed .85, so 20 s of work take 23.5 s."""
    assert timed(out) == 4
    found = progress(read_plan(write()), out)
    assert found.finished == 5
    assert found.per_hour == pytest.approx(3600 * 5 / 100)
    assert found.seconds_left == pytest.approx(20 / 0.85)


@pytest.mark.parametrize(
    ("since", "worked", "left"),
    [(155, 85 + 15, 20 - 15), (50, 85 + 120, 0), (-900, 85 + 170, 0)],
)
def test_a_cell_that_runs_counts_as_far_as_it_is(write, out, since, worked, left):
    """It has 20 s to take; of a worker that began before this run, what it did since counts."""
    timed(out)
    held = StudyFolder(out).claims / f"{Cell('moco', 'rooms-count').file_name}.lock"
    with lock(held, "a cell"):
        os.utime(held, (START + since,) * 2)
        found = progress(read_plan(write()), out, now=START + 170.0)
    assert found.seconds_left == pytest.approx(left / (worked / 170))
    assert found.count("running") == 1


def test_what_a_run_trained_before_it_was_stopped_is_no_work_of_the_one_that_ended_it(write, out):
    """An hour of pre-training, of which this run did the last ten seconds."""
    timed(out)
    (run,) = StudyFolder(out).runs.iterdir()
    write_json(run / "cost.json", {"seconds": 3600.0})
    os.utime(run / "card.json", (START + 10, START + 10))
    found = progress(read_plan(write()), out)
    assert found.seconds_left == pytest.approx(20 / ((10 + 80) / 100))


def test_a_run_that_goes_on_tells_its_time_before_its_first_cell_is_done(write, out):
    timed(out)
    os.utime(StudyFolder(out).plan, (START + 1000, START + 1000))
    held = StudyFolder(out).claims / f"{Cell('moco', 'rooms-count').file_name}.lock"
    with lock(held, "a cell"):
        os.utime(held, (START + 1000,) * 2)
        found = progress(read_plan(write()), out, now=START + 1008.0)
    assert (found.finished, found.seconds_left) == (0, pytest.approx(12.0))


def test_a_row_of_another_kind_is_named(write, out):
    row = next(StudyFolder(out).results.glob("*.json"))
    row.write_text("[1]")
    with pytest.raises(StoreError, match=f"{row.name} is not a result row"):
        progress(read_plan(write()), out)


def test_what_an_earlier_run_computed_says_what_cells_take_and_not_how_fast_this_one_is(write, out):
    timed(out)
    os.utime(StudyFolder(out).plan, (START + 60, START + 60))  # a run began after two probes
    found = progress(read_plan(write()), out)
    assert found.finished == 2
    assert found.seconds_left == pytest.approx(20 / ((15 + 20) / 40))


def test_nothing_is_said_of_time_before_a_cell_of_each_kind_is_done(write, tmp_path):
    found = progress(read_plan(write()), tmp_path / "none")
    assert (found.finished, found.per_hour, found.seconds_left) == (0, 0.0, None)
    assert isinstance(found, Progress)


def test_a_folder_knows_its_own_plan(write, out, tmp_path):
    assert read_last_plan(out) == read_plan(write())
    with pytest.raises(StoreError, match="holds no study that was run"):
        read_last_plan(tmp_path)
    write_json(StudyFolder(out).plan, {"name": "old"})
    with pytest.raises(StoreError, match="is of another version"):
        read_last_plan(out)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["run", "FILE", "--out", ""], "the path is empty"),  # "$UNSET" in a shell
        (["run", "FILE", "--features", " "], "the path is empty"),
        (["status", "FOLDER", "--out", "elsewhere"], "leave --out away"),
    ],
)
def test_a_folder_that_would_be_another_than_meant_is_refused(write, out, words, said):
    places = {"FILE": str(write()), "FOLDER": str(out)}
    told = CliRunner().invoke(app, ["study", *(places.get(word, word) for word in words)])
    assert (told.exit_code, said in told.output) == (2, True), told.output


@pytest.mark.slow
def test_a_folder_tells_without_torch(out):
    program = (
        "import sys\nfrom typer.testing import CliRunner\nfrom vireo.cli.main import app\n"
        f"told = CliRunner().invoke(app, ['study', 'status', {str(out)!r}])\n"
        "print(told.output)\nassert told.exit_code == 0, told\n"
        "assert 'torch' not in sys.modules\n"
    )
    words = [sys.executable, "-c", program]
    told = subprocess.run(words, check=False, capture_output=True, text=True)
    assert told.returncode == 0, told.stderr
    assert "7 cells in" in told.stdout
    assert "5 done, 1 to do, 1 failed" in told.stdout
    assert "other x digits diverged; lower the rate." in told.stdout
