"""What every analysis in the catalogue keeps to."""

import functools
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal
from tests.analysis.planted import planted, without

from vireo.analysis import ANALYSES, QUESTIONS, Context, Finding, analyse
from vireo.analysis.context import task_facts
from vireo.errors import SettingError

ROOT = Path(__file__).parents[2]
ENCODERS = (
    *("supervised-resnet50", "random-resnet50", "exemplar-v2", "simsiam-200", "moco-v2-multicrop"),
    *("swav-200", "swav-200-seed1", "swav-places-200", "moco-v2-200", "moco-v2-places-200"),
    *(f"{method}-{part}-200" for method in ("swav", "moco-v2") for part in ("half", "linear")),
    *(f"{method}-{part}-200" for method in ("swav", "moco-v2") for part in ("quarter", "log")),
)
FOLDER = {"differences": "outcomes", "label-efficiency": "the rows", "similarity": "similarity"}
"""Analyses of what lies beside the table, and the word by which they ask for it."""


@functools.cache
def table():
    found = planted(names=ENCODERS, tasks=9)
    return found[found["task"].isin(["imagenet", "clevr-count", "egohands", "nyu-depth", "sun397"])]


CONTEXT = Context(tasks=task_facts(["sun397"]))


@functools.cache
def finding(name):
    return analyse(name, table().copy(), CONTEXT)


@pytest.fixture(params=sorted(set(ANALYSES) - set(FOLDER)))
def name(request):
    return request.param


def test_it_gives_a_finding_without_changing_its_input(name):
    given = table().copy(deep=True)
    found = analyse(name, given, CONTEXT)
    assert isinstance(found, Finding)
    assert found.title
    assert len(found.caption) > 40
    assert len(found.table) > 0
    assert_frame_equal(given, table())


def test_its_verdict_is_one_sentence(name):
    verdict = finding(name).verdict
    assert verdict == "" or (verdict.endswith(".") and ". " not in verdict)
    assert "nan" not in verdict.replace("nance", "")
    assert verdict or name not in QUESTIONS


def test_the_order_of_rows_changes_nothing(name):
    places = np.random.default_rng(0).permutation(len(table()))
    shuffled = analyse(name, table().iloc[places], CONTEXT)
    assert_frame_equal(finding(name).table, shuffled.table, check_exact=True)
    assert finding(name).caption == shuffled.caption
    assert finding(name).verdict == shuffled.verdict
    assert finding(name).notes == shuffled.notes
    for one, other in zip(finding(name).figures, shuffled.figures, strict=True):
        assert_frame_equal(one.data, other.data, check_exact=True)


def test_a_missing_cell_is_named(name):
    holed = without(table(), ("moco-v2-half-200", "clevr-count"))
    try:
        said = " ".join(analyse(name, holed, CONTEXT).notes)
    except SettingError as error:
        said = str(error)
    assert "moco-v2-half-200" in said
    assert "clevr-count" in said


def test_a_row_that_is_there_twice_is_refused(name):
    twice = pd.concat([table(), table()[table()["encoder"] == "swav-200"].iloc[:1]])
    with pytest.raises(SettingError, match="twice there: swav-200 x imagenet"):
        analyse(name, twice, CONTEXT)


def test_mixed_protocols_are_refused(name):
    mixed = table().copy()
    mixed.loc[mixed.index[0], "protocol"] = "paper"
    with pytest.raises(SettingError, match="got paper, tuned"):
        analyse(name, mixed, CONTEXT)


def test_an_empty_or_foreign_table_is_refused(name):
    with pytest.raises(SettingError, match="no rows yet"):
        analyse(name, table().iloc[:0], CONTEXT)
    with pytest.raises(SettingError, match="needs the columns encoder, method"):
        analyse(name, pd.DataFrame({"a": [1]}), CONTEXT)


@pytest.mark.parametrize("name", sorted(set(ANALYSES) & set(FOLDER)))
def test_what_lies_beside_the_table_is_asked_for(name):
    with pytest.raises(SettingError, match=FOLDER[name]):
        analyse(name, table(), CONTEXT)


def test_every_question_has_an_analysis():
    assert set(QUESTIONS) <= set(ANALYSES)


@pytest.mark.parametrize("name", sorted(ANALYSES))
def test_the_page_on_analyses_has_it(name):
    assert f"| `{name}` |" in (ROOT / "docs" / "analysis.md").read_text(encoding="utf-8")


def test_an_unknown_analysis_suggests_one():
    with pytest.raises(SettingError, match="Did you mean 'scores'"):
        analyse("score", table())
