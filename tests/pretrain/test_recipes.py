"""Recipes fit their methods, follow the batch, and are changed by what a person adds."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from vireo.encoders import ARCHITECTURES
from vireo.errors import SettingError
from vireo.methods import METHODS, find_method
from vireo.methods.building import method_settings
from vireo.pretrain.optimizers import check_optimizer
from vireo.pretrain.recipes import KINDS, find_recipe, known_recipes
from vireo.study.plan import read_plan

DATA = {"data": "digits"}


def test_every_method_has_every_recipe():
    assert sorted(known_recipes()) == sorted((kind, name) for kind in KINDS for name in METHODS)


def test_recipes_are_read_without_torch():
    code = (
        "import sys; from vireo.pretrain.recipes import find_recipe, known_recipes;"
        "[find_recipe(*both) for both in known_recipes()]; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(("kind", "method"), known_recipes())
def test_a_recipe_can_be_followed(kind, method):
    recipe = find_recipe(kind, method)
    settings = recipe.settings(DATA)
    assert settings.architecture in ARCHITECTURES
    options = method_settings(find_method(method), settings.image_size, settings.options)
    find_method(method).check(
        options, batch_size=settings.batch_size, num_examples=100_000, num_classes=10
    )
    if settings.optimizer is not None:
        check_optimizer(settings.optimizer, settings.epochs)
    said = (recipe.command, recipe.hardware, recipe.hours, recipe.expected, recipe.ran)
    assert all(said)
    assert f"pretrain {method} --recipe {kind}" in recipe.command


@pytest.mark.parametrize("method", [name for name in METHODS if name != "dino"])
def test_the_papers_optimiser_is_the_methods_own(method):
    assert find_recipe("paper", method).settings(DATA).optimizer is None


def test_dino_on_a_resnet_has_the_releases_optimiser_for_it():
    found = find_recipe("paper", "dino").settings({**DATA, "batch_size": 256}).optimizer
    assert (found.name, found.learning_rate) == ("sgd", pytest.approx(0.03))
    assert found.weight_decay == found.weight_decay_end == 1e-4
    assert (found.warmup_epochs, found.final_learning_rate) == (10.0, 1e-6)


def test_rates_follow_the_batch():
    recipe = find_recipe("small", "moco-v2")
    double = recipe.settings({**DATA, "batch_size": 2 * recipe.batch_size}).optimizer
    assert double.learning_rate == 2 * recipe.settings(DATA).optimizer.learning_rate
    assert double.weight_decay == recipe.settings(DATA).optimizer.weight_decay


def test_changes_are_merged():
    settings = find_recipe("small", "moco-v2").settings(
        {
            **DATA,
            "epochs": 3,
            "options": {"queue_size": 512},
            "optimizer": {"learning_rate": 0.5},
        }
    )
    assert (settings.epochs, settings.image_size) == (3, 32)
    assert settings.options["queue_size"] == 512
    assert settings.options["blur"] is False
    assert settings.optimizer.learning_rate == 0.5
    assert settings.optimizer.weight_decay == 5e-4


@pytest.mark.parametrize(
    ("name", "method", "message"),
    [
        ("paper", "mocov2", "no recipe 'paper' for 'mocov2'; there are: .*moco-v2"),
        (
            "large",
            "moco-v2",
            r"A recipe \(paper or small, or your own\) is a TOML file; 'large' cannot be read",
        ),
        ("small", "../paper/moco-v2", "no recipe 'small' for '../paper/moco-v2'"),
    ],
)
def test_what_is_no_recipe_is_refused(name, method, message):
    with pytest.raises(SettingError, match=message):
        find_recipe(name, method)


def test_a_file_of_ones_own(tmp_path):
    from vireo.pretrain import recipes

    text = (Path(recipes.__file__).parent / "small" / "simclr.toml").read_text()
    mine = tmp_path / "mine.toml"
    mine.write_text(text.replace("epochs = 200", "epochs = 7"))
    assert find_recipe(str(mine), "simclr").epochs == 7
    mine.write_text(text.replace("epochs = 200", 'epochs = "many"\nepoch = 3'))
    with pytest.raises(SettingError, match=r"(?s)2 mistakes.*Did you mean 'epochs'.*many"):
        find_recipe(str(mine), "simclr")
    assert tomllib.loads(text)["method"] == "simclr"


@pytest.mark.parametrize(
    "text", ["a = " + "[" * 3000 + "]" * 3000, "a = " + "9" * 5000, "a = \x00"]
)
def test_a_hostile_file_is_refused(tmp_path, text):
    path = tmp_path / "hostile.toml"
    path.write_text(text)
    for read in (lambda: find_recipe(str(path), "simclr"), lambda: read_plan(path)):
        with pytest.raises(SettingError, match="not valid TOML"):
            read()


def test_rates_for_a_batch_of_nothing_are_refused(tmp_path):
    from vireo.pretrain import recipes

    text = (Path(recipes.__file__).parent / "small" / "simclr.toml").read_text()
    mine = tmp_path / "mine.toml"
    mine.write_text(text.replace("batch_size = 256", "batch_size = 0"))
    with pytest.raises(SettingError, match="batch_size must be at least 1; got 0"):
        find_recipe(str(mine), "simclr")


def test_milestones_can_be_changed():
    """A command line and a file give lists as tuples."""
    changes = {**DATA, "optimizer": {"schedule": "step", "milestones": (0.5, 0.8)}}
    found = find_recipe("small", "moco-v2").settings(changes).optimizer
    assert found.milestones == (0.5, 0.8)


STUDY = """
name = "mine"
summary = "a study"
tasks = ["digits"]
[pretrain.one]
recipe = "{recipe}"
method = "moco-v2"
data = "digits"
architecture = "resnet20"
{more}
"""


def test_a_study_names_a_recipe(tmp_path):
    path = tmp_path / "study.toml"
    path.write_text(STUDY.format(recipe="small", more="options = { queue_size = 512 }"))
    settings = read_plan(path).pretrain["one"]
    expected = find_recipe("small", "moco-v2").settings(
        {**DATA, "architecture": "resnet20", "options": {"queue_size": 512}}
    )
    assert settings == expected


@pytest.mark.parametrize(
    ("recipe", "more", "message"),
    [
        ("smal", "", r"pretrain.one: A recipe \(paper or small"),
        ("small", "epoch = 3", "Did you mean 'epochs'"),
        ("small", 'batch_size = "x"', "pretrain.one.batch_size should be a whole number; got 'x'"),
        ("small", "options = 3", "pretrain.one.options should be a table; got 3"),
        ("small", "optimizer = { rate = 3 }", "pretrain.one: .*Unknown key 'rate'"),
    ],
)
def test_a_study_with_a_wrong_recipe_is_refused(tmp_path, recipe, more, message):
    path = tmp_path / "study.toml"
    path.write_text(STUDY.format(recipe=recipe, more=more))
    with pytest.raises(SettingError, match=f"(?s){message}"):
        read_plan(path)


def test_a_recipe_without_a_method_is_refused(tmp_path):
    path = tmp_path / "study.toml"
    path.write_text(STUDY.format(recipe="small", more="").replace('method = "moco-v2"', ""))
    with pytest.raises(SettingError, match=r"pretrain\.one\.method is missing"):
        read_plan(path)
