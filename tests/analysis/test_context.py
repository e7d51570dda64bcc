"""What lies beside a table: facts of tasks, outcomes and rows by their digest."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from tests.report.folders import fill

from vireo.analysis.context import task_facts
from vireo.analysis.table import present, read_study
from vireo.errors import SettingError, StoreError
from vireo.files import read_json, write_json
from vireo.store.results import ResultStore


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return fill(tmp_path_factory.mktemp("context") / "study", seeds=1)


def test_facts_of_tasks_are_the_plans_where_it_has_them():
    planned = [
        {"name": "sun397", "similar_pretraining": ["mine"], "summary": "scenes"},
        {"name": "x"},
    ]
    facts = task_facts(["sun397", "kinetics-action", "x", "unheard-of"], planned)
    assert facts["sun397"].similar_pretraining == ("mine",)
    assert facts["kinetics-action"].similar_pretraining == ("kinetics",)
    assert facts["x"].similar_pretraining == ()
    assert "unheard-of" not in facts


def test_a_study_reads_its_outcomes_and_rows_by_digest(root):
    study = read_study(root)
    digest = study.table["digest"].iloc[-1]
    row = study.context.row(digest)
    assert (row.encoder, row.task) == tuple(study.table[["encoder", "task"]].iloc[-1])
    stored = ResultStore(root / "results").outcomes(row.key)
    found = study.context.outcomes(digest)
    assert found.keys() == stored.keys()
    assert all(np.array_equal(found[name], stored[name]) for name in stored)
    with pytest.raises(StoreError, match="has no row nothing"):
        study.context.row("nothing")


def test_without_similarities_there_are_none(root):
    assert read_study(root).context.similarities is None


def test_the_catalogues_facts_come_without_torch():
    code = (
        "import sys; from vireo.analysis.context import task_facts; "
        "assert task_facts(['digits', 'rooms-depth']).keys() == {'digits', 'rooms-depth'}; "
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_plan_of_another_kind_is_refused(tmp_path):
    root = fill(tmp_path / "s", encoders=("a",), tasks=("digits",), seeds=1, baseline="a")
    plan = read_json(root / "plan.json")
    write_json(root / "plan.json", plan | {"tasks": [{"title": "no name"}]})
    with pytest.raises(StoreError, match="not as a study leaves them"):
        read_study(root)


def test_what_is_missing_is_named_cell_by_cell_and_seed_by_seed(table):
    sorted_table, none = present(table.sample(frac=1, random_state=0))
    assert none == ()
    assert sorted_table["encoder"].is_monotonic_increasing
    cell = (table["encoder"] == "moco") & (table["task"] == "count")
    seed = (table["encoder"] == "swav") & (table["task"] == "depth") & (table["seed"] == 1)
    (note,) = present(table[~cell & ~seed])[1]
    assert note == "Not there, and so left out: moco x count and swav x depth (seed 1)."
    with pytest.raises(SettingError, match="twice there: moco x count"):
        present(pd.concat([table, table[cell].iloc[:1]]))
