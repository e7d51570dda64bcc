"""The random parameters of a recipe: drawn per example and view, the same for every engine.

An example's draws are a function of (seed digest, "views", epoch, index, image size) alone: neither
the engine nor the number of workers, the batch or its order changes them. One generator an example
gives one row of uniform numbers; distributions are then vectorised over the batch. They are
torchvision's: crops by up to ten tries of area and log-uniform ratio and then the central crop
(Szegedy et al. 2015), jitter factors uniform around 1 and applied in a random order.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int64

from vireo import seeding
from vireo.data.views import jigsaw
from vireo.data.views.recipe import (
    ColorJitter,
    Crop,
    GaussianBlur,
    Jigsaw,
    Operation,
    Photometric,
    QuarterTurns,
    View,
    ViewRecipe,
)
from vireo.errors import SettingError

_TRIES = 10
_NUM_JITTERS = 4


@dataclass(frozen=True, kw_only=True)
class Draw:
    """One operation's parameters for the examples of a batch.

    Attributes:
        applied: which examples the operation touches.
        values: by operation: Crop top, left, height, width in pixels; ColorJitter the factors of
            brightness, contrast and saturation, the hue shift in turns, then which of these four
            (0..3) comes first, second, third and last; GaussianBlur sigma; Photometric bits,
            sharpness and threshold; QuarterTurns their number; the others none.
    """

    applied: Bool[np.ndarray, " batch"]
    values: Float64[np.ndarray, "batch parameters"]


Draws = tuple[tuple[Draw, ...], ...]
"""One tuple a view of `single_views`, one `Draw` an operation.

Two more where the recipe has a jigsaw: its board's operations; the cut (`jigsaw.draw_cuts`) and the
patches' operations, whose rows are the patches, nine an example.
"""


def single_views(recipe: ViewRecipe) -> tuple[View, ...]:
    """Return the views of an example one by one: a view with `count` 2 comes twice."""
    return tuple(view for view in recipe.views for _ in range(view.count))


def grouped_views(recipe: ViewRecipe) -> tuple[tuple[int, ...], ...]:
    """Return the numbers of the single views that share a side, first side first.

    Example:
        >>> from vireo.data.views.published import multi_crop
        >>> grouped_views(multi_crop(224))
        ((0, 1), (2, 3, 4, 5, 6, 7))
    """
    groups: dict[int, list[int]] = {}
    for number, view in enumerate(single_views(recipe)):
        groups.setdefault(view.side, []).append(number)
    return tuple(map(tuple, groups.values()))


def blur_radius(operation: GaussianBlur) -> int:
    """Return the taps on either side of a blur's centre: three of its largest deviations."""
    return math.ceil(3 * operation.sigma[1])


def check_recipe(recipe: ViewRecipe) -> None:
    """Refuse a recipe that no engine can follow.

    Raises:
        SettingError: no views, a view whose operations are not one Crop and then others, or a Crop
            of no share of the image.
    """
    if not recipe.views:
        raise SettingError("A recipe needs at least one view; it lists none.")
    for view in (*recipe.views, *_boards(recipe)):
        kinds = [type(operation).__name__ for operation in view.operations]
        if kinds[:1] != ["Crop"] or kinds.count("Crop") != 1:
            raise SettingError(
                f"A view's operations are one Crop and then others; found {kinds}. Put the Crop "
                "first, once."
            )
        if view.side < 1 or view.count < 1:
            raise SettingError(
                f"A view needs a side and a count of at least 1; found side {view.side}, "
                f"count {view.count}."
            )
        _check_crop(view.operations[0])
    if recipe.jigsaw is not None:
        jigsaw.check_jigsaw(recipe.jigsaw)


def _check_crop(crop: Operation) -> None:
    assert isinstance(crop, Crop)
    (least, most), (narrow, wide) = crop.scale, crop.ratio
    if not (0 < least <= most <= 1 and 0 < narrow <= wide):
        raise SettingError(
            f"A crop's scale is two shares of the image, above 0 and at most 1, the smaller first, "
            f"and so is its ratio, which may be above 1; found {crop.scale} and {crop.ratio}."
        )


def draw_views(
    recipe: ViewRecipe,
    indices: Sequence[int] | Int64[np.ndarray, " batch"],
    sizes: Int64[np.ndarray, "batch 2"],
    *,
    seed_digest: str,
    epoch: int,
) -> Draws:
    """Draw every parameter of every view of a batch.

    Args:
        recipe: what is drawn.
        indices: of the examples in their source.
        sizes: height and width of their images, which crops depend on.
        seed_digest: of the run.
        epoch: a new epoch draws anew.

    Example:
        >>> from vireo.data.views.published import supervised
        >>> (crop, flip), = draw_views(
        ...     supervised(32), [7], np.array([[48, 64]]), seed_digest="run", epoch=0)
        >>> crop.values.shape, flip.applied.shape
        ((1, 4), (1,))
    """
    views = (*single_views(recipe), *_boards(recipe))
    counts = [_num_uniforms(operation) for view in views for operation in view.operations]
    counts += _patch_uniforms(recipe)
    uniform = np.stack(
        [
            seeding.generator(seed_digest, "views", epoch, int(index)).random(sum(counts))
            for index in indices
        ]
    )
    parts = iter(np.split(uniform, np.cumsum(counts)[:-1], axis=1))
    draws = tuple(
        tuple(_draw(operation, next(parts), sizes) for operation in view.operations)
        for view in views
    )
    return draws if recipe.jigsaw is None else (*draws, _patches(recipe.jigsaw, parts, sizes))


def _boards(recipe: ViewRecipe) -> tuple[View, ...]:
    return () if recipe.jigsaw is None else (recipe.jigsaw.board,)


def _num_uniforms(operation: Operation) -> int:
    match operation:
        case Crop():
            return _TRIES * 4
        case ColorJitter():
            return 1 + 2 * _NUM_JITTERS
        case Photometric():
            return 4
        case GaussianBlur() | QuarterTurns():
            return 2
        case _:
            return 1


def _patch_uniforms(recipe: ViewRecipe) -> list[int]:
    if recipe.jigsaw is None:
        return []
    each = (_num_uniforms(operation) for operation in recipe.jigsaw.operations)
    return [jigsaw.NUM_UNIFORMS, *(jigsaw.PATCHES * count for count in each)]


def _patches(
    recipe: Jigsaw,
    parts: Iterator[Float64[np.ndarray, "batch _uniforms"]],
    sizes: Int64[np.ndarray, "batch 2"],
) -> tuple[Draw, ...]:
    cuts = jigsaw.draw_cuts(recipe, next(parts))
    cut = Draw(applied=np.ones(len(cuts), dtype=bool), values=cuts)
    rows = len(cuts) * jigsaw.PATCHES
    each = np.repeat(sizes, jigsaw.PATCHES, axis=0)
    drawn = (_draw(op, next(parts).reshape(rows, -1), each) for op in recipe.operations)
    return (cut, *drawn)


def _draw(
    operation: Operation,
    uniform: Float64[np.ndarray, "batch uniforms"],
    sizes: Int64[np.ndarray, "batch 2"],
) -> Draw:
    if isinstance(operation, Crop):
        return Draw(
            applied=np.ones(len(uniform), dtype=bool), values=_boxes(operation, uniform, sizes)
        )
    applied = uniform[:, 0] < operation.probability
    match operation:
        case ColorJitter():
            values = _jitters(operation, uniform[:, 1:])
        case GaussianBlur():
            low, high = operation.sigma
            values = low + (high - low) * uniform[:, 1:]
        case Photometric():
            values = _photometric(operation, uniform[:, 1:])
        case QuarterTurns():
            values = np.floor(4 * uniform[:, 1:])
        case _:
            values = uniform[:, :0]
    return Draw(applied=applied, values=values)


def _boxes(
    operation: Crop,
    uniform: Float64[np.ndarray, "batch uniforms"],
    sizes: Int64[np.ndarray, "batch 2"],
) -> Float64[np.ndarray, "batch 4"]:
    share, turn, down, right = np.moveaxis(uniform.reshape(-1, _TRIES, 4), 2, 0)
    height, width = sizes[:, :1].astype(np.float64), sizes[:, 1:].astype(np.float64)
    low, high = (math.log(bound) for bound in operation.ratio)
    ratio = np.exp(low + (high - low) * turn)
    area = height * width * (operation.scale[0] + np.ptp(operation.scale) * share)
    heights, widths = np.rint(np.sqrt(area / ratio)), np.rint(np.sqrt(area * ratio))
    fits = (heights > 0) & (heights <= height) & (widths > 0) & (widths <= width)
    tops = np.minimum(np.floor(down * (height - heights + 1)), height - heights)
    lefts = np.minimum(np.floor(right * (width - widths + 1)), width - widths)
    tries = np.stack([tops, lefts, heights, widths], axis=2)
    chosen = tries[np.arange(len(tries)), fits.argmax(axis=1)]
    return np.where(fits.any(axis=1, keepdims=True), chosen, _central(operation, sizes))


def _central(
    operation: Crop, sizes: Int64[np.ndarray, "batch 2"]
) -> Float64[np.ndarray, "batch 4"]:
    """The largest central box whose aspect ratio is allowed, for images where ten tries fail."""
    height, width = sizes.T.astype(np.float64)
    low, high = operation.ratio
    heights = np.where(width / height < low, np.rint(width / low), height)
    widths = np.where(width / height > high, np.rint(height * high), width)
    # A strip of one pixel can round to none.
    heights, widths = np.clip(heights, 1, height), np.clip(widths, 1, width)
    return np.stack([(height - heights) // 2, (width - widths) // 2, heights, widths], axis=1)


def _jitters(
    operation: ColorJitter, uniform: Float64[np.ndarray, "batch 8"]
) -> Float64[np.ndarray, "batch 8"]:
    spread = np.array([operation.brightness, operation.contrast, operation.saturation])
    low = np.append(np.maximum(0.0, 1.0 - spread), -operation.hue)
    high = np.append(1.0 + spread, operation.hue)
    factors = low + (high - low) * uniform[:, :_NUM_JITTERS]
    order = np.argsort(uniform[:, _NUM_JITTERS:], axis=1, kind="stable")
    return np.concatenate([factors, order.astype(np.float64)], axis=1)


def _photometric(
    operation: Photometric, uniform: Float64[np.ndarray, "batch 3"]
) -> Float64[np.ndarray, "batch 3"]:
    integer = np.array([True, False, True])
    low, high = np.array([operation.bits, operation.sharpness, operation.thresholds]).T
    values: Float64[np.ndarray, "batch 3"] = low + (high + integer - low) * uniform
    np.floor(values, out=values, where=integer)
    return values
