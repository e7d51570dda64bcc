"""Exports hold every fact of every row, whatever the names; files are whole or not there."""

import csv
import sqlite3
import sys

import pandas as pd
import pytest
from pyarrow import parquet
from tests.store.rows import HOSTILE, OUTCOMES, expected, make_row, parsed

from vireo.errors import MissingExtraError, SettingError, StoreError
from vireo.store import ResultStore, read_table
from vireo.store.export import COLUMNS, FILES, export
from vireo.store.folder import StudyFolder


def from_csv(path):
    with path.open(newline="", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    types = {"integer": int, "real": float, "text": str}
    read = [
        {
            c.name: types[c.kind](line[c.name]) if line[c.name] or not c.optional else None
            for c in COLUMNS
        }
        for line in lines
    ]
    assert all(list(line) == [column.name for column in COLUMNS] for line in lines)
    return read


def from_sqlite(path):
    connection = sqlite3.connect(path)
    connection.row_factory = sqlite3.Row
    lines = [dict(line) for line in connection.execute("SELECT * FROM vireo_results")]
    connection.close()
    return lines


READERS = {
    "csv": from_csv,
    "parquet": lambda path: parquet.read_table(path).to_pylist(),
    "sqlite": from_sqlite,
}


@pytest.mark.parametrize("kind", FILES)
def test_a_file_holds_every_fact_of_every_row(study, kind):
    assert export(study, kind) == f"{len(HOSTILE)} rows are in {study / f'results.{kind}'}."
    lines = [parsed(line) for line in READERS[kind](study / f"results.{kind}")]
    assert sorted(lines, key=lambda line: line["digest"]) == expected()


def test_pandas_reads_the_csv_as_the_pages_say(study, tmp_path):
    export(study, "csv", tmp_path / "rows.csv")
    read = pd.read_csv(tmp_path / "rows.csv", keep_default_na=False, na_values=[""])
    assert sorted(read["encoder"]) == sorted(HOSTILE)
    stored = read_table(StudyFolder(study).results)
    pd.testing.assert_series_equal(
        read["epochs"], stored["epochs"], check_exact=True, check_index=False
    )


def test_parquet_states_its_types_and_the_format(study):
    export(study, "parquet")
    schema = parquet.read_schema(study / "results.parquet")
    assert schema.metadata[b"vireo.format"] == b"3"
    assert [field.name for field in schema if field.nullable] == [
        *("images", "epochs", "steps", "encoder_flops")
    ]
    types = {"text": "string", "integer": "int64", "real": "double"}
    assert {f.name: str(f.type) for f in schema} == {c.name: types[c.kind] for c in COLUMNS}


@pytest.mark.parametrize("kind", FILES)
def test_a_failed_export_leaves_the_older_one(study, kind, monkeypatch):
    path = study / f"results.{kind}"
    export(study, kind)
    before = path.read_bytes()
    ResultStore(StudyFolder(study).results).write(make_row(seed=99), OUTCOMES)

    def fill_the_disk(rows, file, table):
        file.write(b"half")
        raise OSError(28, "No space left on device", str(path))

    with monkeypatch.context() as patch, pytest.raises(StoreError, match="No space left"):
        patch.setitem(FILES, kind, fill_the_disk)
        export(study, kind)
    assert path.read_bytes() == before
    assert {entry.name for entry in study.iterdir()} == {"results", path.name}
    export(study, kind)
    assert len(READERS[kind](path)) == len(HOSTILE) + 1


def test_what_cannot_be_exported_is_said(study, tmp_path):
    with pytest.raises(SettingError, match=r"Unknown export format 'cvs'\. Did you mean 'csv'"):
        export(study, "cvs")
    with pytest.raises(SettingError, match="is a folder"):
        export(study, "csv", tmp_path)
    with pytest.raises(SettingError, match="takes no file"):
        export(study, "sqlite://", tmp_path / "x")
    with pytest.raises(StoreError, match="holds no results"):
        export(tmp_path, "csv")


@pytest.mark.parametrize(("library", "to"), [("pyarrow", "parquet"), ("sqlalchemy", "sqlite")])
def test_a_missing_library_is_named(study, monkeypatch, library, to):
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(MissingExtraError, match=f"pip install {library}"):
        export(study, to)
    assert not (study / f"results.{to}").exists()
