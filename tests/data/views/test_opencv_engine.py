"""The OpenCV engine, operation by operation, against torchvision on float tensors.

Colour and blur are float32 on both sides and differ by rounding alone. The resize works on 8 bits:
it rounds after rows and after columns with weights of 16 bits, which stays within one level.
"""

import itertools
import sys

import numpy as np
import pytest
import torch
from tests.data.views.compositions import jitter_one, smooth_image
from torchvision.transforms.v2 import functional as F

from vireo.data.views import opencv_engine, photometric
from vireo.data.views.published import supervised
from vireo.data.views.recipe import (
    Flip,
    GaussianBlur,
    Grayscale,
    Photometric,
    QuarterTurns,
    Solarize,
)
from vireo.errors import MissingExtraError

ROUNDING = 5e-6
NOTHING = np.zeros(0)


def channels_last(image: torch.Tensor) -> np.ndarray:
    return np.ascontiguousarray(image.permute(1, 2, 0).numpy())


def check(ours: np.ndarray, theirs: torch.Tensor) -> None:
    np.testing.assert_allclose(ours, channels_last(theirs), atol=ROUNDING, rtol=0)


@pytest.mark.parametrize("side", [1, 7, 24, 96])
@pytest.mark.parametrize("size", [(50, 70), (1, 1), (1, 70), (24, 24), (300, 40)])
def test_resize(size, side):
    image = smooth_image(0, *size)
    ours = opencv_engine.resize(image, side).astype(int)
    planes = torch.from_numpy(image).permute(2, 0, 1)
    for theirs in (planes, planes.float()):
        resized = F.resize(theirs, [side, side], antialias=True)
        assert np.abs(ours - channels_last(resized).astype(float)).max() <= 1


def test_resize_of_a_window_and_of_read_only_memory():
    image = smooth_image(0, 50, 70)
    window = image[3:44, 7:40]
    expected = opencv_engine.resize(np.ascontiguousarray(window), 24)
    image.flags.writeable = False
    assert (opencv_engine.resize(image[3:44, 7:40], 24) == expected).all()


@pytest.mark.parametrize("which", [0, 1, 2], ids=["brightness", "contrast", "saturation"])
@pytest.mark.parametrize("factor", [0, 0.3, 0.999, 1, 1.7, 3])
def test_blends(float_images, which, factor):
    values = np.array([1.0, 1, 1, 0, 0, 1, 2, 3])
    values[which] = factor
    for image in float_images:
        check(opencv_engine.jitter(channels_last(image), values), jitter_one(values, image, F))


@pytest.mark.parametrize("turns", [-0.5, -0.123, -1e-3, 0.0, 1e-3, 0.25, 0.5])
def test_hue(float_images, turns):
    for image in float_images:
        check(opencv_engine.shift_hue(channels_last(image), turns), F.adjust_hue(image, turns))


def test_every_order_of_the_jitter(float_images):
    rng = np.random.default_rng(0)
    for order in itertools.permutations(range(4)):
        values = np.append(rng.uniform([0.2, 0.2, 0.2, -0.5], [1.8, 1.8, 1.8, 0.5]), order)
        ours = opencv_engine.jitter(channels_last(float_images[0]), values)
        check(ours, jitter_one(values, float_images[0], F))


def test_grayscale_and_flip(float_images):
    image = float_images[0]
    gray = opencv_engine.operate(Grayscale(), NOTHING, channels_last(image))
    check(gray, F.rgb_to_grayscale(image, num_output_channels=3))
    check(opencv_engine.operate(Flip(), NOTHING, channels_last(image)), F.hflip(image))


@pytest.mark.parametrize("threshold", [0, 1, 128, 200, 255])
def test_solarize(threshold):
    levels = torch.arange(256, dtype=torch.uint8).expand(3, 1, 256)
    ours = opencv_engine.operate(
        Solarize(threshold=threshold), NOTHING, channels_last(levels / 255)
    )
    check(ours, F.solarize(levels, threshold) / 255)


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_quarter_turns(float_images, turns):
    image = float_images[0, :, :, :17]
    ours = opencv_engine.operate(QuarterTurns(), np.array([float(turns)]), channels_last(image))
    check(ours, F.rotate(image, 90.0 * turns))


@pytest.mark.parametrize("bits", [4, 5, 6, 7, 8])
def test_posterize(bits):
    levels = torch.arange(256, dtype=torch.uint8).expand(3, 1, 256)
    noisy = (levels + (torch.rand(levels.shape) - 0.5) * 0.9) / 255
    for image in (levels / 255, noisy):
        check(opencv_engine.posterize(channels_last(image), bits), F.posterize(levels, bits) / 255)


@pytest.mark.parametrize("factor", [0.0, 0.1, 0.7, 1.0, 1.9])
@pytest.mark.parametrize("size", [(17, 21), (3, 3), (2, 9), (1, 1)])
def test_sharpen(float_images, factor, size):
    image = float_images[0, :, : size[0], : size[1]]
    ours = opencv_engine.sharpen(channels_last(image), factor)
    check(ours, F.adjust_sharpness(image, factor))


def test_autocontrast(float_images):
    for levels in (float_images * 200 + 20).byte():
        ours = opencv_engine.autocontrast(channels_last(levels / 255))
        check(ours, F.autocontrast(levels / 255))
    flat = np.full((4, 4, 3), 100 / 255, dtype=np.float32)
    flat[0] += np.float32(3e-8)
    assert (opencv_engine.autocontrast(flat) == flat).all()


def test_pirls_group_is_the_torch_engines(float_images):
    rng = np.random.default_rng(0)
    for image in float_images:
        values = np.array([rng.integers(4, 9), rng.uniform(0.1, 1.9), rng.integers(0, 257)])
        ours = opencv_engine.pirl_group(channels_last(image), values)
        theirs = photometric.pirl_group(image[None], values[None])[0]
        # A value halfway between levels may fall to either side of a threshold.
        assert (np.abs(ours - channels_last(theirs)) > 1e-4).mean() < 0.005


@pytest.mark.parametrize("sigma", [0.1, 0.7, 1.3, 2.0])
def test_blur(float_images, sigma):
    operation = GaussianBlur(sigma=(0.1, 2.0))
    ours = opencv_engine.operate(operation, np.array([sigma]), channels_last(float_images[0]))
    check(ours, F.gaussian_blur(float_images[0], [13, 13], [sigma, sigma]))


def test_blur_wider_than_the_image_is_the_torch_engines():
    image = np.random.default_rng(0).random((4, 4, 3), dtype=np.float32)
    ours = opencv_engine.operate(GaussianBlur(), np.array([2.0]), image)
    planes = torch.from_numpy(image).permute(2, 0, 1)[None]
    theirs = photometric.blur(planes, np.array([[2.0]]), radius=6)[0]
    check(ours, theirs)


def test_operations_leave_their_input_alone(float_images):
    image = channels_last(float_images[0, :, :, :17])
    before = image.copy()
    values = np.array([0.5, 1.5, 0.5, 0.1, 3, 0, 1, 2])
    opencv_engine.jitter(image, values)
    for operation in (Flip(), Grayscale(), GaussianBlur(), Solarize(), QuarterTurns()):
        opencv_engine.operate(operation, np.array([1.0]), image)
    opencv_engine.operate(Photometric(), np.array([4.0, 1.5, 100.0]), image)
    assert (image == before).all()


def test_without_opencv_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(MissingExtraError, match="pip install opencv-python-headless"):
        opencv_engine.OpenCVEngine(supervised(8))
