"""The engine for GPUs: workers only decode; a batch is cropped, coloured and blurred on the device.

Every operation has parameters per example and runs on the whole batch, in float32. Images of one
size are cropped together; images of different sizes travel in one buffer, are cropped one by one,
and meet again as views. A mirror commutes with every operation of a view but a turn, so up to there
it costs nothing: the crop does it.
"""

import functools
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64, Int64, UInt8
from torch import Tensor

from vireo.data.views import jigsaw, photometric
from vireo.data.views.draws import Draw, Draws, blur_radius, grouped_views, single_views
from vireo.data.views.engine import Engine, Prepared, ViewGroups, image_sizes
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
from vireo.data.views.resample import crop_resize, crop_resize_each

Images = list[UInt8[Tensor, "_height _width 3"]] | UInt8[Tensor, "batch height width 3"]
Step = tuple[Operation, Draw]

# Views worked on at once; on a CPU a few, which stay in cache from one operation to the next.
_CHUNK_BYTES = {"cpu": 2 << 20, "cuda": 1 << 30}


class TorchEngine(Engine):
    """Batched torch, on any device.

    Args:
        recipe: of the views.
    """

    def __init__(self, recipe: ViewRecipe) -> None:
        self._recipe = recipe

    def start_worker(self) -> None:
        """Nothing to settle: workers only decode."""

    def prepare(
        self, images: Sequence[UInt8[np.ndarray, "_height _width 3"]], draws: Draws
    ) -> Prepared:
        """Put the images into one buffer."""
        pixels = np.concatenate([image.reshape(-1) for image in images])
        return Prepared(tensors=(torch.from_numpy(pixels),), sizes=image_sizes(images), draws=draws)

    def finish(self, prepared: Prepared, device: torch.device) -> ViewGroups:
        """Make all views of the batch."""
        pixels = prepared.tensors[0].to(device, non_blocking=True)
        images = unpack(pixels, prepared.sizes)
        # A caller's autocast would crop in bfloat16: three of the eight bits of a pixel lost.
        with torch.no_grad(), torch.autocast(device.type, enabled=False):
            groups = [
                self._group(numbers, images, prepared.draws)
                for numbers in grouped_views(self._recipe)
            ]
            if self._recipe.jigsaw is not None:
                patches = make_patches(self._recipe.jigsaw, prepared.draws[-2:], images)
                groups.append(self._normalise(patches).transpose(0, 1))
            return tuple(groups)

    def _group(
        self,
        numbers: tuple[int, ...],
        images: Images,
        draws: Draws,
    ) -> Float[Tensor, "views batch 3 side side"]:
        views = single_views(self._recipe)
        side, device = views[numbers[0]].side, images[0].device
        group = torch.empty(len(numbers), len(images), 3, side, side, device=device)
        for out, number in zip(group, numbers, strict=True):
            make_view(views[number], draws[number], images, out)
        return self._normalise(group)

    def _normalise(self, views: Float[Tensor, "*any side side"]) -> Float[Tensor, "*any side side"]:
        mean, std = (
            torch.tensor(three, device=views.device).view(3, 1, 1)
            for three in (self._recipe.mean, self._recipe.std)
        )
        return views.sub_(mean).div_(std)


def unpack(pixels: UInt8[Tensor, " bytes"], sizes: Int64[np.ndarray, "batch 2"]) -> Images:
    """Return the images of a buffer: one tensor if they share a size, else one each."""
    if (sizes == sizes[0]).all():
        return pixels.view(len(sizes), *sizes[0].tolist(), 3)
    parts = torch.split(pixels, (sizes.prod(1) * 3).tolist())
    return [part.view(*size, 3) for part, size in zip(parts, sizes.tolist(), strict=True)]


def make_view(
    view: View, draws: tuple[Draw, ...], images: Images, out: Float[Tensor, "batch 3 side side"]
) -> None:
    """Write one view of each image into `out`, in [0, 1]."""
    steps = list(zip(view.operations, draws, strict=True))
    turn = next((i for i, (op, _) in enumerate(steps) if isinstance(op, QuarterTurns)), len(steps))
    crop = crop_resize if isinstance(images, Tensor) else crop_resize_each
    crop(images, draws[0].values, _mirrored(steps[:turn]), out)  # type: ignore[arg-type]
    left = [step for step in steps[1:turn] if not isinstance(step[0], Flip)] + steps[turn:]
    _operate_all(left, out)


def make_patches(
    recipe: Jigsaw, draws: Draws, images: Images
) -> Float[Tensor, "batch 9 3 side side"]:
    """Return the patches of each image, in [0, 1] and in their drawn order."""
    of_board, (cut, *rest) = draws
    board = torch.empty(
        len(images), 3, recipe.board.side, recipe.board.side, device=images[0].device
    )
    make_view(recipe.board, of_board, images, board)
    patches = cut_patches(board, jigsaw.corners(recipe, cut.values), recipe.side)
    _operate_all(list(zip(recipe.operations, rest, strict=True)), patches.flatten(0, 1))
    return patches


def cut_patches(
    boards: Float[Tensor, "batch 3 board board"],
    corners: tuple[Int64[np.ndarray, "batch 9"], Int64[np.ndarray, "batch 9"]],
    side: int,
) -> Float[Tensor, "batch 9 3 side side"]:
    """Copy nine windows out of each board."""
    top, left = (
        torch.from_numpy(places).to(boards.device, non_blocking=True) for places in corners
    )
    steps = torch.arange(side, device=boards.device)
    rows, columns = top[:, :, None] + steps, left[:, :, None] + steps  # [batch, 9, side]
    batch = torch.arange(len(boards), device=boards.device)[:, None, None, None]
    patches = boards[batch, :, rows[:, :, :, None], columns[:, :, None, :]]
    return patches.permute(0, 1, 4, 2, 3).contiguous()


def _operate_all(steps: list[Step], images: Float[Tensor, "batch 3 side side"]) -> None:
    for part in _chunks(images):
        for operation, draw in steps:
            _operate(operation, draw.applied[part], draw.values[part], images[part])


def _operate(
    operation: Operation,
    applied: Bool[np.ndarray, " batch"],
    values: Float64[np.ndarray, "batch parameters"],
    images: Float[Tensor, "batch 3 side side"],
) -> None:
    match operation:
        case ColorJitter():
            photometric.apply_to(images, applied, photometric.jitter, values)
        case Grayscale():
            photometric.apply_to(images, applied, photometric.grayscale)
        case GaussianBlur():
            blur = functools.partial(photometric.blur, radius=blur_radius(operation))
            photometric.apply_to(images, applied, blur, values)
        case Solarize():
            solarize = functools.partial(photometric.solarize, threshold=operation.threshold)
            photometric.apply_to(images, applied, solarize)
        case Photometric():
            photometric.apply_to(images, applied, photometric.pirl_group, values)
        case QuarterTurns():
            for turns in (1, 2, 3):
                turn = functools.partial(torch.rot90, k=turns, dims=(2, 3))
                photometric.apply_to(images, applied & (values[:, 0] == turns), turn)
        case _:
            assert isinstance(operation, Flip), operation
            photometric.apply_to(images, applied, functools.partial(torch.flip, dims=(3,)))


def _mirrored(steps: list[Step]) -> Bool[np.ndarray, " batch"]:
    mirrored = np.zeros(len(steps[0][1].applied), dtype=bool)
    for operation, draw in steps:
        if isinstance(operation, Flip):
            mirrored ^= draw.applied
    return mirrored


def _chunks(images: Float[Tensor, "batch 3 side side"]) -> Iterator[slice]:
    step = max(1, _CHUNK_BYTES[images.device.type] // (images[0].numel() * 4))
    return (slice(first, first + step) for first in range(0, len(images), step))
