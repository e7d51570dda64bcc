"""The engine for CPUs: each image is made into its views in the loader worker that decoded it.

Colour and blur are OpenCV's float32 kernels: each of brightness, contrast and saturation is one
affine map of RGB. The resize is torch's 8-bit antialiased kernel, within one level of torchvision.
OpenCV's own antialiased INTER_AREA is a box filter: up to ten levels away, and slower (0.54 ms
against 0.17 ms from 330x400 to 224x224 on one AVX-512 core). Pixels are rounded to 8 bits twice:
after the resize and, to send a quarter of the bytes, at the end.
"""

from collections.abc import Sequence
from types import ModuleType

import numpy as np
import torch
from jaxtyping import Float32, Float64, UInt8
from torch import Tensor

from vireo.catalog import needs
from vireo.data.views.draws import Draw, Draws, blur_radius, grouped_views, single_views
from vireo.data.views.engine import Engine, Prepared, ViewGroups, image_sizes
from vireo.data.views.jigsaw import PATCHES, corners
from vireo.data.views.photometric import LUMA, gaussian
from vireo.data.views.recipe import (
    ColorJitter,
    Flip,
    GaussianBlur,
    Grayscale,
    Jigsaw,
    Operation,
    Photometric,
    QuarterTurns,
    Solarize,
    View,
    ViewRecipe,
)
from vireo.errors import MissingExtraError

_WHITE = np.float32(1 / 255)
_LUMA = np.array(LUMA)


class OpenCVEngine(Engine):
    """Per image, in the process that decodes.

    Args:
        recipe: of the views.

    Raises:
        MissingExtraError: OpenCV is not installed.
    """

    def __init__(self, recipe: ViewRecipe) -> None:
        _cv2()
        self._recipe = recipe

    def start_worker(self) -> None:
        """Keep OpenCV from starting a thread a core in every worker."""
        _cv2().setNumThreads(0)

    def prepare(
        self, images: Sequence[UInt8[np.ndarray, "_height _width 3"]], draws: Draws
    ) -> Prepared:
        """Make all views of the batch, 8 bits, channels last."""
        views, jigsaw = single_views(self._recipe), self._recipe.jigsaw
        groups = []
        for numbers in grouped_views(self._recipe):
            side = views[numbers[0]].side
            group = np.empty((len(numbers), len(images), side, side, 3), dtype=np.uint8)
            for i, image in enumerate(images):
                for out, number in zip(group, numbers, strict=True):
                    out[i] = make_view(views[number], draws[number], i, image)
            groups.append(torch.from_numpy(group))
        if jigsaw is not None:
            pieces = [make_patches(jigsaw, draws[-2:], i, image) for i, image in enumerate(images)]
            groups.append(torch.from_numpy(np.stack(pieces)).transpose(0, 1))
        return Prepared(tensors=tuple(groups), sizes=image_sizes(images), draws=())

    def finish(self, prepared: Prepared, device: torch.device) -> ViewGroups:
        """Normalise; views keep channels-last memory, which convolutions prefer."""
        mean, std = (
            torch.tensor(three, device=device) * 255
            for three in (self._recipe.mean, self._recipe.std)
        )
        return tuple(
            group.to(device, non_blocking=True).float().sub_(mean).div_(std).permute(0, 1, 4, 2, 3)
            for group in prepared.tensors
        )


def make_view(
    view: View, draws: tuple[Draw, ...], row: int, image: UInt8[np.ndarray, "height width 3"]
) -> UInt8[np.ndarray, "side side 3"]:
    """Make one view of the image that is number `row` of the batch of `draws`."""
    top, left, height, width = (int(value) for value in draws[0].values[row])
    pixels = resize(image[top : top + height, left : left + width], view.side)
    return _operate_all(list(zip(view.operations[1:], draws[1:], strict=True)), row, pixels)


def make_patches(
    recipe: Jigsaw, draws: Draws, row: int, image: UInt8[np.ndarray, "height width 3"]
) -> UInt8[np.ndarray, "9 side side 3"]:
    """Make the patches, in drawn order, of the image that is number `row` of the batch."""
    of_board, (cut, *rest) = draws
    board = make_view(recipe.board, of_board, row, image)
    steps = list(zip(recipe.operations, rest, strict=True))
    tops, lefts = corners(recipe, cut.values[row : row + 1])
    patches = [
        _operate_all(steps, row * PATCHES + i, board[top:, left:][: recipe.side, : recipe.side])
        for i, (top, left) in enumerate(zip(tops[0], lefts[0], strict=True))
    ]
    return np.stack(patches)


def _operate_all(
    steps: Sequence[tuple[Operation, Draw]], row: int, pixels: UInt8[np.ndarray, "height width 3"]
) -> UInt8[np.ndarray, "height width 3"]:
    image = pixels * _WHITE
    for operation, draw in steps:
        if draw.applied[row]:
            image = operate(operation, draw.values[row], image)
    result: UInt8[np.ndarray, "height width 3"] = _cv2().convertScaleAbs(image, alpha=255)
    return result


def resize(
    image: UInt8[np.ndarray, "height width 3"], side: int
) -> UInt8[np.ndarray, "{side} {side} 3"]:
    """Resize to a square, bilinear, antialiased."""
    # A read-only array (a memory map) is copied: torch warns of one that it could write to.
    writable = image if image.flags.writeable else image.copy()
    planes = torch.from_numpy(writable).permute(2, 0, 1)[None]
    planes = planes.contiguous(memory_format=torch.channels_last)
    small: Tensor = torch.nn.functional.interpolate(
        planes, (side, side), mode="bilinear", antialias=True
    )
    return np.ascontiguousarray(small[0].permute(1, 2, 0).numpy())


def operate(
    operation: Operation,
    values: Float64[np.ndarray, " parameters"],
    image: Float32[np.ndarray, "height width 3"],
) -> Float32[np.ndarray, "height width 3"]:
    """Apply one operation after the crop to an image in [0, 1]."""
    cv2 = _cv2()
    match operation:
        case Flip():
            result = cv2.flip(image, 1)
        case ColorJitter():
            result = jitter(image, values)
        case Grayscale():
            result = cv2.transform(image, np.tile(_LUMA, (3, 1)))
        case GaussianBlur():
            taps = gaussian(values[None, :], blur_radius(operation))[0]
            result = cv2.sepFilter2D(image, -1, taps, taps, borderType=cv2.BORDER_REFLECT_101)
        case Photometric():
            result = pirl_group(image, values)
        case QuarterTurns():
            result = np.ascontiguousarray(np.rot90(image, int(values[0])))
        case _:
            assert isinstance(operation, Solarize), operation
            result = solarize(image, operation.threshold)
    return result  # type: ignore[no-any-return]


def solarize(
    image: Float32[np.ndarray, "height width 3"], threshold: int
) -> Float32[np.ndarray, "height width 3"]:
    """Invert what rounds to a level at or above the threshold."""
    return np.where(image >= (threshold - 0.5) / 255, 1 - image, image)


def pirl_group(
    image: Float32[np.ndarray, "height width 3"], values: Float64[np.ndarray, "3"]
) -> Float32[np.ndarray, "height width 3"]:
    """Posterise, sharpen, solarise and stretch the contrast: formulas as in `photometric`."""
    bits, factor, threshold = values.tolist()
    image = sharpen(posterize(image, int(bits)), factor)
    return autocontrast(solarize(image, int(threshold)))


def posterize(
    image: Float32[np.ndarray, "height width 3"], bits: int
) -> Float32[np.ndarray, "height width 3"]:
    """Keep the first bits of each pixel's level."""
    levels = _levels(image)
    return (levels - levels % np.float32(2 ** (8 - bits))) * _WHITE


def sharpen(
    image: Float32[np.ndarray, "height width 3"], factor: float
) -> Float32[np.ndarray, "height width 3"]:
    """Move away from the 3x3 mean that counts the centre five times, but for the border."""
    kernel = np.full((3, 3), (1 - factor) / 13)
    kernel[1, 1] += factor + 4 * (1 - factor) / 13
    sharp = image.copy()
    if min(image.shape[:2]) > 2:
        sharp[1:-1, 1:-1] = _cv2().filter2D(image, -1, kernel)[1:-1, 1:-1].clip(0, 1)
    return sharp


def autocontrast(
    image: Float32[np.ndarray, "height width 3"],
) -> Float32[np.ndarray, "height width 3"]:
    """Stretch each channel from its darkest to its brightest level; a flat one stays."""
    pixels = image.reshape(-1, 3)
    darkest, brightest = _levels(pixels.min(0)), _levels(pixels.max(0))
    spread = brightest - darkest
    stretched = (image * np.float32(255) - darkest) / np.maximum(spread, np.float32(1))
    return np.where(spread > 0, stretched.clip(0, 1), image)


def _levels(image: Float32[np.ndarray, "*any 3"]) -> Float32[np.ndarray, "*any 3"]:
    levels: Float32[np.ndarray, "*any 3"] = np.floor(image * np.float32(255) + np.float32(0.5))
    return levels


def jitter(
    image: Float32[np.ndarray, "height width 3"], values: Float64[np.ndarray, "8"]
) -> Float32[np.ndarray, "height width 3"]:
    """Apply brightness, contrast, saturation and hue in the drawn order."""
    for kind in values[4:].astype(int).tolist():
        factor = float(values[kind])
        if kind == 3:
            image = image if factor == 0 else shift_hue(image, factor)
        else:
            image = _blend(image, kind, factor)
    return image


def shift_hue(
    image: Float32[np.ndarray, "height width 3"], turns: float
) -> Float32[np.ndarray, "height width 3"]:
    """Turn the hue; OpenCV's float32 HSV has it in degrees and wraps only upward."""
    cv2 = _cv2()
    hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV)
    hsv[:, :, 0] += np.float32(turns % 1.0 * 360)
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)  # type: ignore[no-any-return]


def _blend(
    image: Float32[np.ndarray, "height width 3"], kind: int, factor: float
) -> Float32[np.ndarray, "height width 3"]:
    """Map x to f x + (1 - f) r with r = 0, the mean luma or the luma; clip to [0, 1]."""
    cv2 = _cv2()
    matrix = np.zeros((3, 4))
    matrix[:, :3] = np.eye(3) * factor
    if kind == 1:
        matrix[:, 3] = (1 - factor) * np.dot(cv2.mean(image)[:3], _LUMA)
    elif kind == 2:
        matrix[:, :3] += (1 - factor) * _LUMA
    image = cv2.transform(image, matrix)
    image = cv2.threshold(image, 1.0, 0, cv2.THRESH_TRUNC, dst=image)[1]
    return cv2.threshold(image, 0.0, 0, cv2.THRESH_TOZERO, dst=image)[1]  # type: ignore[no-any-return]


def _cv2() -> ModuleType:
    try:
        import cv2
    except ImportError as error:
        raise MissingExtraError(
            needs("opencv-python-headless", "The view engine 'opencv'")
        ) from error
    return cv2
