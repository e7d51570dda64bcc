"""Which cells patterns choose."""

import dataclasses

import pytest
from tests.study.test_dispatch import plan

from vireo.errors import SettingError
from vireo.study.cells import Cell, plan_cells
from vireo.study.selection import part, select


@pytest.fixture
def study():
    """Encoders e0 and e1, and "made" and "also", which are pre-trained first."""
    return plan(encoders=2)


def test_all_without_a_pattern(study):
    assert select(study, ()) == plan_cells(study)


def test_an_encoder_a_task_and_a_cell(study):
    tasks = [task.name for task in study.tasks]
    assert select(study, ["e1"]) == [c for c in plan_cells(study) if c.encoder == "e1"]
    chosen = select(study, [tasks[0]])
    assert {c.encoder for c in chosen if c.task} == {"e0", "e1", "made", "also"}
    assert {c.task for c in chosen} == {tasks[0], ""}
    assert select(study, [f"e? x {tasks[1]}"]) == [Cell("e0", tasks[1]), Cell("e1", tasks[1])]


def test_what_a_cell_needs_comes_with_it(study):
    task = study.tasks[0].name
    assert select(study, [f"made x {task}"]) == [Cell("made"), Cell("made", task)]
    probe = dataclasses.replace(study.probe, protocol="reference", reference="e0")
    chosen = select(dataclasses.replace(study, probe=probe), [f"made x {task}"])
    assert set(chosen) == {Cell("made"), Cell("made", task), Cell("e0", task)}


def test_a_part_names_what_its_cells_need_alone(study):
    task = study.tasks[1].name
    small = part(study, select(study, [f"made x {task}", f"e1 x {task}"]))
    assert [spec.name for spec in small.encoders] == ["e1"]
    assert [*small.pretrain] == ["made"]
    assert small.tasks == (study.tasks[1],)
    assert part(study, select(study, ())) == study


def test_a_pattern_that_matches_nothing_is_refused(study):
    with pytest.raises(SettingError, match="matches 'e9'"):
        select(study, ["e0", "e9"])
