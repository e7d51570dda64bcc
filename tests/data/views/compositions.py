"""What the tests of views share: photographs, a recipe of everything, torchvision's composition."""

import numpy as np
import torch
from PIL import Image, ImageEnhance, ImageFilter, ImageOps
from torchvision.transforms import functional as pillow
from torchvision.transforms.v2 import functional as tensors

from vireo.data.views.draws import Draw, blur_radius
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
)

SIDE = 24
EVERY_OPERATION = (
    Crop(scale=(0.2, 1.0)),
    ColorJitter(brightness=0.4, contrast=0.4, saturation=0.4, hue=0.1, probability=0.8),
    Grayscale(probability=0.2),
    GaussianBlur(probability=0.5),
    Solarize(probability=0.3),
    Flip(probability=0.5),
)


def smooth_image(seed: int, height: int, width: int) -> np.ndarray:
    """Blobs of colour with some noise: like a photograph, unlike white noise, for resizing."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (height // 8 + 2, width // 8 + 2, 3), dtype=np.uint8)
    image = np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))
    noisy = image + rng.normal(0, 8, image.shape)
    return np.clip(noisy, 0, 255).astype(np.uint8)


def whole(operations, *, side=SIDE, count=1) -> View:
    return View(count=count, side=side, operations=operations)


def float_composition(view: View, draws: tuple[Draw, ...], row: int, image: np.ndarray):
    """torchvision on float tensors: the exact arithmetic, nothing rounded between operations."""
    pixels = torch.from_numpy(image).permute(2, 0, 1).float() / 255
    return compose(view, draws, row, pixels, F=tensors)


def byte_composition(view: View, draws: tuple[Draw, ...], row: int, image: np.ndarray):
    """torchvision on 8-bit tensors, rounded after every operation."""
    pixels = torch.from_numpy(image).permute(2, 0, 1)
    return compose(view, draws, row, pixels, F=tensors).float() / 255


def pillow_composition(view: View, draws: tuple[Draw, ...], row: int, image: np.ndarray):
    """torchvision on Pillow: what the authors of MoCo v2 and SwAV ran."""
    result = compose(view, draws, row, Image.fromarray(image), F=pillow)
    return torch.from_numpy(np.array(result)).permute(2, 0, 1).float() / 255


def compose(view, draws, row, image, *, F):
    for operation, draw in zip(view.operations, draws, strict=True):
        if draw.applied[row]:
            image = apply_one(operation, draw.values[row], image, F=F, side=view.side)
    return image


def apply_one(operation, values, image, *, F, side):
    match operation:
        case Crop():
            box = values.astype(int).tolist()
            result = F.resized_crop(image, *box, [side, side], antialias=True)
        case Flip():
            result = F.hflip(image)
        case ColorJitter():
            result = jitter_one(values, image, F)
        case Grayscale():
            result = F.rgb_to_grayscale(image, num_output_channels=3)
        case GaussianBlur():
            result = blur_one(operation, float(values[0]), image, F)
        case Solarize():
            floating = torch.is_tensor(image) and image.is_floating_point()
            result = F.solarize(image, operation.threshold / (255 if floating else 1))
        case QuarterTurns():
            result = F.rotate(image, 90.0 * values[0])
        case _:
            assert isinstance(operation, Photometric)
            result = photometric_one(values, image)
    return result


def photometric_one(values, image):
    """Pillow's four operations, as PIRL's released code composes them; on 8 bits whatever comes."""
    if torch.is_tensor(image):
        levels = image if image.dtype == torch.uint8 else (image * 255).round().byte()
        found = photometric_one(values, pillow.to_pil_image(levels))
        result = torch.from_numpy(np.array(found)).permute(2, 0, 1)
        return result if image.dtype == torch.uint8 else result.float() / 255
    bits, sharpness, threshold = values
    image = ImageOps.posterize(image, int(bits))
    image = ImageEnhance.Sharpness(image).enhance(sharpness)
    return ImageOps.autocontrast(ImageOps.solarize(image, int(threshold)))


def blur_one(operation, sigma, image, F):
    if isinstance(image, Image.Image):
        return image.filter(ImageFilter.GaussianBlur(radius=sigma))
    taps = 2 * blur_radius(operation) + 1
    return F.gaussian_blur(image, [taps, taps], [sigma, sigma])


def jitter_one(values, image, F):
    adjust = (F.adjust_brightness, F.adjust_contrast, F.adjust_saturation, F.adjust_hue)
    for kind in values[4:].astype(int):
        image = adjust[kind](image, values[kind])
    return image
