"""Colour operations and blur on a batch, with parameters per example, in float32 on any device.

Formulas are those of torchvision's float tensors; what goes by levels of 0..255 (solarise,
posterise, autocontrast) is Pillow's, decided by the level that a float rounds to. Brightness,
contrast and saturation are one formula, f x + (1 - f) r with r = 0, the mean luma or the luma
(Haeberli 1994), so that a batch whose examples are at different operations of their own order is
still one pass.
"""

import functools
from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64
from torch import Tensor

LUMA = (0.2989, 0.587, 0.114)
_CONTRAST, _SATURATION, _HUE = 1, 2, 3
_TINY = 1e-12


def apply_to(
    images: Float[Tensor, "batch 3 height width"],
    applied: Bool[np.ndarray, " batch"],
    function: Callable[..., Tensor],
    *values: Float64[np.ndarray, "batch ..."],
) -> None:
    """Replace the chosen examples, in place, by `function(their images, *their values)`."""
    if applied.all():
        images.copy_(function(images, *values))
        return
    chosen = np.flatnonzero(applied)
    if len(chosen) > 0:
        where = torch.from_numpy(chosen).to(images.device, non_blocking=True)
        part = function(images.index_select(0, where), *(value[chosen] for value in values))
        images.index_copy_(0, where, part)


def luma(images: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch 1 height width"]:
    """Return ITU-R 601 luma, with torchvision's rounding of its coefficients."""
    red, green, blue = images.unbind(1)
    gray = (red * LUMA[0]).add_(green, alpha=LUMA[1]).add_(blue, alpha=LUMA[2])
    return gray.unsqueeze(1)


def grayscale(
    images: Float[Tensor, "batch 3 height width"],
) -> Float[Tensor, "batch 3 height width"]:
    """Return the luma in all three channels."""
    return luma(images).expand_as(images)


def jitter(
    images: Float[Tensor, "batch 3 height width"], values: Float64[np.ndarray, "batch 8"]
) -> Float[Tensor, "batch 3 height width"]:
    """Apply brightness, contrast, saturation and hue, each example in its own order.

    Args:
        images: changed in place where possible.
        values: as in `Draw.values` of a ColorJitter.
    """
    order = values[:, 4:].astype(np.int64)
    for position in range(4):
        kind = order[:, position]
        factor = np.where(kind == _HUE, 1.0, values[np.arange(len(kind)), kind])
        images = _blend(images, kind, factor)
        hue = values[:, _HUE]
        apply_to(images, (kind == _HUE) & (hue != 0), shift_hue, hue)
    return images


def shift_hue(
    images: Float[Tensor, "batch 3 height width"], turns: Float64[np.ndarray, " batch"]
) -> Float[Tensor, "batch 3 height width"]:
    """Turn the hue, keeping saturation and value of HSV.

    With h in sixths of a turn, a channel is v - chroma * clamp(min(k, 4 - k), 0, 1) where
    k = (n + h) mod 6 and n = 5, 3, 1 for red, green, blue (Smith 1978, without its six cases).
    """
    red, green, blue = images.unbind(1)
    value, darkest = images.amax(1), images.amin(1)
    chroma = value - darkest
    divisor = chroma.clamp(min=_TINY)
    hue = torch.where(
        value == red,
        (green - blue) / divisor,
        torch.where(value == green, (blue - red) / divisor + 2, (red - green) / divisor + 4),
    )
    hue = hue.unsqueeze(1) + _column(turns * 6, images)
    # made there: a copy from the host would wait for the device
    offsets = torch.arange(5.0, 0.0, -2.0, device=images.device).view(1, 3, 1, 1)
    k = (hue + offsets).remainder_(6)
    share = torch.minimum(k, 4 - k).clamp_(0, 1)
    return value.unsqueeze(1) - chroma.unsqueeze(1) * share


def solarize(
    images: Float[Tensor, "batch 3 height width"],
    *,
    threshold: int | Float[Tensor, "batch 1 1 1"],
) -> Float[Tensor, "batch 3 height width"]:
    """Invert what rounds to a level at or above `threshold`: float values are between levels."""
    return torch.where(images >= (threshold - 0.5) / 255, 1 - images, images)


def pirl_group(
    images: Float[Tensor, "batch 3 height width"], values: Float64[np.ndarray, "batch 3"]
) -> Float[Tensor, "batch 3 height width"]:
    """Posterise, sharpen, solarise and stretch the contrast, as in PIRL's released code.

    Args:
        images: left as they are.
        values: as in `Draw.values` of a Photometric.
    """
    bits, factor, threshold = (_column(column, images) for column in values.T)
    images = sharpen(posterize(images, bits), factor)
    return autocontrast(solarize(images, threshold=threshold))


def posterize(
    images: Float[Tensor, "batch 3 height width"], bits: Float[Tensor, "batch 1 1 1"]
) -> Float[Tensor, "batch 3 height width"]:
    """Keep the first bits of each pixel's level."""
    levels, step = _levels(images), 2 ** (8 - bits)
    return (levels - levels.remainder(step)).div_(255)


def sharpen(
    images: Float[Tensor, "batch 3 height width"], factor: Float[Tensor, "batch 1 1 1"]
) -> Float[Tensor, "batch 3 height width"]:
    """Map x to f x + (1 - f) r, r being 3x3 means that count the centre five times.

    Pixels of the border stay as they are, in Pillow and torchvision too.
    """
    centre = images[:, :, 1:-1, 1:-1]
    if centre.numel() == 0:
        return images
    rows = images[:, :, :-2] + images[:, :, 1:-1] + images[:, :, 2:]
    smooth = rows[:, :, :, :-2] + rows[:, :, :, 1:-1] + rows[:, :, :, 2:]
    smooth = smooth.add_(centre, alpha=4).div_(13)
    sharp = images.clone()
    sharp[:, :, 1:-1, 1:-1] = (factor * centre + (1 - factor) * smooth).clamp_(0, 1)
    return sharp


def autocontrast(
    images: Float[Tensor, "batch 3 height width"],
) -> Float[Tensor, "batch 3 height width"]:
    """Stretch each channel so that its darkest level becomes 0 and its brightest 255.

    By levels: a channel that is flat in 8 bits stays so, where the rounding errors of its floats
    would be stretched to noise.
    """
    darkest = _levels(images.amin((2, 3), keepdim=True))
    spread = _levels(images.amax((2, 3), keepdim=True)) - darkest
    stretched = (images * 255 - darkest).div_(spread.clamp(min=1)).clamp_(0, 1)
    return torch.where(spread > 0, stretched, images)


def blur(
    images: Float[Tensor, "batch 3 height width"],
    sigma: Float64[np.ndarray, "batch 1"],
    *,
    radius: int,
) -> Float[Tensor, "batch 3 height width"]:
    """Convolve with a Gaussian of the example's sigma, borders reflected, as matrix products."""
    height, width = images.shape[2:]
    taps = torch.from_numpy(gaussian(sigma, radius)).to(images.device, non_blocking=True)
    rows = (taps @ _bands(height, radius, images.device)).view(-1, 1, height, height)
    columns = (taps @ _bands(width, radius, images.device)).view(-1, 1, width, width)
    return rows @ images @ columns.transpose(2, 3)


def gaussian(sigma: Float64[np.ndarray, "batch 1"], radius: int) -> Float[np.ndarray, "batch taps"]:
    """Return normalised taps at -radius..radius, float32."""
    steps = np.arange(-radius, radius + 1) / sigma
    taps = np.exp(-0.5 * steps**2)
    normalised: Float[np.ndarray, "batch taps"] = taps / taps.sum(1, keepdims=True)
    return normalised.astype(np.float32)


def _blend(
    images: Float[Tensor, "batch 3 height width"],
    kind: np.ndarray,
    factor: Float64[np.ndarray, " batch"],
) -> Float[Tensor, "batch 3 height width"]:
    gray = luma(images)
    mean = gray.mean((2, 3), keepdim=True)
    own, flat = (
        _column((1 - factor) * (kind == which), images) for which in (_SATURATION, _CONTRAST)
    )
    reference = gray.mul_(own).add_(mean * flat)
    return images.mul_(_column(factor, images)).add_(reference).clamp_(0, 1)


def _levels(images: Tensor) -> Tensor:
    return (images * 255 + 0.5).floor_()


def _column(values: np.ndarray, like: Tensor) -> Float[Tensor, "batch 1 1 1"]:
    column = torch.from_numpy(values.astype(np.float32))
    return column.to(like.device, non_blocking=True).view(-1, 1, 1, 1)


@functools.lru_cache(maxsize=16)
def _bands(length: int, radius: int, device: torch.device) -> Float[Tensor, "taps square"]:
    """Row t marks, in a [length, length] matrix, the pixel that tap t of each output reads."""
    output = np.arange(length)[None, :]
    source = output + np.arange(-radius, radius + 1)[:, None]
    period = max(1, 2 * (length - 1))
    folded = np.abs((source + length - 1) % period - (length - 1)) if length > 1 else 0 * source
    bands = np.zeros((2 * radius + 1, length, length), dtype=np.float32)
    np.put_along_axis(bands, folded[:, :, None], 1.0, axis=2)
    return torch.from_numpy(bands.reshape(2 * radius + 1, -1)).to(device)
