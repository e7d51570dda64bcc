"""Similarities on disk: read as written, in either order, and nothing else is taken for one."""

import dataclasses
import json
import subprocess
import sys

import numpy as np
import pytest

from vireo.digest import digest
from vireo.errors import StoreError
from vireo.records import SimilarityKey, SimilarityRow
from vireo.store.folder import StudyFolder
from vireo.store.similarities import COLUMNS, SimilarityStore, read_similarities, turned

KEY = SimilarityKey(
    first="11",
    second="22",
    images="33",
    side=112,
    representation="flattened",
    estimator="biased",
    batch_size=0,
    compute="float32",
)
ROW = SimilarityRow(
    key=KEY,
    first="moco",
    second="<img src=x onerror=alert(1)>",
    first_method="moco-v2",
    second_method="swav",
    first_set="imagenet",
    second_set="places",
    first_blocks=("p", "q"),
    second_blocks=("r", "s", "t"),
    dataset="imagenet train",
    n=10_000,
    values=((0.1, 0.2, 0.3), (0.4, None, 0.6)),
    versions={"torch": "2"},
    time="2026-01-01T00:00:00+00:00",
)


@pytest.fixture
def store(tmp_path):
    return SimilarityStore(StudyFolder(tmp_path).similarity)


def path(store, row=ROW):
    return store.root / f"{digest(row.key)}.json"


def test_a_row_is_read_as_it_was_written(store):
    assert store.write(ROW)
    assert store.rows() == [ROW]
    assert not store.write(dataclasses.replace(ROW, n=5))
    assert store.named(KEY, ROW.first, ROW.second) == ROW


def test_the_other_order_is_the_same_row(store):
    store.write(ROW)
    other = turned(ROW)
    assert store.has(other.key)
    assert not store.write(other)
    found = store.named(other.key, ROW.second, ROW.first)
    assert found.values == ((0.1, 0.4), (0.2, None), (0.3, 0.6))
    assert found.first_blocks == ROW.second_blocks
    assert turned(found) == ROW


def test_the_table_has_a_line_a_pair_of_blocks(store, tmp_path):
    store.write(ROW)
    table = read_similarities(tmp_path)
    assert tuple(table.columns) == COLUMNS
    assert len(table) == 6
    cells = {(line.first_index, line.second_index): line for line in table.itertuples()}
    for i, values in enumerate(ROW.values):
        for j, value in enumerate(values):
            line = cells[i, j]
            assert (line.first_block, line.second_block) == ("pq"[i], "rst"[j])
            np.testing.assert_equal(line.value, np.nan if value is None else value)
    line = cells[0, 1]
    assert (line.first, line.second) == (ROW.first, ROW.second)
    assert (line.n, line.estimator) == (10_000, "biased")
    assert (line.first_method, line.second_set, line.images) == ("moco-v2", "places", "33")


def test_an_empty_folder_is_an_empty_table(tmp_path):
    table = read_similarities(tmp_path)
    assert tuple(table.columns) == COLUMNS
    assert table.empty


@pytest.mark.parametrize(
    "change",
    [
        {"format": 2},
        {"values": [[1.0]]},
        {"values": [[1, 2, 3], [1, 2]]},
        {"values": [[1, 2, 3], [1, 2, "x"]]},
        {"n": "many"},
        {"colour": "red"},
        {"key": {"first": "11"}},
        {"first_blocks": 3},
    ],
)
def test_what_is_no_row_is_refused(store, change):
    store.write(ROW)
    value = json.loads(path(store).read_text()) | change
    path(store).write_text(json.dumps(value))
    with pytest.raises(StoreError, match="is not a similarity of two encoders"):
        store.rows()


def test_an_edited_key_is_refused(store):
    store.write(ROW)
    value = json.loads(path(store).read_text())
    value["key"]["side"] = 224
    path(store).write_text(json.dumps(value))
    with pytest.raises(StoreError, match="renamed or edited"):
        store.rows()


def test_broken_json_is_refused(store):
    store.write(ROW)
    path(store).write_text("[1, 2")
    with pytest.raises(StoreError, match="not valid JSON"):
        store.rows()
    path(store).write_text("[1, 2]")
    with pytest.raises(StoreError, match="is not a similarity"):
        store.rows()


@pytest.mark.slow
def test_reading_does_not_import_torch():
    code = "import sys, vireo.store.similarities; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
