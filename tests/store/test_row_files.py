"""The format of a row's file: written with its number, and older ones brought up to date."""

import dataclasses
import json

import pytest
from tests.store.rows import OUTCOMES, make_row

from vireo.digest import digest
from vireo.errors import StoreError
from vireo.records import ResultRow
from vireo.store import ResultStore, read_table

# A row's file as vireo wrote it before rows had a format, character by character.
FORMAT_1 = """{
  "key": {
    "encoder": "e",
    "task": "t",
    "protocol": "p",
    "scoring": "standard",
    "seed": 0
  },
  "encoder": "resnet20",
  "method": "supervised",
  "pretraining_set": "cifar10",
  "images": 50000,
  "epochs": null,
  "balance": "balanced",
  "architecture": "resnet20",
  "parameters": 7,
  "task": "digits",
  "dataset": "digits",
  "family": "semantic-image",
  "metric": "top-1",
  "unit": "share",
  "protocol": "paper",
  "score": 0.30000000000000004,
  "raw": 0.30000000000000004,
  "low": 0.1,
  "high": 0.4,
  "n": 10,
  "floor": 0.1,
  "metrics": {
    "macro-accuracy": 0.3333333333333333
  },
  "hyperparameters": {
    "epochs": 3,
    "features": "cached",
    "learning_rate": 0.0003
  },
  "cost": {
    "seconds": 1.5,
    "images_per_second": 10.0,
    "flops": 3,
    "peak_memory_bytes": 4,
    "device": "cpu",
    "threads": 1
  },
  "versions": {
    "torch": "2"
  },
  "time": "2026-01-01T00:00:00+00:00"
}
"""


def path_of(root, row):
    return root / f"{digest(row.key)}.json"


def test_a_row_of_format_1_reads_with_what_it_did_not_know_unknown(tmp_path):
    row = make_row(steps=None, encoder_flops=None, recipe="")
    path_of(tmp_path, row).write_text(FORMAT_1)
    assert ResultStore(tmp_path).rows() == [row]
    ResultStore(tmp_path).write(make_row(seed=1), OUTCOMES)
    table = read_table(tmp_path).sort_values("seed")
    assert table["steps"].isna().tolist() == [True, False]
    assert table["encoder_flops"].tolist()[1] == 11
    assert str(table["encoder_flops"].dtype) == str(table["steps"].dtype) == "Int64"


def test_a_row_of_format_2_reads_with_an_empty_recipe(tmp_path):
    row = make_row(recipe="")
    text = FORMAT_1.replace("{", '{"format": 2, "steps": 78200, "encoder_flops": 11,', 1)
    path_of(tmp_path, row).write_text(text)
    assert ResultStore(tmp_path).rows() == [row]
    assert path_of(tmp_path, row).read_text() == text
    assert read_table(tmp_path)["recipe"].tolist() == [""]


def test_a_row_is_written_with_its_format_and_all_fields(tmp_path):
    ResultStore(tmp_path).write(make_row(), OUTCOMES)
    stored = json.loads(path_of(tmp_path, make_row()).read_text())
    assert stored.pop("format") == 3
    assert list(stored) == [field.name for field in dataclasses.fields(ResultRow)]
    assert stored["steps"] == 78200


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('"format": 4,', "format 4; this vireo reads formats up to 3. Update vireo"),
        ('"format": 0,', "format is 0"),
        ('"format": "2",', "format is '2'"),
        ('"format": true,', "format is True"),
        ('"format": 2,', r"lacks or adds \['encoder_flops', 'steps'\]"),
        ('"format": 3,', r"lacks or adds \['encoder_flops', 'recipe', 'steps'\]"),
    ],
)
def test_other_formats_are_named(tmp_path, text, said):
    path_of(tmp_path, make_row()).write_text(FORMAT_1.replace("{", "{" + text, 1))
    with pytest.raises(StoreError, match=said):
        ResultStore(tmp_path).rows()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"low": 0.1', '"low": 1e999', "low is inf"),
        ('"parameters": 7', '"parameters": 1' + "0" * 400, "parameters is 1000"),
        ('"encoder": "resnet20"', '"encoder": "\\ud800"', "encoder is"),
        ('"torch": "2"', '"torch": "\\udfff"', "versions is"),
    ],
)
def test_what_json_spells_and_nothing_holds_is_refused(tmp_path, old, new, said):
    path_of(tmp_path, make_row()).write_text(FORMAT_1.replace(old, new))
    with pytest.raises(StoreError, match=said):
        ResultStore(tmp_path).rows()


def test_an_integer_that_no_table_holds_is_named(tmp_path):
    ResultStore(tmp_path).write(make_row(images=2**63), OUTCOMES)
    with pytest.raises(StoreError, match=f"'images' of a row is {2**63}"):
        read_table(tmp_path)
