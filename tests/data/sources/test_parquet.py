"""Images in parquet files as the Hugging Face Hub writes them."""

import json
import re
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from vireo.data.sources.parquet import ParquetSource
from vireo.errors import DataError, MissingExtraError


@pytest.fixture
def save(tmp_path, pixels, encode):
    """Write a file of `count` images, two rows a group: save(name, count, **columns)."""

    def write(name, count, *, start=0, hub=None, **columns):
        images = [{"bytes": encode(pixels(start + n)), "path": None} for n in range(count)]
        table = pa.table({"img": images, **columns})
        if hub:
            features = {"info": {"features": hub}}
            table = table.replace_schema_metadata({"huggingface": json.dumps(features)})
        pq.write_table(table, tmp_path / name, row_group_size=2)
        return tmp_path

    return write


HUB = {"img": {"_type": "Image"}, "fine": {"names": ["ant", "bee", "cat"], "_type": "ClassLabel"}}


@pytest.mark.parametrize("memory_gib", [4.0, 0.0])
def test_rows_of_several_files_and_groups(save, pixels, memory_gib):
    save("train-0.parquet", 5, label=[0, 1, 2, 0, 1])
    root = save("train-1.parquet", 12, start=5, label=[1] * 12)
    source = ParquetSource(root=root, path="train-*.parquet", memory_gib=memory_gib)
    assert len(source) == 17
    for index in (16, 0, 4, 5, 9, 15, 1, 6, 16):
        assert np.array_equal(source.frames(index)[0], pixels(index))
    assert [source.target(index, "class") for index in range(6)] == [0, 1, 2, 0, 1, 1]
    assert source.label(6) == "train-1.parquet:1"


def test_few_groups_are_held_where_all_do_not_fit(save):
    root = save("a.parquet", 20)
    source = ParquetSource(root=root, path="a.parquet", memory_gib=0.0)
    for index in range(20):
        source.frames(index)
    assert len(source._held) == 4


def test_columns_and_names_come_from_the_hub(save):
    root = save("a.parquet", 3, hub=HUB, fine=[2, 0, 1], coarse=["x", "y", "z"])
    source = ParquetSource(root=root, path="a.parquet")
    assert source.class_names == ("ant", "bee", "cat")
    assert source.target(0, "class") == 2
    other = ParquetSource(root=root, path="a.parquet", label_column="coarse")
    assert other.class_names == ("x", "y", "z")
    assert other.digest != source.digest


def test_hostile_metadata_is_no_metadata(save):
    for hub in ([1], {"img": 3}, {"fine": {"names": 7, "_type": "ClassLabel"}}):
        root = save("a.parquet", 3, hub=hub, fine=[0, 1, 2])
        assert ParquetSource(root=root, path="a.parquet").class_names == ()


def test_a_binary_column_without_labels(tmp_path, pixels, encode):
    pq.write_table(pa.table({"jpg": [encode(pixels(1))]}), tmp_path / "a.parquet")
    source = ParquetSource(path=f"{tmp_path}/*.parquet")
    assert source.targets == ()
    assert np.array_equal(source.frames(0)[0], pixels(1))


def test_withheld_labels_are_no_target(save):
    root = save("test.parquet", 2, label=[-1, -1])
    assert ParquetSource(root=root, path="test.parquet").targets == ()


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0, None, 1], r"a\.parquet, row 1, column 'label' is None"),
        ([0, -1, 1], r"a\.parquet, row 1, column 'label' is -1"),
        ([0.5, 1.0, 2.0], r"row 0, column 'label' is 0\.5"),
        (["cat", "", "dog"], "row 1, column 'label' is blank"),
    ],
)
def test_labels_that_are_none_are_named_by_row(save, labels, message):
    root = save("a.parquet", 3, label=labels)
    with pytest.raises(DataError, match=message):
        ParquetSource(root=root, path="a.parquet")


def test_broken_images_are_named_by_file_and_row(tmp_path, encode, pixels):
    huge = b"P6 60000 60000 255\n" + bytes(9)
    contents = [encode(pixels(0)), b"<html>", None, huge]
    table = pa.table({"image": [{"bytes": content, "path": "x"} for content in contents]})
    pq.write_table(table, tmp_path / "a.parquet")
    source = ParquetSource(root=tmp_path, path="a.parquet")
    for row, message in [(1, "is not an image"), (2, "holds no image bytes"), (3, "too large")]:
        with pytest.raises(DataError, match=rf"a\.parquet, row {row}.*{message}"):
            source.frames(row)


def test_files_that_do_not_fit_are_named(save, tmp_path):
    with pytest.raises(DataError, match=r"No file matches .*none\*\.parquet"):
        ParquetSource(root=tmp_path, path="none*.parquet")
    save("a.parquet", 2, label=[0, 1])
    save("b.parquet", 2, labels=[0, 1])
    with pytest.raises(DataError, match=r"b\.parquet has other columns"):
        ParquetSource(root=tmp_path, path="*.parquet")
    with pytest.raises(DataError, match=r"Unknown column for 'image_column' 'image'.*Known: img"):
        ParquetSource(root=tmp_path, path="a.parquet", image_column="image")
    with pytest.raises(DataError, match=r"Unknown column for 'label_column' 'lable'.*'label'"):
        ParquetSource(root=tmp_path, path="a.parquet", label_column="lable")
    pq.write_table(pa.table({"label": [1]}), tmp_path / "c.parquet")
    with pytest.raises(DataError, match="Set 'image_column': the columns are label, of which none"):
        ParquetSource(root=tmp_path, path="c.parquet")
    (tmp_path / "c.parquet").write_bytes((tmp_path / "a.parquet").read_bytes()[:-20])
    with pytest.raises(DataError, match=r"c\.parquet is not a whole parquet file"):
        ParquetSource(root=tmp_path, path="c.parquet")


def test_damage_inside_a_file_is_named(save):
    root = save("a.parquet", 4)
    content = bytearray((root / "a.parquet").read_bytes())
    content[4:200] = b"\xff" * 196
    (root / "a.parquet").write_bytes(content)
    source = ParquetSource(root=root, path="a.parquet")
    with pytest.raises(DataError, match=re.escape(f"{root}/a.parquet")):
        source.frames(0)


def test_a_missing_library_is_named(save, monkeypatch):
    root = save("a.parquet", 2)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match="pip install pyarrow"):
        ParquetSource(root=root, path="a.parquet")


@pytest.mark.parametrize("memory_gib", [4.0, 0.0])
def test_several_images_a_row_and_measures(tmp_path, pixels, encode, memory_gib):
    table = pa.table(
        {
            "after": [encode(pixels(n + 20)) for n in range(5)],
            "before": [{"bytes": encode(pixels(n)), "path": None} for n in range(5)],
            "speed": [1.5, None, -2.0, 0.0, float("nan")],
            "x": [1, 2, None, 4, 5],
        }
    )
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=2)
    options = {"root": tmp_path, "path": "a.parquet", "memory_gib": memory_gib}
    measures = {"speed": "speed", "place": "x, speed"}
    source = ParquetSource(**options, image_column=("before", "after"), measures=measures)
    assert source.targets == ("speed", "place")
    for index in (4, 0, 3):
        before, after = source.frames(index)
        assert np.array_equal(before, pixels(index))
        assert np.array_equal(after, pixels(index + 20))
    speeds = [source.target(index, "speed") for index in range(5)]
    assert np.array_equal(speeds, [1.5, np.nan, -2, 0, np.nan], equal_nan=True)
    assert isinstance(speeds[3], float)
    assert source.target(3, "place").tolist() == [4.0, 0.0]
    swapped = ParquetSource(**options, image_column=("after", "before"), measures=measures)
    single = ParquetSource(**options, image_column="after")
    assert len({source.digest, swapped.digest, single.digest}) == 3


def test_corrected_measures_are_other_examples_though_the_file_keeps_its_size(save):
    digests, sizes = [], []
    for metres in (1.5, 2.5):
        root = save("a.parquet", 2, far=[metres, 3.5])
        sizes.append((root / "a.parquet").stat().st_size)
        options = {"root": root, "path": "a.parquet", "measures": {"far": "far"}}
        digests.append(ParquetSource(**options).digest)
    assert sizes[0] == sizes[1]
    assert digests[0] != digests[1]


def test_broken_measures_are_named(save):
    root = save("a.parquet", 3, size=["1", "2", "3"], far=[1.0, float("inf"), 2.0], ok=[1, 2, 3])
    options = {"root": root, "path": "a.parquet"}
    with pytest.raises(DataError, match=r"row 0, column 'size' is '1': a measure must be a finite"):
        ParquetSource(**options, measures={"size": "size"})
    with pytest.raises(DataError, match="row 1, column 'far' is inf"):
        ParquetSource(**options, measures={"far": "far"})
    with pytest.raises(DataError, match=r"Unknown column 'fur'. Did you mean 'far'"):
        ParquetSource(**options, measures={"far": "fur"})
    with pytest.raises(DataError, match="'class' is in 'measures'"):
        ParquetSource(**options, measures={"class": "ok"})
