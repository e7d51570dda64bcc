"""Batches hold every example once, resized by the one rule, and fail with the file's sentence."""

import math
import multiprocessing
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vireo.data.loading import load_batches, resize_image, resize_nearest
from vireo.data.sources.image_folder import ImageFolderSource
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


def test_a_target_of_no_kind_is_refused(listed):
    with pytest.raises(DataError, match=r"'age' of 'listed 0' must be a whole number .*got float"):
        load(listed(1, age=[3.5]), "age")
    flow = [np.zeros((6, 8, 2), dtype=np.float32)]
    with pytest.raises(DataError, match=r"'flow' of 'listed 0'.*got ndarray"):
        load(listed(1, flow=flow), "flow")


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
