"""Jigsaws: what is drawn, where patches lie, and both engines against cutting by hand."""

import dataclasses

import numpy as np
import pytest
import torch
from scipy import stats
from tests.data.views.compositions import apply_one
from tests.data.views.test_loading import of_sizes, same
from torchvision.transforms.v2 import functional as F

from vireo.data.views.draws import check_recipe, draw_views
from vireo.data.views.engine import image_sizes
from vireo.data.views.jigsaw import corners
from vireo.data.views.loading import load_views
from vireo.data.views.opencv_engine import OpenCVEngine
from vireo.data.views.pirl import pirl
from vireo.data.views.published import supervised
from vireo.data.views.recipe import (
    ColorJitter,
    Crop,
    Flip,
    GaussianBlur,
    Grayscale,
    Jigsaw,
    Photometric,
    QuarterTurns,
    View,
)
from vireo.data.views.torch_engine import TorchEngine
from vireo.errors import SettingError

CPU = torch.device("cpu")
ENGINES = {"torch": TorchEngine, "opencv": OpenCVEngine}
PLAIN = {"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}
NUM_DRAWS, LEVEL = 2000, 1e-3
PLAIN_COLOURS = (
    ColorJitter(brightness=0.4, contrast=0.4, saturation=0.4, hue=0.1),
    Grayscale(probability=0.3),
    Flip(),
)


def jigsaw_of(*operations, cell=12, side=9, turned=False):
    whole = (Crop(scale=(0.6, 1.0)), *((QuarterTurns(),) if turned else ()))
    board = View(count=1, side=3 * cell, operations=whole)
    return Jigsaw(board=board, side=side, operations=operations)


def recipe_of(jigsaw):
    return dataclasses.replace(supervised(16, **PLAIN), jigsaw=jigsaw)


def draw(recipe, indices, sizes, epoch=0):
    return draw_views(recipe, indices, sizes, seed_digest="run", epoch=epoch)


def many(jigsaw, number=NUM_DRAWS):
    return draw(recipe_of(jigsaw), range(number), np.tile([40, 52], (number, 1)))


def make(engine, recipe, images, indices=None):
    indices = range(len(images)) if indices is None else indices
    draws = draw(recipe, indices, image_sizes(images))
    maker = ENGINES[engine](recipe)
    return maker.finish(maker.prepare(images, draws), CPU), draws


def cut_by_hand(jigsaw, draws, row, image):
    """The patches of one image [9, 3, side, side], by torchvision on float tensors and slicing."""
    of_board, (cut, *rest) = draws
    board = torch.from_numpy(image).permute(2, 0, 1).float() / 255
    for operation, drawn in zip(jigsaw.board.operations, of_board, strict=True):
        board = apply_one(operation, drawn.values[row], board, F=F, side=jigsaw.board.side)
    tops, lefts, order = cut.values[row].astype(int).reshape(3, 9)
    cell, patches = jigsaw.board.side // 3, []
    for place, number in enumerate(order):
        top = number // 3 * cell + tops[number]
        left = number % 3 * cell + lefts[number]
        patch = board[:, top : top + jigsaw.side, left : left + jigsaw.side]
        for operation, drawn in zip(jigsaw.operations, rest, strict=True):
            if drawn.applied[9 * row + place]:
                values = drawn.values[9 * row + place]
                patch = apply_one(operation, values, patch, F=F, side=jigsaw.side)
        patches.append(patch)
    return torch.stack(patches)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("turned", [False, True])
def test_engines_cut_and_colour_like_torchvision_by_hand(engine, turned, photos):
    jigsaw = jigsaw_of(*PLAIN_COLOURS, turned=turned)
    (_, patches), draws = make(engine, recipe_of(jigsaw), photos)
    assert patches.shape == (9, 12, 3, 9, 9)
    expected = [cut_by_hand(jigsaw, draws[-2:], i, image) for i, image in enumerate(photos)]
    difference = (patches.transpose(0, 1) - torch.stack(expected)).abs() * 255
    assert difference.max() < (5e-3 if engine == "torch" else 4.5)
    assert difference.mean() < (1e-3 if engine == "torch" else 0.5)


def test_the_order_of_cells_is_uniform_in_every_place():
    cut = many(jigsaw_of())[-1][0]
    orders = cut.values[:, 18:].astype(int)
    assert (np.sort(orders, axis=1) == np.arange(9)).all()
    for place in range(9):
        assert stats.chisquare(np.bincount(orders[:, place], minlength=9)).pvalue > LEVEL
    pairs = np.bincount(orders[:, 0] * 9 + orders[:, 1], minlength=81)
    assert (pairs[::10] == 0).all()
    assert stats.chisquare(pairs[pairs > 0]).pvalue > LEVEL
    assert (pairs > 0).sum() == 72


def test_patches_begin_at_each_of_the_first_places_of_a_cell_as_in_the_released_code():
    starts = many(jigsaw_of(cell=85, side=64), 4000)[-1][0].values[:, :18]
    counts = np.bincount(starts.astype(int).ravel(), minlength=21)
    assert len(counts) == 21  # 0..20: randint(0, jitter) never gives the jitter itself
    assert stats.chisquare(counts).pvalue > LEVEL
    correlation = np.corrcoef(starts.T) - np.eye(18)
    assert np.abs(correlation).max() < 4.5 / 4000**0.5


def test_patches_lie_in_nine_different_cells():
    jigsaw = jigsaw_of(cell=12, side=9)
    tops, lefts = corners(jigsaw, many(jigsaw)[-1][0].values)
    assert (np.sort(tops // 12 * 3 + lefts // 12, axis=1) == np.arange(9)).all()
    for places in (tops % 12, lefts % 12):
        assert set(np.unique(places)) == {0, 1, 2}


def test_a_patch_that_fills_its_cell_has_one_place():
    tops, lefts = corners(full := jigsaw_of(cell=4, side=4), many(full, 50)[-1][0].values)
    assert (tops % 4 == 0).all()
    assert (lefts % 4 == 0).all()


def test_colours_are_drawn_for_every_patch():
    jitter = many(jigsaw_of(PLAIN_COLOURS[0]))[-1][1]
    assert jitter.values.shape == (9 * NUM_DRAWS, 8)
    factors = jitter.values[:, 0].reshape(NUM_DRAWS, 9)
    correlation = np.corrcoef(factors.T) - np.eye(9)
    assert np.abs(correlation).max() < 4.5 / NUM_DRAWS**0.5
    assert stats.kstest(factors.ravel(), stats.uniform(0.6, 0.8).cdf).pvalue > LEVEL


def test_a_jigsaw_changes_no_draw_of_the_views_beside_it():
    sizes = np.tile([40, 52], (5, 1))
    plain = draw(supervised(16), range(5), sizes)
    beside = draw(recipe_of(jigsaw_of(Flip())), range(5), sizes)[:-2]
    for ours, theirs in zip(plain[0], beside[0], strict=True):
        assert (ours.values == theirs.values).all()
        assert (ours.applied == theirs.applied).all()


@pytest.mark.parametrize("engine", ENGINES)
def test_patches_do_not_depend_on_the_batch_and_change_with_the_epoch(engine, photos):
    recipe = pirl(32)
    (_, together), _ = make(engine, recipe, photos)
    for row in (0, 7):
        (_, alone), _ = make(engine, recipe, [photos[row]], [row])
        # What falls halfway between levels may be posterised to either side.
        assert ((alone[:, 0] - together[:, row]).abs() > 1e-4).float().mean() < 0.002
    again = draw(recipe, [0], image_sizes(photos[:1]), epoch=1)[-1][0].values
    assert (again != draw(recipe, [0], image_sizes(photos[:1]))[-1][0].values).any()


def test_the_engines_agree_on_patches(photos):
    for augmentation in ("blur", "npid"):
        recipe = pirl(32, augmentation=augmentation, **PLAIN)
        ours, theirs = (make(engine, recipe, photos)[0][-1] for engine in ENGINES)
        assert ((ours - theirs).abs().mean((2, 3, 4)) * 255).max() < 3


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("sizes", [((40, 52),), ((40, 52), (25, 60))], ids=["one", "several"])
def test_batches_carry_normalised_patches_of_their_examples(engine, sizes):
    source, recipe = of_sizes(*sizes), pirl(32)
    keywords = {"seed_digest": "run", "epoch": 3, "engine": engine, "device": "cpu"}
    batches = list(load_views(source, recipe, batch_size=4, workers=0, **keywords))
    for batch in batches:
        assert batch.patches.shape == (4, 9, 3, 9, 9)
        assert [tuple(group.shape) for group in batch.groups] == [(1, 4, 3, 32, 32)]
        images = [source.images[i] for i in batch.index.tolist()]
        draws = draw(recipe, batch.index.numpy(), image_sizes(images), epoch=3)
        maker = ENGINES[engine](recipe)
        expected = maker.finish(maker.prepare(images, draws), CPU)[-1].transpose(0, 1)
        assert torch.equal(batch.patches, expected)
    plain = dataclasses.replace(recipe, **PLAIN)
    (first, *_) = load_views(source, plain, batch_size=4, workers=0, **keywords)
    mean, std = (torch.tensor(three)[:, None, None] for three in (recipe.mean, recipe.std))
    torch.testing.assert_close(batches[0].patches, (first.patches - mean) / std, atol=1e-5, rtol=0)


@pytest.mark.slow
@pytest.mark.parametrize("engine", ENGINES)
def test_workers_change_no_patch(engine):
    source, recipe = of_sizes((40, 52), (25, 60)), pirl(32)
    keywords = {"seed_digest": "run", "epoch": 0, "engine": engine, "device": "cpu"}
    alone = list(load_views(source, recipe, batch_size=4, workers=0, **keywords))
    helped = list(load_views(source, recipe, batch_size=4, workers=2, **keywords))
    assert same(alone, helped)
    assert all(torch.equal(a.patches, b.patches) for a, b in zip(alone, helped, strict=True))


def test_batches_without_a_jigsaw_have_no_patches():
    keywords = {"seed_digest": "run", "epoch": 0, "engine": "torch", "device": "cpu"}
    (batch, *_) = load_views(
        of_sizes((20, 30)), supervised(16), batch_size=4, workers=0, **keywords
    )
    assert batch.patches is None


@pytest.mark.parametrize(
    ("jigsaw", "words"),
    [
        (jigsaw_of(cell=8, side=9), "24 pixels and patches of 9"),
        (jigsaw_of(side=0), "patches of 0"),
        (Jigsaw(board=View(count=1, side=37, operations=(Crop(),)), side=4, operations=()), "37"),
        (Jigsaw(board=View(count=2, side=36, operations=(Crop(),)), side=4, operations=()), "2 of"),
        (jigsaw_of(Flip(), Crop()), "not cropped again"),
        (Jigsaw(board=View(count=1, side=36, operations=()), side=4, operations=()), "one Crop"),
    ],
)
def test_a_jigsaw_that_cannot_be_cut_is_refused(jigsaw, words):
    with pytest.raises(SettingError, match=words):
        check_recipe(recipe_of(jigsaw))


def test_pirls_recipe_is_the_released_one():
    recipe = pirl(224)
    (image,), jigsaw = recipe.views, recipe.jigsaw
    assert (image.count, image.side, image.operations[0].scale) == (1, 224, (0.08, 1.0))
    assert (jigsaw.board.side, jigsaw.side) == (255, 64)
    assert jigsaw.board.operations == (Crop(scale=(0.6, 1.0)),)
    assert image.operations[1:] == jigsaw.operations
    jitter, group, gray, flip = jigsaw.operations
    assert (jitter.brightness, jitter.hue, jitter.probability) == (0.4, 0.2, 1.0)
    assert (group.bits, group.sharpness, group.thresholds) == ((4, 8), (0.1, 1.9), (0, 256))
    assert (group.probability, gray.probability, flip.probability) == (0.66, 0.2, 0.5)
    better = pirl(224, augmentation="blur").jigsaw.operations
    assert [type(operation) for operation in better] == [Flip, ColorJitter, Grayscale, GaussianBlur]
    assert (better[1].saturation, better[1].hue, better[1].probability) == (0.8, 0.2, 0.8)


def test_npids_recipe_is_wu_et_als():
    recipe = pirl(224, pretext="none", augmentation="npid", scale=(0.2, 1.0))
    assert recipe.jigsaw is None
    (image,) = recipe.views
    crop, gray, jitter, flip = image.operations
    assert (crop.scale, gray.probability, flip) == ((0.2, 1.0), 0.2, Flip())
    assert (jitter.brightness, jitter.hue, jitter.probability) == (0.4, 0.4, 1.0)


@pytest.mark.parametrize(("side", "cell", "patch"), [(224, 85, 64), (32, 12, 9), (96, 36, 27)])
def test_patches_scale_with_the_image(side, cell, patch):
    jigsaw = pirl(side).jigsaw
    assert (jigsaw.board.side, jigsaw.side) == (3 * cell, patch)


def test_every_image_size_gives_a_jigsaw_that_can_be_cut():
    for side in range(8, 257):
        check_recipe(pirl(side))
    for patch_side in range(1, 100):
        check_recipe(pirl(32, patch_side=patch_side))


def test_pretexts():
    (image, turned) = pirl(32, pretext="rotation").views
    assert turned.operations == (*image.operations, QuarterTurns())
    assert pirl(32, pretext="rotation").jigsaw is None
    both = pirl(32, pretext="jigsaw-rotation")
    assert len(both.views) == 1
    assert both.jigsaw.board.operations == (Crop(scale=(0.6, 1.0)), QuarterTurns())
    assert Photometric() in both.jigsaw.operations
