"""Everything that can be wrong is refused before a network is built."""

import dataclasses

import pytest
from tests.tiny import ArraySource

from vireo.errors import SettingError
from vireo.methods.moco_v2 import MoCoV2
from vireo.pretrain import prepare as module
from vireo.pretrain.prepare import choose_workers, count_classes, prepare
from vireo.records import OptimizerSettings


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epochs": 0}, "epochs must be at least 1; got 0"),
        ({"batch_size": 1}, "batch_size must be at least 2"),
        ({"image_size": 4}, "image_size must be at least 8"),
        ({"batch_size": 64, "options": {"queue_size": 128}}, "batch size must be .* 27 examples"),
        ({"options": {"queue_size": 12}}, "queue_size must be a multiple"),
        ({"options": {"queuesize": 16}}, "Did you mean 'queue_size'"),
        ({"data": {"labelled": False}, "method": "supervised"}, "at least two classes"),
        (
            {"optimizer": OptimizerSettings(learning_rate=0.0, weight_decay=0.0)},
            "learning_rate must be above 0",
        ),
    ],
)
def test_what_cannot_work_is_refused(make_settings, compute, monkeypatch, changes, message):
    monkeypatch.setattr(module, "build", lambda *_a, **_k: pytest.fail("a network was built"))
    with pytest.raises(SettingError, match=message):
        prepare(make_settings(**changes), compute)


def test_an_unknown_engine_is_refused(make_settings, compute):
    settings = make_settings()
    object.__setattr__(settings, "engine", "gl")
    with pytest.raises(SettingError, match="engine must be auto, torch or opencv"):
        prepare(settings, compute)


def test_what_is_left_open_is_filled_in(make_settings, compute):
    run = prepare(make_settings(optimizer=None, engine="auto"), compute)
    assert run.optimizer.learning_rate == pytest.approx(0.03 * 8 / 256)
    assert run.engine == "opencv"
    gpu = dataclasses.replace(compute, device="cuda")
    assert prepare(make_settings(engine="auto"), gpu).engine == "torch"
    assert prepare(make_settings(engine="auto"), gpu, "opencv").engine == "opencv"
    assert (run.steps_per_epoch, run.num_steps, run.num_classes) == (3, 6, 2)
    assert run.resolved()["images"] == 27


def test_runs_that_differ_in_seed_or_images_alone_are_of_one_recipe(make_settings, compute):
    own = make_settings().options
    alike = (
        {"seed": 1},
        {"data": {"count": 30}},
        {"options": {**own, "temperature": MoCoV2.Settings(image_size=8).temperature}},
    )
    others = (
        {"options": {**own, "temperature": 0.5}},
        {"optimizer": OptimizerSettings(learning_rate=0.06, weight_decay=1e-4)},
        {"optimizer": None},
        {"batch_size": 4},
        {"epochs": 3},
    )
    first, *same = (prepare(make_settings(**c), compute).recipe for c in ({}, *alike))
    assert same == [first] * len(alike)
    recipes = {prepare(make_settings(**changes), compute).recipe for changes in others}
    assert len(recipes - {first}) == len(others)


def test_the_published_optimizer_is_one_recipe_whether_stated_or_not(make_settings, compute):
    left = prepare(make_settings(optimizer=None), compute)
    stated = prepare(make_settings(optimizer=left.optimizer), compute)
    assert (stated.recipe, stated.digest == left.digest) == (left.recipe, False)


def test_the_same_seed_starts_from_the_same_weights(make_settings, compute):
    first, again, other = (
        prepare(make_settings(seed=seed), compute).build().state_dict() for seed in (0, 0, 1)
    )
    assert all((value == again[name]).all() for name, value in first.items())
    assert any((value != other[name]).any() for name, value in first.items())


def test_classes_are_counted_from_names_or_labels():
    source = ArraySource(classes=3)
    assert count_classes(source) == 3
    source.class_names = ()
    assert count_classes(source) == max(source.target(i, "class") for i in range(32)) + 1
    assert count_classes(ArraySource(labelled=False)) is None


@pytest.mark.parametrize(("cores", "workers"), [(1, 0), (2, 2), (64, 8)])
def test_workers_follow_the_cores(monkeypatch, cores, workers):
    monkeypatch.setattr(module.devices, "usable_cores", lambda: cores)
    assert choose_workers() == workers
