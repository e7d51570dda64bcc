"""Runs written in few lines: the same as those written out, and every mistake told."""

import itertools

import pytest

from vireo.data import find_dataset, open_split
from vireo.data.subsets.making import make_subset
from vireo.digest import digest
from vireo.errors import SettingError
from vireo.pretrain.prepare import open_images
from vireo.records import DatasetSpec, PretrainSettings, SubsetRecipe
from vireo.records.reading import read_record
from vireo.study import read_plan
from vireo.study.grid import write_out

SHORT = """
[data.marks]
source = "digits"
limit = { train = 300 }

[data.few]
rule = "fraction"
share = 0.5
data = ["marks"]

[[grid]]
method = ["moco-v2", "simclr"]
data = ["marks", "few"]
seed = [0, 3]
architecture = "resnet20"
epochs = 1
batch_size = 32
image_size = 32
options = { blur = false }

[grid.only.simclr]
epochs = 2
options = { temperature = 0.3 }
"""
LONG = """
[pretrain.one]
method = "simclr"
architecture = "resnet20"
epochs = 2
batch_size = 32
image_size = 32
seed = 3
options = { blur = false, temperature = 0.3 }

[pretrain.one.data]
name = "few"
rule = "fraction"
share = 0.5
data = [{ name = "marks", source = "digits", limit = { train = 300 } }]
"""


@pytest.fixture
def with_runs(write):
    """Write a study whose runs are the text, and read it."""

    def read(text):
        path = write()
        path.write_text(path.read_text().partition("[pretrain.moco]")[0] + text)
        return read_plan(path)

    return read


def test_a_grid_stands_for_every_combination(with_runs):
    runs = with_runs(SHORT).pretrain
    axes = itertools.product(("moco-v2", "simclr"), ("marks", "few"), ("", "-seed3"))
    assert list(runs) == [f"{method}-{data}{seed}" for method, data, seed in axes]
    assert len({digest(run) for run in runs.values()}) == 8
    assert [run.epochs for run in runs.values()] == [1] * 4 + [2] * 4


def test_a_run_of_a_grid_is_the_run_written_out(with_runs):
    short, long = with_runs(SHORT).pretrain, with_runs(LONG).pretrain
    assert short["simclr-few-seed3"] == long["one"]
    assert isinstance(long["one"].data, SubsetRecipe)
    assert isinstance(short["simclr-marks"].data, DatasetSpec)


def test_epochs_are_named_where_there_are_several():
    file = {"grid": [{"method": "swav", "data": "digits", "epochs": [1, 2]}]}
    assert write_out(file) == []
    assert list(file["pretrain"]) == ["swav-digits-1", "swav-digits-2"]


def test_a_named_set_may_be_used_by_a_single_run(with_runs):
    text = SHORT.partition("[[grid]]")[0] + LONG.partition("[pretrain.one.data]")[0]
    run = with_runs(text.replace("seed = 3", 'seed = 3\ndata = "few"')).pretrain["one"]
    assert run == with_runs(LONG).pretrain["one"]


def test_settings_of_a_recipe_that_are_lists_are_read(with_runs):
    text = '[[grid]]\nmethod = "swav"\ndata = "digits"\nrecipe = "small"\n'
    run = with_runs(text).pretrain["swav-digits"]
    assert run.options["global_scale"] == (0.2, 1.0)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('data = ["marks", "few"]\nseed', "seed", "grid[0].data is missing"),
        ('data = ["marks"]', 'data = ["mark"]', "Did you mean 'marks'?"),
        ("[grid.only.simclr]", "[grid.only.simclrr]", "Did you mean 'simclr'?"),
        ("[data.few]", "[data.few]\nruel = 1", "'ruel'. Did you mean 'rule'?"),
        ('rule = "fraction"', 'rule = "half"', "data.rule should be 'fraction', 'linear'"),
        ("seed = [0, 3]", "seed = [3, 3]", "called 'moco-v2-marks-seed3'"),
        (
            "seed = [0, 3]",
            "seed = [[0, 3]]",
            "grid[0].seed should be one name or number, or a list",
        ),
        ("seed = [0, 3]", "seed = { a = 1 }", "grid[0].seed should be one name or number"),
    ],
)
def test_each_mistake_is_named(with_runs, old, new, message):
    assert old in SHORT
    with pytest.raises(SettingError) as caught:
        with_runs(SHORT.replace(old, new))
    assert message in str(caught.value)


def test_a_table_is_told_the_mistakes_of_the_record_it_was_meant_to_be():
    run = {"method": "swav", "architecture": "a", "epochs": 1, "batch_size": 2, "image_size": 8}

    def said(data):
        return read_record(PretrainSettings, {**run, "data": data})[1]

    assert said({"name": "x"}) == ["data.source is missing"]
    assert said({"rule": "log"}) == ["data.data is missing"]
    assert said({"name": "x", "source": 3}) == ["data.source should be a valid string; got 3"]
    (unknown,) = said({"name": "x", "source": "digits", "splitz": {}})
    assert "Did you mean 'splits'?" in unknown


def test_a_part_that_a_run_draws_is_the_part_that_the_command_draws(tmp_path):
    recipe = SubsetRecipe(name="rising", rule="linear", data=(find_dataset("digits"),), last=40)
    spec, drawn = open_images(recipe)
    make_subset(recipe, tmp_path / "drawn")
    kept = open_split(f"subset:{tmp_path / 'drawn'}", "train")
    assert (spec.name, drawn.name, drawn.balance) == ("rising", "rising", "linear")
    assert (drawn.digest, len(drawn)) == (kept.digest, len(kept))
    assert [drawn.label(i) for i in range(9)] == [kept.label(i) for i in range(9)]
