"""Batches hold every example once, resized by the one rule, and fail with the file's sentence."""

import math
import multiprocessing
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vireo.data.loading import load_batches
from vireo.data.sources.image_folder import ImageFolderSource
from vireo.data.stacking import resize_image, resize_nearest
from vireo.errors import DataError


def load(source, target=None, size=(6, 8), **options):
    return list(load_batches(source, size=size, target=target, batch_size=4, **options))


def test_every_example_once_and_the_last_batch_kept(listed):
    source = listed(10, **{"class": list(range(10))})
    batches = load(source, "class")
    assert [len(batch.index) for batch in batches] == [4, 4, 2]
    assert torch.cat([batch.index for batch in batches]).tolist() == list(range(10))
    assert torch.cat([batch.target for batch in batches]).tolist() == list(range(10))
    images = torch.cat([batch.images for batch in batches])
    assert images.shape == (10, 1, 3, 6, 8)
    expected = np.stack(source.images).transpose(0, 3, 1, 2)
    assert np.array_equal(images[:, 0].numpy(), expected)


def test_the_order_is_that_of_the_indices(listed):
    source = listed(6, count=[5, 4, 3, 2, 1, 0])
    (first, second) = load(source, "count", indices=[5, 0, 3, 3, 1])
    assert first.index.tolist() == [5, 0, 3, 3]
    assert first.target.tolist() == [0, 5, 2, 2]
    assert (first.target.dtype, first.valid) == (torch.int64, None)
    assert second.index.tolist() == [1]
    assert load(source, indices=[]) == []


def tent(image, size):
    """Antialiased bilinear resizing: a tent as wide as a pixel of the smaller grid, in float64."""
    result = image.astype(np.float64)
    for axis, new in enumerate(size):
        old = image.shape[axis]
        scale = max(old / new, 1.0)
        centre = (np.arange(new) + 0.5) * old / new
        weights = np.zeros((new, old))
        for row in range(new):
            low = max(int(centre[row] - scale + 0.5), 0)
            high = min(int(centre[row] + scale + 0.5), old)
            taps = np.arange(low, high)
            near = np.maximum(0, 1 - np.abs(taps + 0.5 - centre[row]) / scale)
            weights[row, low:high] = near / near.sum()
        result = np.moveaxis(np.tensordot(weights, result, (1, axis)), 0, axis)
    return result


@pytest.mark.parametrize("size", [(3, 4), (12, 16), (5, 20), (6, 3), (1, 1)])
def test_images_are_resized_by_an_antialiased_tent(pixels, size):
    image = pixels(1, 6, 8)
    assert np.abs(resize_image(image, size) - tent(image, size)).max() <= 1


def test_an_image_of_the_right_size_is_not_touched(pixels):
    image = pixels(0)
    assert resize_image(image, (6, 8)) is image


@settings(max_examples=40, deadline=None)
@given(*[st.integers(1, 40)] * 4)
def test_nearest_takes_the_pixel_that_holds_the_centre(height, width, new_height, new_width):
    values = np.arange(height * width, dtype=np.int64).reshape(height, width)
    resized = resize_nearest(values, (new_height, new_width))
    half = Fraction(1, 2)
    for row in range(new_height):
        for column in range(new_width):
            place = (
                math.floor((row + half) * height / new_height),
                math.floor((column + half) * width / new_width),
            )
            assert resized[row, column] == values[place]


def test_nearest_is_torchs_nearest_exact():
    values = np.arange(70.0).reshape(7, 10)
    tensor = torch.from_numpy(values)[None, None]
    exact = torch.nn.functional.interpolate(tensor, (4, 23), mode="nearest-exact")
    assert np.array_equal(resize_nearest(values, (4, 23)), exact[0, 0].numpy())


def test_masks_are_codes_with_a_valid_map(listed):
    masks = [np.array([[0, 255, 1, 2], [3, 3, 255, 0]], dtype=np.uint8)] * 2
    (batch,) = load(listed(2, (2, 4), mask=masks), "mask", size=(4, 8))
    expected = np.repeat(np.repeat(masks[0], 2, axis=0), 2, axis=1)
    assert batch.target.dtype == torch.int64
    assert np.array_equal(batch.target[1].numpy(), expected)
    assert np.array_equal(batch.valid[1].numpy(), expected != 255)
    (other,) = load(listed(2, (2, 4), mask=masks), "mask", size=(2, 4), ignore_index=3)
    assert np.array_equal(other.valid[0].numpy(), masks[0] != 3)


def test_ids_of_16_bits_are_kept(listed):
    ids = [np.full((6, 8), 40_000, dtype=np.uint16)]
    (batch,) = load(listed(1, instances=ids), "instances")
    assert (batch.target == 40_000).all()


def test_depth_is_nearest_and_zero_where_invalid(listed):
    depth = np.array([[1.5, np.nan], [3.0, np.inf]], dtype=np.float32)
    (batch,) = load(listed(1, (2, 2), depth=[depth]), "depth", size=(4, 4))
    assert batch.target.shape == batch.valid.shape == (1, 1, 4, 4)
    assert batch.target.dtype == torch.float32
    assert batch.target[0, 0, :, 0].tolist() == [1.5, 1.5, 3.0, 3.0]
    assert batch.target[0, 0, :, 3].tolist() == [0.0] * 4
    assert batch.valid[0, 0, 0].tolist() == [True, True, False, False]


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (np.zeros((2, 6, 8), dtype=np.uint8), r"uint8 of shape \[2, 6, 8\]"),
        (np.zeros(3, dtype=np.int64), r"int64 of shape \[3\]"),
        (np.zeros((1, 2, 6, 8)), r"float64 of shape \[1, 2, 6, 8\]"),
    ],
)
def test_a_target_of_no_kind_is_refused(listed, value, found):
    with pytest.raises(DataError, match=rf"'age' of 'listed 0' must be a number.*got {found}"):
        load(listed(1, age=[value]), "age")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([1, 2.5], "'x' of 'listed 1' is float64, but 'x' of 'listed 0' is int64; make them alike"),
        ([np.zeros(2), np.zeros(3)], r"is float64 of shape \[3\], but .* of shape \[2\]"),
        ([np.zeros((6, 8)), np.zeros((1, 6, 8))], r"is float64 of shape \[1, 6, 8\], but"),
        ([np.zeros((3, 6, 8)), np.zeros((2, 6, 8))], r"is float64 of shape \[2, 6, 8\], but"),
        ([np.zeros((6, 8)), np.zeros((6, 8), dtype=int)], "is int64 of shape"),
    ],
)
def test_targets_of_two_kinds_are_refused(listed, values, message):
    with pytest.raises(DataError, match=message):
        load(listed(2, x=values), "x")


def test_measures_of_an_image_and_missing_ones(listed):
    (batch,) = load(listed(3, age=[3.5, float("nan"), -1.0]), "age")
    assert (batch.target.dtype, batch.target.shape) == (torch.float32, (3, 1))
    assert batch.target[:, 0].tolist() == [3.5, 0.0, -1.0]
    assert batch.valid.tolist() == [[True], [False], [True]]
    places = [np.array([1.0, 2.0, 3.0], dtype=np.float32), np.array([4.0, np.inf, 6.0])]
    (batch,) = load(listed(2, place=places), "place")
    assert batch.target.tolist() == [[1.0, 2.0, 3.0], [0.0, 0.0, 0.0]]
    assert batch.valid.tolist() == [[True], [False]]


def test_flow_that_is_resized_ends_at_the_same_place_of_the_picture(listed):
    """A pixel and the place that its flow points at keep their positions as shares of the image."""
    rng = np.random.default_rng(0)
    flow = rng.normal(size=(2, 6, 8)).astype(np.float32)
    flow[:, 0, 0], flow[1, 5, 7] = np.nan, np.inf
    (batch,) = load(listed(1, (6, 8), flow=[flow]), "flow", size=(12, 32))
    assert (batch.target.shape, batch.valid.shape) == ((1, 2, 12, 32), (1, 1, 12, 32))
    for row, column in ((2, 5), (4, 16), (11, 0), (7, 31)):
        u, v = flow[:, row // 2, column // 4]
        share = (u / 8, v / 6)
        found = batch.target[0, :, row, column].numpy() / [32, 12]
        if np.isfinite([u, v]).all():
            np.testing.assert_allclose(found, share, rtol=1e-6)
    invalid = np.zeros((12, 32), dtype=bool)
    invalid[:2, :4] = invalid[10:, 28:] = True
    assert np.array_equal(~batch.valid[0, 0].numpy(), invalid)
    assert (batch.target[0][:, invalid] == 0).all()


def test_flow_at_half_resolution_is_in_pixels_of_the_frame(listed):
    flow = np.full((2, 3, 4), 5.0, dtype=np.float32)
    (batch,) = load(listed(1, (6, 8), flow=[flow]), "flow", size=(6, 8))
    assert (batch.target == 5).all()


def test_other_maps_of_channels_keep_their_numbers(listed):
    normals = np.arange(144, dtype=np.float32).reshape(3, 6, 8)
    (batch,) = load(listed(1, normals=[normals]), "normals", size=(3, 4))
    assert np.array_equal(batch.target[0].numpy(), normals[:, 1::2, 1::2])


def uneven(listed, **values):
    """Two examples of 6 x 8 and 4 x 10 pixels."""
    source = listed(2, **values)
    small = np.random.default_rng(5).integers(1, 256, (4, 10, 3), dtype=np.uint8)
    source.images[1] = small
    return source


def test_images_at_their_own_resolution_are_padded_right_and_below(listed):
    mask = [np.full((6, 8), 7), np.arange(40).reshape(4, 10)]
    source = uneven(listed, mask=mask)
    (batch,) = load(source, "mask", resize=False)
    assert batch.images.shape == (2, 1, 3, 6, 10)
    assert batch.sizes.tolist() == [[6, 8], [4, 10]]
    for place, image in enumerate(source.images):
        height, width = image.shape[:2]
        padded = np.zeros((6, 10, 3), dtype=np.uint8)
        padded[:height, :width] = image
        assert np.array_equal(batch.images[place, 0].permute(1, 2, 0).numpy(), padded)
        inside = np.zeros((6, 10), dtype=bool)
        inside[:height, :width] = True
        assert np.array_equal(batch.valid[place].numpy(), inside)
        assert np.array_equal(batch.target[place, :height, :width].numpy(), mask[place])
    assert (batch.target[~batch.valid] == 255).all()
    (resized,) = load(source, "mask")
    assert resized.sizes is None


def test_flow_and_depth_are_padded_invalid_and_keep_their_numbers(listed):
    flow = [np.full((2, 6, 8), 3.0, np.float32), np.full((2, 4, 10), -2.0, np.float32)]
    (batch,) = load(uneven(listed, flow=flow), "flow", resize=False)
    assert batch.target.shape == (2, 2, 6, 10)
    assert batch.valid.sum(dim=(1, 2, 3)).tolist() == [48, 40]
    assert batch.target[0].sum() == 2 * 48 * 3
    assert batch.target[1].sum() == 2 * 40 * -2
    half = [np.full((3, 4), 1.5, np.float32), np.full((4, 10), 2.5, np.float32)]
    (batch,) = load(uneven(listed, depth=half), "depth", resize=False)
    assert batch.valid.sum(dim=(1, 2, 3)).tolist() == [48, 40]
    assert batch.target[0].sum() == 48 * 1.5


def test_a_map_of_another_shape_than_its_image_is_refused(listed):
    turned = [np.zeros((8, 6), dtype=np.uint8)]
    with pytest.raises(DataError, match="'mask' of 'listed 0' is 6 x 8 but its image 8 x 6"):
        load(listed(1, mask=turned), "mask")
    half = [np.zeros((3, 4), dtype=np.uint8)]
    (batch,) = load(listed(1, mask=half), "mask")
    assert batch.target.shape == (1, 6, 8)


def test_frames_must_be_equally_many(listed):
    source = listed(2)
    source.frames = lambda index: (source.images[0],) * (index + 1)
    with pytest.raises(DataError, match="'listed 1' has 2 frames where 'listed 0' has 1"):
        load(source)


@pytest.fixture
def folder(tmp_path, write, pixels):
    for number in range(10):
        write(tmp_path / f"{number % 2}/{number}.png", pixels(number, 5 + number, 9))
    return tmp_path


@pytest.mark.slow
def test_workers_change_nothing(folder):
    state = torch.get_rng_state()
    source = ImageFolderSource(root=folder)
    alone, helped = (load(source, "class", workers=workers) for workers in (0, 2))
    assert len(alone) == len(helped) == 3
    for left, right in zip(alone, helped, strict=True):
        assert torch.equal(left.images, right.images)
        assert torch.equal(left.target, right.target)
        assert torch.equal(left.index, right.index)
    assert torch.equal(torch.get_rng_state(), state)

    iterator = load_batches(source, size=(4, 4), target=None, batch_size=2, workers=2)
    next(iterator)
    iterator.close()
    assert multiprocessing.active_children() == []

    (folder / "1/7.png").write_bytes(b"<html>")
    sentences = []
    for workers in (0, 2):
        with pytest.raises(DataError) as caught:
            load(source, "class", workers=workers)
        sentences.append(str(caught.value))
        assert multiprocessing.active_children() == []
    assert sentences[0] == sentences[1]
    assert sentences[0].startswith(f"{folder}/1/7.png is not an image")
