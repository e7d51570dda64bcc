"""Feature blocks: what is read is what was written, or an error that names it."""

import dataclasses
import json
import os
import subprocess
import sys
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vireo.digest import digest
from vireo.errors import StoreError
from vireo.files import remove_leftovers
from vireo.records import BlockKey
from vireo.store import blocks
from vireo.store.blocks import ARRAY, MANIFEST, FeatureStore, take

KEY = BlockKey(
    weights="w",
    preprocessing="p",
    output="pooled",
    dataset="d",
    split="test",
    dtype="float32",
    compute="float32",
)
ROWS = np.random.default_rng(0).standard_normal((10, 2, 3)).astype(np.float32)


def store_rows(root, rows=ROWS, key=KEY, chunk=4):
    with FeatureStore(root).write(key, rows.shape, str(rows.dtype)) as writer:
        for start in range(0, len(rows), chunk):
            writer.append(rows[start : start + chunk])
    return root / digest(key)


@pytest.fixture
def small_shards(monkeypatch):
    """Three rows of ROWS a shard."""
    monkeypatch.setattr(blocks, "SHARD_BYTES", 3 * ROWS[0].nbytes)


def test_a_block_is_memory_mapped_and_equal(tmp_path):
    store_rows(tmp_path)
    found = FeatureStore(tmp_path).find(KEY)
    assert isinstance(found, np.memmap)
    assert not found.flags.writeable
    np.testing.assert_array_equal(found, ROWS)
    assert list(tmp_path.iterdir()) == [tmp_path / digest(KEY)]


@pytest.mark.parametrize("chunk", [1, 2, 3, 7, 10])
def test_shards_do_not_depend_on_how_rows_arrive(tmp_path, small_shards, chunk):
    folder = store_rows(tmp_path, chunk=chunk)
    manifest = json.loads((folder / MANIFEST).read_text())
    assert [shard["rows"] for shard in manifest["shards"]] == [3, 3, 3, 1]
    assert len({shard["xxh3"] for shard in manifest["shards"]}) == 4
    np.testing.assert_array_equal(FeatureStore(tmp_path).find(KEY), ROWS)


@pytest.mark.parametrize("dtype", ["float16", "float32", "int64", "uint8", "bool"])
def test_numpy_alone_reads_a_block(tmp_path, dtype):
    rows = (np.arange(12).reshape(4, 3) % 2).astype(dtype)
    folder = store_rows(tmp_path, rows)
    loaded = np.load(folder / ARRAY, allow_pickle=False)
    assert loaded.dtype == dtype
    np.testing.assert_array_equal(loaded, rows)


def test_rows_are_converted_to_the_type_of_the_block(tmp_path):
    store = FeatureStore(tmp_path)
    with store.write(KEY, ROWS.shape, "float16") as writer:
        writer.append(ROWS)
    np.testing.assert_array_equal(store.find(KEY), ROWS.astype(np.float16))


def test_each_field_of_a_key_is_another_block(tmp_path):
    store_rows(tmp_path)
    for field in dataclasses.fields(BlockKey):
        other = dataclasses.replace(KEY, **{field.name: "other"})
        assert FeatureStore(tmp_path).find(other) is None


def test_an_empty_root_has_no_blocks(tmp_path):
    assert FeatureStore(tmp_path / "nowhere").find(KEY) is None


@pytest.mark.parametrize("place", [0, 5, 9])
def test_a_flipped_bit_is_traced_to_its_rows(tmp_path, small_shards, place):
    folder = store_rows(tmp_path)
    content = bytearray((folder / ARRAY).read_bytes())
    start = len(content) - ROWS.nbytes
    content[start + place * ROWS[0].nbytes + 7] ^= 16
    (folder / ARRAY).write_bytes(content)
    first = place // 3 * 3
    with pytest.raises(StoreError, match=f"Rows {first} to {min(first + 2, 9)} of .*; delete"):
        FeatureStore(tmp_path).find(KEY)


@pytest.mark.parametrize("lost", [1, 24, 200])
def test_a_short_file_is_found(tmp_path, lost):
    folder = store_rows(tmp_path)
    content = (folder / ARRAY).read_bytes()
    (folder / ARRAY).write_bytes(content[:-lost])
    with pytest.raises(StoreError, match="cut short"):
        FeatureStore(tmp_path).find(KEY)


def test_a_missing_array_and_another_shape_are_found(tmp_path):
    folder = store_rows(tmp_path)
    np.save(folder / ARRAY, ROWS[:5])
    with pytest.raises(StoreError, match="another shape or type"):
        FeatureStore(tmp_path).find(KEY)
    (folder / ARRAY).unlink()
    with pytest.raises(StoreError, match="is missing"):
        FeatureStore(tmp_path).find(KEY)


@pytest.mark.parametrize(
    "shards",
    [None, [], [{}], [{"rows": 3, "xxh3": "0"}], [{"rows": 0, "xxh3": ""}], [{"rows": "x"}], 7],
)
def test_a_manifest_that_misses_rows_is_found(tmp_path, shards):
    folder = store_rows(tmp_path)
    manifest = json.loads((folder / MANIFEST).read_text()) | {"shards": shards}
    (folder / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(StoreError, match="does not account for every row"):
        FeatureStore(tmp_path).find(KEY)


def test_a_folder_of_somebody_else_is_refused(tmp_path):
    folder = tmp_path / digest(KEY)
    folder.mkdir()
    (folder / "holiday.jpg").write_bytes(b"x")
    with pytest.raises(StoreError, match="not a block of vireo's"):
        FeatureStore(tmp_path).find(KEY)
    (folder / MANIFEST).write_text('{"format": 99}')
    with pytest.raises(StoreError, match="not of format 1"):
        FeatureStore(tmp_path).find(KEY)
    assert (folder / "holiday.jpg").exists()


def test_a_block_under_another_name_is_refused(tmp_path):
    folder = store_rows(tmp_path)
    other = dataclasses.replace(KEY, split="train")
    folder.rename(tmp_path / digest(other))
    with pytest.raises(StoreError, match="another key than its name says"):
        FeatureStore(tmp_path).find(other)


def test_an_array_that_would_unpickle_is_refused(tmp_path):
    folder = store_rows(tmp_path)
    np.save(folder / ARRAY, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(StoreError, match="cut short"):
        FeatureStore(tmp_path).find(KEY)


def test_too_few_rows_leave_nothing(tmp_path):
    store = FeatureStore(tmp_path)
    with (
        pytest.raises(StoreError, match="Only 3 of 10 rows"),
        store.write(KEY, ROWS.shape, "float32") as writer,
    ):
        writer.append(ROWS[:3])
    assert list(tmp_path.iterdir()) == []


def test_an_error_while_writing_leaves_nothing(tmp_path):
    store = FeatureStore(tmp_path)
    with pytest.raises(KeyError), store.write(KEY, ROWS.shape, "float32") as writer:
        writer.append(ROWS)
        raise KeyError
    assert store.find(KEY) is None
    assert list(tmp_path.iterdir()) == []


def test_of_two_writers_the_first_to_finish_stays(tmp_path):
    store = FeatureStore(tmp_path)
    with store.write(KEY, ROWS.shape, "float32") as slow:
        store_rows(tmp_path)
        slow.append(ROWS + 1)
    np.testing.assert_array_equal(store.find(KEY), ROWS)


def test_what_a_killed_process_left_is_removed_after_a_day(tmp_path):
    left = {}
    for name, age in (("old", 2 * 24 * 3600), ("new", 60)):
        left[name] = tmp_path / f".{digest(KEY)}.{name}.tmp"
        left[name].mkdir()
        (left[name] / ARRAY).write_bytes(b"x")
        os.utime(left[name] / ARRAY, (time.time() - age,) * 2)
    store_rows(tmp_path)
    assert [name for name, folder in left.items() if folder.exists()] == ["new"]


def test_a_block_that_another_process_completes_meanwhile_is_no_stale_one(tmp_path, monkeypatch):
    """Its temporary folder vanishes while it is looked at."""
    (tmp_path / f".{digest(KEY)}.other.tmp").mkdir()
    gone = tmp_path / "gone"
    monkeypatch.setattr(type(tmp_path), "rglob", lambda *_: iter([gone]))
    remove_leftovers(tmp_path)
    assert (tmp_path / f".{digest(KEY)}.other.tmp").exists()


def test_bytes_are_compared_once_a_store(tmp_path):
    folder = store_rows(tmp_path)
    store = FeatureStore(tmp_path)
    assert store.find(KEY) is not None
    os.utime(folder / ARRAY)
    content = bytearray((folder / ARRAY).read_bytes())
    content[-1] ^= 1
    with (folder / ARRAY).open("r+b") as file:
        file.write(content)
    assert store.find(KEY) is not None
    with pytest.raises(StoreError):
        FeatureStore(tmp_path).find(KEY)


@given(st.lists(st.integers(0, 9), max_size=30))
def test_take_is_fancy_indexing(indices):
    chosen = np.array(indices, dtype=np.int64)
    np.testing.assert_array_equal(take(ROWS, chosen), ROWS[chosen])


def test_blocks_are_read_without_torch():
    code = "import vireo.store.blocks, sys; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
