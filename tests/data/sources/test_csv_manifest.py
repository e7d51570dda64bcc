"""Tables of images and targets."""

import numpy as np
import pytest

from vireo.data.loading import load_batches
from vireo.data.sources.csv_manifest import CsvSource
from vireo.errors import DataError


@pytest.fixture
def cells(tmp_path, write, pixels):
    for number in range(3):
        write(tmp_path / f"train/{number:04d}.png", pixels(number))
    table = "file,rbc,wbc\n0002.png,18,1\n0000.png,15,0\n"
    (tmp_path / "train.csv").write_text(table)
    return tmp_path


def test_rows_in_their_order_and_counts(cells, pixels):
    source = CsvSource(root=cells, file="train.csv", images="train", targets={"count": "rbc"})
    assert (len(source), source.targets, source.label(0)) == (2, ("count",), "train/0002.png")
    assert [source.target(index, "count") for index in range(2)] == [18, 15]
    assert np.array_equal(source.frames(0)[0], pixels(2))


def test_names_without_extension_and_tabs_and_byte_order_mark(cells, pixels):
    table = "﻿id\tkind\n0001\tnucleus\n0000\tcell\n"
    (cells / "kinds.tsv").write_text(table, encoding="utf-8")
    source = CsvSource(
        root=cells,
        file="kinds.tsv",
        image_column="id",
        images="train/*.png",
        targets={"class": "kind"},
    )
    assert source.class_names == ("cell", "nucleus")
    assert [source.target(index, "class") for index in range(2)] == [1, 0]
    assert np.array_equal(source.frames(0)[0], pixels(1))


def test_the_digest_covers_the_table(cells):
    options = {"root": cells, "file": "train.csv", "images": "train", "targets": {"count": "rbc"}}
    before = CsvSource(**options).digest
    assert CsvSource(**{**options, "targets": {"count": "wbc"}}).digest != before
    (cells / "train.csv").write_text("file,rbc,wbc\n0002.png,18,1\n0000.png,16,0\n")
    assert CsvSource(**options).digest != before


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("file,rbc\n0009.png,1\n", r"train\.csv, row 2: there is no file"),
        ("file,rbc\n../train/0000.png,1\n", r"row 2: .*leads outside"),
        ("file,rbc\n/etc/passwd,1\n", r"row 2: .*leads outside"),
        ("file,rbc\n0000.png,1\n0001.png,many\n", r"column 'rbc', row 3 is 'many'"),
        ("file,rbc\n0000.png,1.5\n", "must be a whole number"),
        ("file,rbc\n0000.png\n", "row 2 has 1 values for 2 columns"),
        ("file,rcb\n0000.png,1\n", "Unknown column 'rbc'. Did you mean 'rcb'"),
        ("name,rbc\n0000.png,1\n", "Unknown column 'file'"),
        ("file,rbc\n", "no rows"),
        ("", "Unknown column 'file'"),
        ("file,rbc,rbc\n0000.png,1,2\n", "column 'rbc' twice"),
        ("file,rbc\n\n0000.png,1\n\n0001.png,x\n", "'rbc', row 5 is 'x'"),
        ("file,rbc\n\udcff.png,1\n", "cannot be read"),
        ('file,rbc\n"0000.png,1\n', "cannot be read"),
    ],
)
def test_broken_tables_are_named_by_row_and_column(cells, table, message):
    (cells / "train.csv").write_bytes(table.encode(errors="surrogateescape"))
    images = "" if "/" in table else "train"
    with pytest.raises(DataError, match=message):
        CsvSource(root=cells, file="train.csv", images=images, targets={"count": "rbc"})


def test_tables_and_links_stay_below_the_root(cells, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside") / "secret.png"
    outside.write_bytes((cells / "train/0000.png").read_bytes())
    with pytest.raises(DataError, match="outside"):
        CsvSource(root=cells, file=f"../{outside.parent.name}/secret.png")
    with pytest.raises(DataError, match="cannot be read"):
        CsvSource(root=cells, file="missing.csv")
    (cells / "train/0002.png").unlink()
    (cells / "train/0002.png").symlink_to(outside)
    source = CsvSource(root=cells, file="train.csv", images="train")
    with pytest.raises(DataError, match="outside"):
        source.frames(0)


@pytest.fixture
def steps(cells):
    table = (
        "before,after,move,speed,x,y\n"
        "0000.png,0001.png,ahead,1.5,0.25,-3\n"
        "0001.png,0002.png,left,,1e2,7\n"
        "0002.png,0000.png,ahead,-2,NA,8\n"
    )
    (cells / "steps.csv").write_text(table)
    return {
        "root": cells,
        "file": "steps.csv",
        "image_column": ("before", "after"),
        "images": "train",
        "targets": {"class": "move"},
        "measures": {"speed": "speed", "place": "x, y"},
    }


def test_several_images_a_row_are_the_frames_in_their_order(steps, pixels):
    source = CsvSource(**steps)
    assert source.label(1) == "train/0001.png + train/0002.png"
    for row, names in enumerate(((0, 1), (1, 2), (2, 0))):
        first, second = source.frames(row)
        assert np.array_equal(first, pixels(names[0]))
        assert np.array_equal(second, pixels(names[1]))
    swapped = CsvSource(**{**steps, "image_column": ["after", "before"]})
    assert np.array_equal(swapped.frames(0)[0], pixels(1))
    assert source.digest != swapped.digest


def test_measures_are_floating_point_and_missing_ones_nan(steps):
    source = CsvSource(**steps)
    assert source.targets == ("class", "speed", "place")
    speeds = [source.target(row, "speed") for row in range(3)]
    assert all(isinstance(speed, float) for speed in speeds)
    assert np.array_equal(speeds, [1.5, np.nan, -2.0], equal_nan=True)
    places = np.stack([source.target(row, "place") for row in range(3)])
    assert places.dtype == np.float32
    assert np.array_equal(places, [[0.25, -3], [100, 7], [np.nan, 8]], equal_nan=True)
    assert source.target(1, "class") == 1
    digests = {CsvSource(**{**steps, "measures": m}).digest for m in ({"speed": "x"}, None)}
    assert len({source.digest, *digests}) == 3


def test_a_batch_of_measures_and_frames(steps):
    (batch,) = load_batches(CsvSource(**steps), size=(6, 8), target="place", batch_size=8)
    assert batch.images.shape == (3, 2, 3, 6, 8)
    assert batch.target.tolist() == [[0.25, -3], [100, 7], [0, 0]]
    assert batch.valid.tolist() == [[True], [True], [False]]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("fast", r"steps\.csv, column 'speed', row 2 is 'fast', but must be a number"),
        ("1_000", "must be a number"),
        ("inf", "is not finite"),
        ("-1e39", "is not finite"),
    ],
)
def test_broken_measures_are_named_by_row_and_column(steps, value, message):
    table = steps["root"] / "steps.csv"
    table.write_text(table.read_text().replace("1.5", value))
    with pytest.raises(DataError, match=message):
        CsvSource(**steps)


def test_options_that_contradict_each_other(steps):
    with pytest.raises(DataError, match="'speed' is in 'targets' and in 'measures'"):
        CsvSource(**{**steps, "targets": {"speed": "speed"}})
    with pytest.raises(DataError, match="'class' is in 'measures'"):
        CsvSource(**{**steps, "targets": {}, "measures": {"class": "speed"}})
    with pytest.raises(DataError, match="'image_column' is empty"):
        CsvSource(**{**steps, "image_column": ()})
    with pytest.raises(DataError, match="Unknown column 'z'"):
        CsvSource(**{**steps, "measures": {"place": "x,z"}})
