"""Whole recipes of both engines against torchvision's composition of the same draws.

Exact arithmetic (float tensors, nothing rounded between operations) is the reference for both. The
official pipelines are 8-bit and cut off fractions after every operation: they are 1.3 levels (of
255) from it on average, and 2.4 in the worst view, and so must be engines that are exact.
"""

import dataclasses

import numpy as np
import pytest
import torch
from tests.data.views.compositions import (
    EVERY_OPERATION,
    byte_composition,
    float_composition,
    pillow_composition,
    smooth_image,
    whole,
)

from vireo.data.views.draws import draw_views
from vireo.data.views.engine import image_sizes
from vireo.data.views.opencv_engine import OpenCVEngine
from vireo.data.views.published import multi_crop, supervised, two_crops
from vireo.data.views.recipe import Crop, Flip, Photometric, QuarterTurns, ViewRecipe
from vireo.data.views.torch_engine import TorchEngine

CPU = torch.device("cpu")
ENGINES = {"torch": TorchEngine, "opencv": OpenCVEngine}
PLAIN = {"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}


def everything(count=3):
    view = whole(EVERY_OPERATION, side=32, count=count)
    return ViewRecipe(views=(view,), **PLAIN)


def make(engine, recipe, images, indices=None):
    indices = range(len(images)) if indices is None else indices
    draws = draw_views(recipe, indices, image_sizes(images), seed_digest="run", epoch=0)
    maker = ENGINES[engine](recipe)
    return maker.finish(maker.prepare(images, draws), CPU), draws


def compare(engine, composition, images, recipe=None):
    """Levels (0..255) between an engine's views and a composition's, [views, batch, 3, s, s]."""
    recipe = recipe or everything()
    (views,), draws = make(engine, recipe, images)
    expected = [
        torch.stack(
            [composition(recipe.views[0], drawn, i, image) for i, image in enumerate(images)]
        )
        for drawn in draws
    ]
    return (views - torch.stack(expected)).abs() * 255


def test_torch_engine_is_exact(photos):
    """Solarize inverts from half a level below its threshold: one level there, none elsewhere."""
    difference = compare("torch", float_composition, photos)
    assert difference.max() <= 1.01
    assert difference.mean() < 0.01
    operations = tuple(op for op in EVERY_OPERATION if type(op).__name__ != "Solarize")
    recipe = ViewRecipe(views=(whole(operations, count=3),), **PLAIN)
    assert compare("torch", float_composition, photos, recipe).max() < 5e-3


def test_opencv_engine_is_within_its_two_roundings(photos):
    """The resize is off by up to one level, which contrast and saturation of 1.4 can double."""
    difference = compare("opencv", float_composition, photos)
    assert difference.max() < 4.5
    assert difference.mean() < 0.4


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("composition", [byte_composition, pillow_composition])
def test_engines_are_near_the_official_pipelines(engine, composition, photos):
    difference = compare(engine, composition, photos)
    assert difference.mean() < 1.6
    assert difference.mean((2, 3, 4)).max() < 3


@pytest.mark.parametrize("engine", ENGINES)
def test_turns_and_mirrors_are_done_in_the_recipes_order(engine, photos):
    """They do not commute: a mirror before a turn is not one after it."""
    operations = (Crop(), Flip(), QuarterTurns(), Flip(), QuarterTurns(), Flip())
    recipe = ViewRecipe(views=(whole(operations, count=2),), **PLAIN)
    difference = compare(engine, float_composition, photos, recipe)
    assert difference.max() < (5e-3 if engine == "torch" else 1.5)


@pytest.mark.parametrize("engine", ENGINES)
def test_pirls_group_is_near_the_official_one(engine, photos):
    """Fractions that Pillow cuts off are stretched, and decide what is posterised or inverted."""
    recipe = ViewRecipe(views=(whole((Crop(), Photometric(probability=1.0)), count=3),), **PLAIN)
    difference = compare(engine, pillow_composition, photos, recipe)
    assert difference.median() < 2
    assert (difference > 32).float().mean() < 0.02


@pytest.mark.parametrize("engine", ENGINES)
def test_normalisation_and_groups(engine, photos):
    recipe = dataclasses.replace(multi_crop(48, num_small=3), mean=(0.1, 0.2, 0.3))
    plain, _ = make(engine, dataclasses.replace(recipe, **PLAIN), photos)
    normalised, _ = make(engine, recipe, photos)
    assert [tuple(group.shape) for group in plain] == [(2, 12, 3, 48, 48), (3, 12, 3, 21, 21)]
    for group, expected in zip(normalised, plain, strict=True):
        assert group.dtype == torch.float32
        mean, std = (torch.tensor(three)[:, None, None] for three in (recipe.mean, recipe.std))
        torch.testing.assert_close(group, (expected - mean) / std, atol=1e-5, rtol=0)


def test_engines_agree_on_every_group(photos):
    recipe = dataclasses.replace(multi_crop(48, num_small=3), **PLAIN)
    for ours, theirs in zip(*(make(engine, recipe, photos)[0] for engine in ENGINES), strict=True):
        assert ((ours - theirs).abs().mean((2, 3, 4)) * 255).max() < 2


@pytest.mark.parametrize("engine", ENGINES)
def test_a_view_does_not_depend_on_its_batch(engine, photos):
    recipe = everything()
    (together,), _ = make(engine, recipe, photos)
    tolerance = 0 if engine == "opencv" else 2e-6
    for row in (0, 7, 11):
        (alone,), _ = make(engine, recipe, [photos[row]], [row])
        torch.testing.assert_close(alone[:, 0], together[:, row], atol=tolerance, rtol=0)


def test_chunks_do_not_change_the_torch_engine(photos, monkeypatch):
    from vireo.data.views import torch_engine

    (whole_batch,), _ = make("torch", everything(), photos)
    monkeypatch.setitem(torch_engine._CHUNK_BYTES, "cpu", 5 * 3 * 32 * 32 * 4)
    (chunked,), _ = make("torch", everything(), photos)
    torch.testing.assert_close(chunked, whole_batch, atol=2e-6, rtol=0)


@pytest.mark.parametrize("engine", ENGINES)
def test_two_mirrors_cancel(engine, photos):
    twice = supervised(32).views[0].operations[:1] + (Flip(probability=1.0),) * 2
    recipes = [ViewRecipe(views=(whole(operations),), **PLAIN) for operations in (twice, twice[:1])]
    (mirrored,), (plain,) = (make(engine, recipe, photos)[0] for recipe in recipes)
    assert torch.equal(mirrored, plain)


def test_a_callers_autocast_and_gradients_stay_outside(photos):
    (expected,), _ = make("torch", two_crops(32), photos)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        (views,), _ = make("torch", two_crops(32), photos)
    assert torch.equal(views, expected)
    assert not views.requires_grad


@pytest.mark.gpu
@pytest.mark.parametrize("engine", ENGINES)
def test_a_gpu_gives_the_cpus_views(engine, photos):
    gpu = torch.device("cuda")
    same_size = [smooth_image(i, 40, 52) for i in range(8)]
    for images in (photos, same_size):
        recipe = two_crops(96)
        (expected,), draws = make(engine, recipe, images)
        maker = ENGINES[engine](recipe)
        (views,) = maker.finish(maker.prepare(images, draws).pin_memory(), gpu)
        assert views.device.type == "cuda"
        # One level of 255 is 0.017 after normalisation.
        np.testing.assert_allclose(views.cpu().numpy(), expected.numpy(), atol=2e-3)
