"""Result rows on disk: complete or absent, never rewritten, refused when they are not ours."""

import dataclasses
import json
import pickle
import subprocess
import sys
import zipfile

import numpy as np
import pandas as pd
import pytest
from tests.store.rows import GALLERY, OUTCOMES, make_row

from vireo.digest import digest
from vireo.errors import StoreError
from vireo.store import ResultStore, read_table


def test_a_row_reads_back_exactly_with_its_arrays(tmp_path):
    store, row = ResultStore(tmp_path / "results"), make_row()
    assert not store.has(row.key)
    assert store.write(row, OUTCOMES, GALLERY)
    assert store.has(row.key)
    assert store.rows() == [row]
    assert store.row(row.key) == row
    for name, array in OUTCOMES.items():
        stored = store.outcomes(row.key)[name]
        np.testing.assert_array_equal(stored, array)
        assert stored.dtype == array.dtype
    np.testing.assert_array_equal(store.gallery(row.key)["image"], GALLERY["image"])
    names = {path.name for path in (tmp_path / "results").iterdir()}
    name = digest(row.key)
    assert names == {f"{name}.json", f"{name}.outcomes.npz", f"{name}.gallery.npz"}


def test_a_row_is_never_rewritten(tmp_path):
    store = ResultStore(tmp_path)
    assert store.write(make_row(), OUTCOMES)
    assert not store.write(make_row(score=0.9), {"index": np.arange(9)})
    assert store.rows()[0].score == make_row().score
    assert len(store.outcomes(make_row().key)["index"]) == 4
    assert store.gallery(make_row().key) is None


def test_a_crash_before_the_last_file_leaves_no_row(tmp_path, monkeypatch):
    def fail(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr("vireo.store.results.write_row", fail)
    with pytest.raises(KeyboardInterrupt):
        ResultStore(tmp_path).write(make_row(), OUTCOMES, GALLERY)
    assert not ResultStore(tmp_path).has(make_row().key)
    assert ResultStore(tmp_path).rows() == []
    assert read_table(tmp_path).empty


def test_the_table_has_a_line_a_row_and_keeps_missing_facts_missing(tmp_path):
    store = ResultStore(tmp_path)
    for seed in range(3):
        images = None if seed == 1 else 2**53 + 1
        store.write(make_row(seed, images=images), OUTCOMES)
    table = read_table(tmp_path).sort_values("seed")
    assert list(table["seed"]) == [0, 1, 2]
    assert list(table["images"].isna()) == [False, True, False]
    assert table["images"].iloc[0] == 2**53 + 1  # exact: not through a float
    assert table["score"].iloc[0] == 0.1 + 0.2
    assert table["digest"].is_unique
    assert set(table["protocol"]) == {"paper"}
    assert set(table["protocol_digest"]) == {"p"}
    assert list(table.columns) == list(read_table_of_nothing(tmp_path).columns)


def read_table_of_nothing(tmp_path) -> pd.DataFrame:
    (tmp_path / "empty").mkdir()
    return read_table(tmp_path / "empty")


def test_a_missing_folder_is_said(tmp_path):
    with pytest.raises(StoreError, match="not a folder of results"):
        read_table(tmp_path / "nowhere")


def broken_texts():
    row = json.loads(json.dumps(dataclasses.asdict(make_row())))
    yield "{", "not valid JSON"
    yield "[" * 100_000, "not valid JSON"
    yield json.dumps(row | {"score": float("nan")}), "not valid JSON .*NaN"
    yield "[]", "row is no object"
    yield json.dumps({"a": 1}), "lacks or adds"
    yield json.dumps(row | {"score": "high"}), "score is 'high'"
    yield json.dumps(row | {"n": True}), "n is True"
    yield json.dumps(row | {"n": 1.5}), "n is 1.5"
    yield json.dumps(row | {"metrics": {"x": None}}), "metrics is"
    yield json.dumps(row | {"cost": {"seconds": 1}}), "cost lacks or adds"
    yield json.dumps(row | {"surprise": 1}), "surprise"
    yield json.dumps(row), "renamed or edited"


@pytest.mark.parametrize(("text", "said"), list(broken_texts()))
def test_broken_and_foreign_files_are_named(tmp_path, text, said):
    (tmp_path / "0123.json").write_text(text)
    with pytest.raises(StoreError, match=said) as caught:
        read_table(tmp_path)
    assert str(tmp_path / "0123.json") in str(caught.value)


@pytest.mark.parametrize("change", ["cut", "flip", "pickle", "gone", "locked", "huge"])
def test_broken_arrays_are_refused_and_never_executed(tmp_path, change):
    store, row = ResultStore(tmp_path), make_row()
    store.write(row, {"index": np.arange(400)})
    path = tmp_path / f"{digest(row.key)}.outcomes.npz"
    content = bytearray(path.read_bytes())
    if change == "cut":
        path.write_bytes(content[: len(content) // 2])
    elif change == "flip":
        content[len(content) // 2] ^= 0xFF
        path.write_bytes(content)
    elif change == "pickle":
        path.write_bytes(pickle.dumps({"index": [1]}))
    elif change == "locked":  # bit 0 of the flags: encrypted
        for start, place in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
            content[content.index(start) + place] |= 1
        path.write_bytes(content)
    elif change == "huge":
        with zipfile.ZipFile(path, "w") as archive, archive.open("index.npy", "w") as file:
            header = {"descr": "<f8", "fortran_order": False, "shape": (2**50,)}
            np.lib.format.write_array_header_1_0(file, header)
    else:
        path.unlink()
    with pytest.raises(StoreError, match=r"outcomes\.npz"):
        store.outcomes(row.key)


@pytest.mark.slow
def test_the_store_needs_no_torch():
    code = "import sys, vireo.store; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
