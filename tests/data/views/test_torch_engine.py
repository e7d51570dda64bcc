"""The torch engine, operation by operation, against torchvision on float tensors.

Both compute in float32 from the same formulas, so they differ by rounding alone: some 1e-7 a step,
2e-6 with room. (One 8-bit level is 4e-3.)
"""

import itertools

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance, ImageFilter, ImageOps
from tests.data.views.compositions import jitter_one, photometric_one, smooth_image
from torchvision.transforms.v2 import functional as F

from vireo.data.views import photometric, resample

ROUNDING = 2e-6
BOXES = {
    "whole": (0, 0, 50, 70),
    "smaller": (3, 7, 41, 33),
    "one pixel": (49, 69, 1, 1),
    "one row": (10, 0, 1, 70),
    "corner": (30, 50, 20, 20),
    "one column": (0, 20, 50, 1),
}


def as_torch(image):
    return torch.from_numpy(image).permute(2, 0, 1).float() / 255


@pytest.fixture
def crops():
    images = torch.from_numpy(np.stack([smooth_image(i, 50, 70) for i in range(len(BOXES))]))
    boxes = np.array(list(BOXES.values()), dtype=np.float64)
    flips = np.arange(len(BOXES)) % 2 == 1
    return images, boxes, flips


def expected_crops(images, boxes, flips, side):
    crops = [
        F.resized_crop(as_torch(np.asarray(image)), *map(int, box), [side, side], antialias=True)
        for image, box in zip(images, boxes, strict=True)
    ]
    return torch.stack(
        [F.hflip(crop) if flip else crop for crop, flip in zip(crops, flips, strict=True)]
    )


# 1 shrinks fiftyfold, 24 shrinks some and enlarges others, 96 enlarges all.
@pytest.mark.parametrize("side", [1, 7, 24, 96])
@pytest.mark.parametrize("chunk_images", [1, 2, 100])
def test_crop_and_resize(crops, side, chunk_images, monkeypatch):
    images, boxes, flips = crops
    monkeypatch.setitem(resample._CHUNK_BYTES, "cpu", chunk_images * images[0].numel() * 4)
    out = torch.full((len(images), 3, side, side), torch.nan)
    resample.crop_resize(images, boxes, flips, out)
    torch.testing.assert_close(out, expected_crops(*crops, side), atol=5e-6, rtol=0)


@pytest.mark.parametrize("chunk_bytes", [1, 1 << 20])
def test_crop_and_resize_of_images_of_different_sizes(chunk_bytes, monkeypatch):
    monkeypatch.setitem(resample._CHUNK_BYTES, "cpu", chunk_bytes)
    images = [torch.from_numpy(smooth_image(i, 20 + 9 * i, 90 - 11 * i)) for i in range(5)]
    boxes = np.array([(i, 2 * i, 19 + i, 20 + i) for i in range(5)], dtype=np.float64)
    flips = np.array([True, False, False, True, False])
    out = torch.full((5, 3, 16, 16), torch.nan)
    resample.crop_resize_each(images, boxes, flips, out)
    torch.testing.assert_close(out, expected_crops(images, boxes, flips, 16), atol=5e-6, rtol=0)


def test_pixels_outside_the_box_do_not_count(crops):
    images, boxes, flips = crops
    first, second = torch.empty(2, 6, 3, 8, 8)
    resample.crop_resize(images, boxes, flips, first)
    for image, (top, left, height, width) in zip(images, boxes.astype(int), strict=True):
        kept = image[top : top + height, left : left + width].clone()
        image.fill_(255)
        image[top : top + height, left : left + width] = kept
    resample.crop_resize(images, boxes, flips, second)
    torch.testing.assert_close(first, second, atol=0, rtol=0)


def check_jitter(images, values):
    ours = photometric.jitter(images.clone(), values)
    theirs = [jitter_one(row, image, F) for row, image in zip(values, images, strict=True)]
    torch.testing.assert_close(ours, torch.stack(theirs), atol=ROUNDING, rtol=0)


@pytest.mark.parametrize("which", [0, 1, 2], ids=["brightness", "contrast", "saturation"])
def test_blends(float_images, which):
    values = np.tile([1.0, 1, 1, 0, 0, 1, 2, 3], (6, 1))
    values[:, which] = [0, 0.3, 0.999, 1, 1.7, 3]
    check_jitter(float_images, values)


def test_hue(float_images):
    values = np.tile([1.0, 1, 1, 0, 3, 1, 2, 0], (6, 1))
    values[:, 3] = [-0.5, -0.123, 0, 1e-3, 0.25, 0.5]
    check_jitter(float_images, values)


def test_every_order_of_the_jitter_at_once(float_images):
    orders = np.array(list(itertools.permutations(range(4))), dtype=np.float64)
    factors = np.random.default_rng(0).uniform([0.2, 0.2, 0.2, -0.5], [1.8, 1.8, 1.8, 0.5], (24, 4))
    check_jitter(float_images.repeat(4, 1, 1, 1), np.concatenate([factors, orders], axis=1))


def test_neutral_factors_change_nothing(float_images):
    values = np.tile([1.0, 1, 1, 0, 2, 0, 3, 1], (6, 1))
    assert torch.equal(photometric.jitter(float_images.clone(), values), float_images)


def test_grayscale(float_images):
    expected = F.rgb_to_grayscale(float_images, num_output_channels=3)
    torch.testing.assert_close(photometric.grayscale(float_images), expected, atol=ROUNDING, rtol=0)


@pytest.mark.parametrize("threshold", [0, 1, 128, 200, 255])
def test_solarize_decides_by_the_rounded_level(threshold):
    levels = torch.arange(256, dtype=torch.uint8).expand(1, 3, 1, 256)
    noisy = levels / 255 + (torch.rand(levels.shape) - 0.5) * 0.9 / 255
    inverted = photometric.solarize(noisy, threshold=threshold) != noisy
    expected = F.solarize(levels, threshold) != levels
    assert torch.equal(inverted, expected)
    exact = photometric.solarize(levels / 255, threshold=threshold)
    torch.testing.assert_close(exact, F.solarize(levels, threshold) / 255, atol=1e-7, rtol=0)


def per_example(values):
    return torch.tensor(values, dtype=torch.float32).view(-1, 1, 1, 1)


def test_solarize_has_a_threshold_an_example():
    levels = torch.arange(256, dtype=torch.uint8).expand(4, 3, 1, 256)
    thresholds = [0, 77, 255, 256]
    ours = photometric.solarize(levels / 255, threshold=per_example(thresholds))
    theirs = [
        np.array(ImageOps.solarize(as_pillow(image), threshold))
        for image, threshold in zip(levels, thresholds, strict=True)
    ]
    assert np.array_equal(as_levels(ours), theirs)


def as_pillow(image):
    return Image.fromarray(image.permute(1, 2, 0).numpy())


def as_levels(images):
    """Float images whose values are levels, as Pillow's arrays."""
    levels = (images * 255).round()
    torch.testing.assert_close(images * 255, levels, atol=1e-4, rtol=0)
    return levels.byte().permute(0, 2, 3, 1).numpy()


def test_posterize_is_pillows_and_torchvisions():
    levels = torch.arange(256, dtype=torch.uint8).expand(5, 3, 1, 256)
    bits = [4, 5, 6, 7, 8]
    ours = as_levels(photometric.posterize(levels / 255, per_example(bits)))
    for image, kept, result in zip(levels, bits, ours, strict=True):
        assert np.array_equal(result, np.array(ImageOps.posterize(as_pillow(image), kept)))
        assert np.array_equal(result, F.posterize(image, kept).permute(1, 2, 0))


def test_posterize_decides_by_the_rounded_level():
    levels = torch.arange(256.0).expand(1, 3, 1, 256)
    noisy = (levels + (torch.rand(levels.shape) - 0.5) * 0.9) / 255
    exact = photometric.posterize(levels / 255, per_example([4]))
    assert torch.equal(photometric.posterize(noisy, per_example([4])), exact)


@pytest.mark.parametrize("factor", [0.0, 0.1, 0.7, 1.0, 1.9])
def test_sharpen_is_torchvisions(float_images, factor):
    ours = photometric.sharpen(float_images, per_example([factor] * 6))
    theirs = F.adjust_sharpness(float_images, factor)
    torch.testing.assert_close(ours, theirs, atol=ROUNDING, rtol=0)


@pytest.mark.parametrize("size", [(1, 1), (2, 5), (5, 2)])
def test_sharpen_leaves_what_is_all_border(size):
    images = torch.rand(1, 3, *size)
    ours = photometric.sharpen(images, per_example([1.9]))
    assert torch.equal(ours, F.adjust_sharpness(images, 1.9))
    assert torch.equal(ours, images)


def test_sharpen_is_pillows_but_for_its_cut_fractions():
    image = smooth_image(0, 30, 40)
    for factor in (0.1, 0.9, 1.9):
        ours = photometric.sharpen(as_torch(image)[None], per_example([factor]))[0] * 255
        theirs = np.array(ImageEnhance.Sharpness(Image.fromarray(image)).enhance(factor))
        # Pillow rounds the mean, which |1 - factor| < 1 scales, and cuts off the result's fraction.
        assert np.abs(ours.permute(1, 2, 0).numpy() - theirs).max() < 1.5


def test_autocontrast_is_torchvisions_and_pillows(float_images):
    levels = (float_images * 200 + 20).byte()
    levels[:, 0, :, 3:] = levels[:, :1, 3, 3, None]  # two levels only in one channel
    ours = photometric.autocontrast(levels / 255)
    theirs = F.autocontrast(levels / 255)
    torch.testing.assert_close(ours, theirs, atol=ROUNDING, rtol=0)
    for image, result in zip(levels, ours, strict=True):
        pillow = np.array(ImageOps.autocontrast(as_pillow(image)))
        assert np.abs(result.permute(1, 2, 0).numpy() * 255 - pillow).max() < 1.001  # it cuts off


def test_autocontrast_leaves_a_channel_flat_whose_floats_differ_by_rounding():
    flat = torch.full((1, 3, 4, 4), 100 / 255)
    flat[:, :, 0] += 3e-8
    assert len(flat.unique()) == 2
    assert torch.equal(photometric.autocontrast(flat), flat)


def test_pirls_group_is_pillows_in_its_order():
    """One example of each kind: no step moves a level across the threshold of another."""
    images = torch.from_numpy(np.stack([smooth_image(i, 24, 32) for i in range(4)]))
    images = images.permute(0, 3, 1, 2).float() / 255
    values = np.array([[4, 1.0, 256], [8, 0.4, 256], [5, 1.0, 60], [8, 1.9, 0]])
    ours = photometric.pirl_group(images.clone(), values)
    theirs = [photometric_one(row, image) for row, image in zip(values, images, strict=True)]
    # Cut fractions are stretched with the rest: the images use three quarters of the levels.
    assert (ours - torch.stack(theirs)).abs().max() * 255 < 3


def test_blur(float_images):
    sigma = np.array([[0.1], [0.3], [0.8], [1.3], [1.9], [2.0]])
    ours = photometric.blur(float_images, sigma, radius=6)
    theirs = [
        F.gaussian_blur(image, [13, 13], [s, s])
        for image, (s,) in zip(float_images, sigma, strict=True)
    ]
    torch.testing.assert_close(ours, torch.stack(theirs), atol=ROUNDING, rtol=0)


@pytest.mark.parametrize("side", [1, 2, 5])
def test_blur_wider_than_the_image_reflects_again_and_again(side):
    images = torch.rand(2, 3, side, side)
    taps = photometric.gaussian(np.array([[2.0]]), 6)[0]
    padded = np.pad(images.numpy(), ((0, 0), (0, 0), (6, 6), (6, 6)), mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (13, 13), axis=(2, 3))
    expected = np.einsum("bchwij,i,j->bchw", windows, taps, taps)
    ours = photometric.blur(images, np.full((2, 1), 2.0), radius=6)
    np.testing.assert_allclose(ours.numpy(), expected, atol=ROUNDING)


@pytest.mark.parametrize("sigma", [0.5, 1.0, 2.0])
def test_sigma_is_pillows_radius(sigma):
    """Pillow approximates the Gaussian by three box filters: a level on average, not an error."""
    image = smooth_image(0, 48, 48)
    pillow = np.asarray(Image.fromarray(image).filter(ImageFilter.GaussianBlur(radius=sigma)))

    def distance(value):
        ours = photometric.blur(as_torch(image)[None], np.array([[value]]), radius=7)[0] * 255
        difference = np.abs(ours.permute(1, 2, 0).numpy() - pillow)[8:-8, 8:-8]
        return difference.mean()

    assert distance(sigma) < 0.8
    assert distance(sigma) < min(distance(0.7 * sigma), distance(1.4 * sigma))


def test_only_the_chosen_examples_change(float_images):
    before = float_images.clone()
    applied = np.array([False, True, False, False, True, False])
    values = np.arange(6.0)[:, None]
    photometric.apply_to(
        float_images,
        applied,
        lambda images, value: images + torch.tensor(value).float()[..., None, None],
        values,
    )
    changed = (float_images - before).mean((1, 2, 3))
    torch.testing.assert_close(changed, torch.tensor([0.0, 1, 0, 0, 4, 0]), atol=1e-6, rtol=0)
    photometric.apply_to(float_images, applied & False, lambda images: images / 0)
    assert torch.isfinite(float_images).all()
