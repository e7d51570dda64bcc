"""What every analysis in the catalogue keeps to."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from vireo.analysis import ANALYSES, Finding, analyse
from vireo.analysis.table import with_facts
from vireo.errors import SettingError


def synthetic(encoders=5, tasks=("digits", "count", "depth"), seeds=2):
    generator = np.random.default_rng(7)
    rows = []
    for encoder in range(encoders):
        for task in tasks:
            share = task != "depth"
            for seed in range(seeds):
                score = generator.uniform(0.2, 0.9) - (0 if share else 1)
                rows.append(
                    {
                        "encoder": f"e{encoder}",
                        "method": "random" if encoder == 0 else "moco-v2",
                        "architecture": "resnet20",
                        "task": task,
                        "family": "semantic-image" if share else "structural-pixel",
                        "metric": "top-1" if share else "l1",
                        "unit": "share" if share else "m",
                        "protocol": "tuned",
                        "scoring": "standard",
                        "seed": seed,
                        "score": score,
                        "raw": abs(score),
                        "low": score - 0.05,
                        "high": score + 0.05,
                        "n": 100,
                        "floor": 0.1 if share else -1.5,
                    }
                )
    return with_facts(pd.DataFrame(rows), baseline="e0")


@pytest.fixture(params=sorted(ANALYSES))
def name(request):
    return request.param


def test_it_gives_a_finding_without_changing_its_input(name):
    table = synthetic()
    before = table.copy(deep=True)
    finding = analyse(name, table)
    assert isinstance(finding, Finding)
    assert finding.title
    assert len(finding.caption) > 40
    assert len(finding.table) > 0
    assert_frame_equal(table, before)


@settings(
    max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(order=st.permutations(range(30)))
def test_the_order_of_rows_changes_nothing(name, order):
    table = synthetic()
    finding, shuffled = analyse(name, table), analyse(name, table.iloc[list(order)])
    assert_frame_equal(finding.table, shuffled.table, check_exact=True)
    assert finding.caption == shuffled.caption


def test_a_missing_cell_is_named(name):
    table = synthetic()
    holed = table[~((table["encoder"] == "e2") & (table["task"] == "count"))]
    with pytest.raises(SettingError, match="missing: e2 x count"):
        analyse(name, holed)


def test_a_missing_seed_is_named(name):
    table = synthetic()
    cell = (table["encoder"] == "e2") & (table["task"] == "count") & (table["seed"] == 1)
    with pytest.raises(SettingError, match=r"missing: e2 x count \(seed 1\)"):
        analyse(name, table[~cell])


def test_a_row_that_is_there_twice_is_refused(name):
    table = synthetic()
    with pytest.raises(SettingError, match="twice there: e0 x digits"):
        analyse(name, pd.concat([table, table.iloc[:1]]))


def test_mixed_protocols_are_refused(name):
    table = synthetic()
    table.loc[0, "protocol"] = "paper"
    with pytest.raises(SettingError, match="got paper, tuned"):
        analyse(name, table)


def test_an_empty_or_foreign_table_is_refused(name):
    with pytest.raises(SettingError, match="no rows yet"):
        analyse(name, synthetic().iloc[:0])
    with pytest.raises(SettingError, match="needs the columns encoder, method"):
        analyse(name, pd.DataFrame({"a": [1]}))


def test_an_unknown_analysis_suggests_one():
    with pytest.raises(SettingError, match="Did you mean 'scores'"):
        analyse("score", synthetic())
