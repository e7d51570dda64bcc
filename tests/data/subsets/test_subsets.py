"""Subsets drawn from real files, written down, and opened as a dataset."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from vireo.data import find_dataset, open_split
from vireo.data.subsets.draw import draw
from vireo.data.subsets.making import make_subset
from vireo.data.subsets.recipe import SubsetRecipe
from vireo.errors import DataError, SettingError


@pytest.fixture
def classes(tmp_path, write, pixels):
    """Three classes of 4, 8 and 12 images."""
    for code, size in enumerate((4, 8, 12)):
        for number in range(size):
            write(tmp_path / f"set/{'abc'[code]}/{number:02d}.png", pixels(100 * code + number))
    return tmp_path / "set"


def recipe(rule, *data, **options):
    return SubsetRecipe(rule=rule, data=tuple(find_dataset(text) for text in data), **options)


def counts(source):
    labels = [source.target(index, "class") for index in range(len(source))]
    return np.bincount(labels, minlength=3).tolist()


def make(rule, out, *data, **options):
    make_subset(recipe(rule, *data, **options), out)
    return open_split(f"subset:{out}", "train")


def test_a_share_of_every_class_and_a_quarter_lies_in_a_half(classes, tmp_path):
    half = make("fraction", tmp_path / "half", f"folder:{classes}", share=0.5)
    quarter = make("fraction", tmp_path / "quarter", f"folder:{classes}", share=0.25)
    assert (counts(half), counts(quarter)) == ([2, 4, 6], [1, 2, 3])
    names = [{s.label(i) for i in range(len(s))} for s in (half, quarter)]
    assert names[1] < names[0]
    assert half.class_names == ("a", "b", "c")
    original = open_split(f"folder:{classes}", "train")
    where = [original.label(i) for i in range(len(original))].index(half.label(3))
    assert np.array_equal(half.frames(3)[0], original.frames(where)[0])


def test_rising_subsets_and_their_order(classes, tmp_path, capsys):
    rising = make("linear", tmp_path / "linear", f"folder:{classes}", last=9)
    assert counts(rising) == [1, 5, 9]
    short = make("linear", tmp_path / "short", f"folder:{classes}", first=6, last=10)
    assert counts(short) == [4, 8, 10]
    said = " ".join(capsys.readouterr().err.split())
    assert "1 of 3 groups have fewer images than asked" in said
    assert "'a': 4 of 6" in said
    log = make("log", tmp_path / "log", f"folder:{classes}", last=9, images=13)
    assert counts(log) == [1, 3, 9]
    orders = {
        tuple(draw(open_split(f"folder:{classes}", "train"), r).wanted.tolist())
        for r in (recipe("linear", f"folder:{classes}", last=9, order_seed=s) for s in range(12))
    }
    assert len(orders) > 3
    assert all(sorted(order) == [1, 5, 9] for order in orders)


def test_the_same_recipe_draws_the_same_and_another_seed_others(classes):
    source = open_split(f"folder:{classes}", "train")
    first, again, other = (
        draw(source, recipe("fraction", f"folder:{classes}", seed=seed)) for seed in (0, 0, 1)
    )
    assert np.array_equal(first.indices, again.indices)
    assert not np.array_equal(first.indices, other.indices)
    assert np.array_equal(first.taken, other.taken)


def test_uniform_over_classes_and_folders(classes, tmp_path):
    assert counts(make("uniform", tmp_path / "u", f"folder:{classes}", images=11)) == [4, 4, 3]
    by_folder = make("uniform", tmp_path / "f", f"folder:{classes}", images=9, group="folder")
    assert counts(by_folder) == [3, 3, 3]


def test_frames_at_a_constant_rate(tmp_path, write, pixels):
    for video, frames in (("x/one", 9), ("x/two", 3), ("y/one", 6)):
        for number in range(frames):
            write(tmp_path / f"videos/{video}/{number:03d}.png", pixels(number))
    source = make("rate", tmp_path / "out", f"folder:{tmp_path / 'videos'}", images=6)
    assert [source.label(index) for index in range(len(source))] == [
        *(f"x/one/{number:03d}.png" for number in (0, 3, 6)),
        "x/two/000.png",
        *(f"y/one/{number:03d}.png" for number in (0, 3)),
    ]


def test_a_combination_has_a_share_of_each_and_no_labels_of_different_classes(
    classes, tmp_path, write, pixels
):
    for number in range(8):
        write(tmp_path / f"flat/{number}.png", pixels(500 + number))
    mixed = make(
        "combination",
        tmp_path / "m",
        f"folder:{classes}",
        f"folder:{tmp_path / 'flat'}",
        share=0.25,
    )
    assert (len(mixed), mixed.targets) == (6 + 2, ())
    assert mixed.label(0).startswith("set:a/")
    assert mixed.label(7).startswith("flat:")
    same = make("combination", tmp_path / "s", *[f"folder:{classes}"] * 2, share=0.25)
    assert (counts(same), same.class_names) == ([2, 4, 6], ("a", "b", "c"))


def test_the_picture_and_the_manifest_say_what_was_drawn(classes, tmp_path):
    picture = make_subset(recipe("linear", f"folder:{classes}", last=9), tmp_path / "out")
    with Image.open(picture) as image:
        assert image.size[0] > 500
    manifest = json.loads((tmp_path / "out/subset.json").read_text())
    assert (manifest["images"], manifest["balance"]) == (15, "linear")
    assert manifest["groups"] == [
        {"names": ["a", "b", "c"], "there": [4, 8, 12], "taken": [1, 5, 9]}
    ]
    make_subset(recipe("linear", f"folder:{classes}", last=9), tmp_path / "out")
    with pytest.raises(DataError, match="holds another subset"):
        make_subset(recipe("linear", f"folder:{classes}", last=8), tmp_path / "out")


def test_a_set_that_changed_is_refused(classes, tmp_path, write, pixels):
    make("fraction", tmp_path / "out", f"folder:{classes}")
    write(classes / "a/99.png", pixels(0))
    with pytest.raises(DataError, match=r"not those that the subset .* was drawn from"):
        open_split(f"subset:{tmp_path / 'out'}", "train")


def edit(path, change):
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda c: c.update(format=9), "not of format 1"),
        (lambda c: c.update(sources=3), "is no subset"),
        (lambda c: c["sources"].append("x"), "was changed after it was written"),
        (lambda c: c["recipe"].update(rule="most"), "rule"),
        (lambda c: c["recipe"]["data"][0].update(source="evil.module:Thing"), "code outside vireo"),
    ],
)
def test_a_strangers_manifest_is_checked(classes, tmp_path, change, said):
    make("fraction", tmp_path / "out", f"folder:{classes}")
    edit(tmp_path / "out/subset.json", change)
    with pytest.raises(DataError, match=said):
        open_split(f"subset:{tmp_path / 'out'}", "train")


def test_damaged_and_missing_folders_are_named(classes, tmp_path):
    make("fraction", tmp_path / "out", f"folder:{classes}")
    (tmp_path / "out/indices.npz").write_bytes(b"PK nothing")
    with pytest.raises(DataError, match=r"indices\.npz cannot be read"):
        open_split(f"subset:{tmp_path / 'out'}", "train")
    shutil.rmtree(tmp_path / "out")
    with pytest.raises(DataError, match="There is no folder"):
        open_split(f"subset:{tmp_path / 'out'}", "train")


def test_what_a_rule_needs_is_said(classes, tmp_path, write, pixels):
    write(tmp_path / "flat/0.png", pixels(0))
    with pytest.raises(DataError, match="has no classes"):
        make("linear", tmp_path / "o", f"folder:{tmp_path / 'flat'}", last=3)
    with pytest.raises(DataError, match="in no folder"):
        make("rate", tmp_path / "o", f"folder:{tmp_path / 'flat'}", images=1)
    with pytest.raises(SettingError, match="takes two sets or more; got 1"):
        make("combination", tmp_path / "o", f"folder:{classes}")
    with pytest.raises(SettingError, match="takes one set; got 2"):
        make("linear", tmp_path / "o", *[f"folder:{classes}"] * 2)
    with pytest.raises(SettingError, match=r"from 3 \(one a video\) to 24"):
        make("rate", tmp_path / "o", f"folder:{classes}", images=2)
    assert not (tmp_path / "o").exists()
