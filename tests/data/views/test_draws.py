"""Draws: torchvision's distributions, and nothing but seed, epoch, index and size decides them."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from tests.data.views.compositions import EVERY_OPERATION, whole
from torchvision.transforms import v2

from vireo.data.views.draws import check_recipe, draw_views, grouped_views, single_views
from vireo.data.views.published import multi_crop, supervised, two_crops
from vireo.data.views.recipe import (
    ColorJitter,
    Crop,
    Flip,
    GaussianBlur,
    Grayscale,
    Photometric,
    QuarterTurns,
    Solarize,
    View,
    ViewRecipe,
)
from vireo.errors import SettingError

NUM_DRAWS = 2000
# With fixed seeds the tests are deterministic; at this level a right sampler fails one seed in a
# thousand, and a wrong bound or scale by 5 % is found with 2000 draws.
LEVEL = 1e-3


def recipe_of(*operations, count=1):
    return ViewRecipe(
        views=(whole(operations, count=count),), mean=(0.5, 0.5, 0.5), std=(0.2, 0.2, 0.2)
    )


def draw(recipe, indices, size=(40, 52), *, seed_digest="run", epoch=0):
    sizes = np.tile(np.array(size), (len(indices), 1))
    return draw_views(recipe, indices, sizes, seed_digest=seed_digest, epoch=epoch)


def many(*operations, size=(40, 52)):
    return draw(recipe_of(*operations), range(NUM_DRAWS), size)[0]


def official(transform, size=(40, 52)):
    image = torch.zeros(3, *size, dtype=torch.uint8)
    torch.manual_seed(1)
    return [transform.make_params([image]) for _ in range(NUM_DRAWS)]


@pytest.mark.parametrize("size", [(40, 52), (300, 240), (30, 200), (150, 40)])
@pytest.mark.parametrize("scale", [(0.08, 1.0), (0.2, 1.0), (0.05, 0.14)])
def test_crops_have_torchvisions_distribution(size, scale):
    theirs = official(v2.RandomResizedCrop(24, scale=scale), size)
    ours = many(Crop(scale=scale), size=size)[0].values
    for column, name in enumerate(("top", "left", "height", "width")):
        expected = [params[name] for params in theirs]
        assert stats.ks_2samp(ours[:, column], expected).pvalue > LEVEL, name
    areas = ours[:, 2] * ours[:, 3], [params["height"] * params["width"] for params in theirs]
    assert stats.ks_2samp(*areas).pvalue > LEVEL


@pytest.mark.parametrize("size", [(10, 500), (500, 10), (1, 30), (30, 1)])
def test_a_crop_that_never_fits_is_torchvisions_central_one(size):
    (params, *_) = official(v2.RandomResizedCrop(24, scale=(1.0, 1.0)), size)
    ours = many(Crop(scale=(1.0, 1.0)), size=size)[0].values
    expected = [params[name] for name in ("top", "left", "height", "width")]
    assert (ours == expected).all()


@given(
    st.tuples(st.integers(1, 400), st.integers(1, 400)),
    st.floats(0.01, 1.0),
    st.floats(0.1, 10.0),
    st.integers(0, 10**6),
)
def test_a_crop_is_never_empty_nor_outside(size, scale, ratio, index):
    height, width = size
    recipe = recipe_of(Crop(scale=(scale / 2, scale), ratio=(ratio, ratio * 1.5)))
    (crop,) = draw(recipe, [index], (height, width))[0]
    top, left, box_height, box_width = crop.values[0]
    assert 1 <= box_height <= height - top
    assert 1 <= box_width <= width - left
    assert min(top, left) >= 0
    assert (crop.values == np.rint(crop.values)).all()


def test_jitter_has_torchvisions_distribution():
    theirs = official(v2.ColorJitter(0.4, 0.3, 1.5, 0.1))
    jitter = ColorJitter(brightness=0.4, contrast=0.3, saturation=1.5, hue=0.1, probability=0.8)
    _, ours = many(Crop(), jitter)
    for column, name in enumerate(("brightness", "contrast", "saturation", "hue")):
        expected = [params[f"{name}_factor"] for params in theirs]
        assert stats.ks_2samp(ours.values[:, column], expected).pvalue > LEVEL, name
    assert stats.binomtest(int(ours.applied.sum()), NUM_DRAWS, 0.8).pvalue > LEVEL


def test_all_orders_of_the_jitter_are_equally_likely():
    jitter = ColorJitter(brightness=0.4, contrast=0.4, saturation=0.4, hue=0.1)
    _, ours = many(Crop(), jitter)
    orders, counts = np.unique(ours.values[:, 4:], axis=0, return_counts=True)
    assert len(orders) == 24
    assert (np.sort(orders, axis=1) == [0, 1, 2, 3]).all()
    assert stats.chisquare(counts).pvalue > LEVEL


def test_blur_has_torchvisions_distribution():
    theirs = [params["sigma"][0] for params in official(v2.GaussianBlur(13, (0.1, 2.0)))]
    _, ours = many(Crop(), GaussianBlur(sigma=(0.1, 2.0), probability=0.5))
    assert stats.ks_2samp(ours.values[:, 0], theirs).pvalue > LEVEL


def test_the_photometric_group_reaches_both_ends_of_its_ranges_evenly():
    _, ours = many(Crop(), Photometric(thresholds=(0, 9)))
    bits, sharpness, threshold = ours.values.T
    for column, wanted in ((bits, range(4, 9)), (threshold, range(10))):
        values, counts = np.unique(column, return_counts=True)
        assert values.tolist() == list(wanted)
        assert stats.chisquare(counts).pvalue > LEVEL
    assert stats.kstest(sharpness, stats.uniform(0.1, 1.8).cdf).pvalue > LEVEL
    assert stats.binomtest(int(ours.applied.sum()), NUM_DRAWS, 0.66).pvalue > LEVEL


def test_the_four_turns_are_equally_likely():
    _, ours = many(Crop(), QuarterTurns())
    values, counts = np.unique(ours.values, return_counts=True)
    assert values.tolist() == [0, 1, 2, 3]
    assert stats.chisquare(counts).pvalue > LEVEL
    assert ours.applied.all()


@pytest.mark.parametrize(
    "kind", [Flip, Grayscale, GaussianBlur, Solarize, Photometric, QuarterTurns]
)
@pytest.mark.parametrize("probability", [0.0, 0.2, 1.0])
def test_operations_are_applied_as_often_as_they_say(kind, probability):
    _, ours = many(Crop(), kind(probability=probability))
    applied = int(ours.applied.sum())
    assert stats.binomtest(applied, NUM_DRAWS, probability).pvalue > LEVEL


def test_parameters_are_uncorrelated_between_operations_and_views():
    crop, jitter = Crop(), ColorJitter(brightness=0.4, contrast=0.4, saturation=0.4, hue=0.1)
    recipe = recipe_of(crop, jitter, GaussianBlur(), count=2)
    columns = [draws.values[:, :4] for view in draw(recipe, range(NUM_DRAWS)) for draws in view[1:]]
    correlation = np.corrcoef(np.concatenate(columns, axis=1).T) - np.eye(10)
    assert np.abs(correlation).max() < 4.5 / NUM_DRAWS**0.5


def test_an_examples_draws_do_not_depend_on_its_batch():
    recipe = recipe_of(*EVERY_OPERATION, count=2)
    indices = [5, 3, 900, 17, 4]
    sizes = np.array([(40, 52), (30, 30), (100, 40), (1, 9), (640, 480)])
    keywords = {"seed_digest": "run", "epoch": 2}
    together = draw_views(recipe, indices, sizes, **keywords)
    for row, index in enumerate(indices):
        alone = draw_views(recipe, [index], sizes[row : row + 1], **keywords)
        for view, lonely_view in zip(together, alone, strict=True):
            for ours, lonely in zip(view, lonely_view, strict=True):
                assert ours.applied[row] == lonely.applied[0]
                assert (ours.values[row] == lonely.values[0]).all()


def test_seed_epoch_index_and_view_each_draw_anew():
    recipe = recipe_of(Crop(), count=2)
    base = draw(recipe, [0])
    others = [
        base[1],
        draw(recipe, [1])[0],
        draw(recipe, [0], epoch=1)[0],
        draw(recipe, [0], seed_digest="other")[0],
    ]
    assert all((other[0].values != base[0][0].values).any() for other in others)
    assert (draw(recipe, [0])[0][0].values == base[0][0].values).all()


def test_views_are_counted_and_grouped_by_side_in_the_recipes_order():
    first, small, second = (
        View(count=count, side=side, operations=(Crop(),))
        for count, side in ((1, 32), (2, 16), (1, 32))
    )
    recipe = ViewRecipe(views=(first, small, second), mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
    assert single_views(recipe) == (first, small, small, second)
    assert grouped_views(recipe) == ((0, 3), (1, 2))


@pytest.mark.parametrize(
    ("operations", "found"),
    [((), "[]"), ((Flip(), Crop()), "['Flip', 'Crop']"), ((Crop(), Crop()), "['Crop', 'Crop']")],
)
def test_a_recipe_whose_crop_is_not_first_is_refused(operations, found):
    with pytest.raises(SettingError) as caught:
        check_recipe(recipe_of(*operations))
    assert found in str(caught.value)


@pytest.mark.parametrize(
    "crop",
    [
        Crop(scale=(0.0, 1.0)),
        Crop(scale=(1.0, 0.2)),
        Crop(scale=(0.5, 1.5)),
        Crop(scale=(float("nan"), 1.0)),
        Crop(ratio=(0.0, 1.0)),
        Crop(ratio=(2.0, 1.0)),
    ],
)
def test_a_crop_of_no_share_of_the_image_is_refused(crop):
    """Areas beyond the image never fit: every crop would be the central one."""
    with pytest.raises(SettingError, match="two shares of the image, above 0 and at most 1"):
        check_recipe(recipe_of(crop))


def test_a_recipe_without_views_or_pixels_is_refused():
    with pytest.raises(SettingError, match="lists none"):
        check_recipe(ViewRecipe(views=(), mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0)))
    with pytest.raises(SettingError, match="side 0"):
        check_recipe(supervised(0))


def test_published_recipes_are_the_papers():
    crop, jitter, gray, blur, flip = two_crops(224).views[0].operations
    assert (crop.scale, jitter.hue, jitter.probability) == ((0.2, 1.0), 0.1, 0.8)
    assert (gray.probability, blur.sigma, blur.probability) == (0.2, (0.1, 2.0), 0.5)
    assert flip.probability == 0.5
    large, small = multi_crop(224).views
    assert (large.count, large.side, large.operations[0].scale) == (2, 224, (0.14, 1.0))
    assert (small.count, small.side, small.operations[0].scale) == (6, 96, (0.05, 0.14))
    assert [type(operation) for operation in small.operations] == [
        Crop,
        Flip,
        ColorJitter,
        Grayscale,
        GaussianBlur,
    ]
    assert (small.operations[2].saturation, small.operations[2].hue) == (0.8, 0.2)
    assert supervised(224).views[0].operations == (Crop(), Flip())
    for recipe in (two_crops(32), two_crops(224), multi_crop(64, num_small=0), supervised(8)):
        check_recipe(recipe)


def test_small_views_are_not_blurred():
    blurred = [
        any(isinstance(operation, GaussianBlur) for operation in view.operations)
        for recipe in (two_crops(32), two_crops(96), multi_crop(96))
        for view in recipe.views
    ]
    assert blurred == [False, True, True, False]
