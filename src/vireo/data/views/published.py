"""The published augmentations, as functions of the side of the full-size views.

`two_crops` is MoCo v2 (Chen et al. 2020, main_moco.py with --aug-plus), `two_crops_v1` MoCo v1 (the
same without), `multi_crop` SwAV (Caron et al. 2020, scripts of the release), `dino_crops` DINO
(Caron et al. 2021, main_dino.py), `supervised` the plain crop and flip of torchvision's
reference. Side 224 gives exactly theirs. Views are normalised by the mean and standard deviation of
the network that will see them: pass its card's, or pre-training and probing disagree.

The blur's sigma of 0.1 to 2 is in pixels. The smallest view that a paper blurs has 96; MoCo's and
SimCLR's own recipes for 32-pixel images have no blur, so views below 96 pixels get none.
"""

from vireo.data.views.recipe import (
    ColorJitter,
    Crop,
    Flip,
    GaussianBlur,
    Grayscale,
    Operation,
    Solarize,
    View,
    ViewRecipe,
)

Triple = tuple[float, float, float]

IMAGENET_MEAN: Triple = (0.485, 0.456, 0.406)
IMAGENET_STD: Triple = (0.229, 0.224, 0.225)
SMALLEST_BLURRED_SIDE = 96


def two_crops(
    side: int,
    *,
    scale: tuple[float, float] = (0.2, 1.0),
    mean: Triple = IMAGENET_MEAN,
    std: Triple = IMAGENET_STD,
) -> ViewRecipe:
    """Return MoCo v2's two views: query and key by the same distribution.

    Example:
        >>> [type(operation).__name__ for operation in two_crops(224).views[0].operations]
        ['Crop', 'ColorJitter', 'Grayscale', 'GaussianBlur', 'Flip']
    """
    operations: tuple[Operation, ...] = (
        Crop(scale=scale),
        ColorJitter(brightness=0.4, contrast=0.4, saturation=0.4, hue=0.1, probability=0.8),
        Grayscale(probability=0.2),
        *_blur(side),
        Flip(probability=0.5),
    )
    return ViewRecipe(views=(View(count=2, side=side, operations=operations),), mean=mean, std=std)


def two_crops_v1(
    side: int,
    *,
    scale: tuple[float, float] = (0.2, 1.0),
    mean: Triple = IMAGENET_MEAN,
    std: Triple = IMAGENET_STD,
) -> ViewRecipe:
    """Return MoCo v1's two views, by the operations of Wu et al. 2018, in the released order.

    Example:
        >>> [type(operation).__name__ for operation in two_crops_v1(224).views[0].operations]
        ['Crop', 'Grayscale', 'ColorJitter', 'Flip']
    """
    operations: tuple[Operation, ...] = (
        Crop(scale=scale),
        Grayscale(probability=0.2),
        ColorJitter(brightness=0.4, contrast=0.4, saturation=0.4, hue=0.4, probability=1.0),
        Flip(probability=0.5),
    )
    return ViewRecipe(views=(View(count=2, side=side, operations=operations),), mean=mean, std=std)


def multi_crop(  # noqa: PLR0913 - numbers of one published recipe; all by keyword
    side: int,
    *,
    num_small: int = 6,
    large_scale: tuple[float, float] = (0.14, 1.0),
    small_scale: tuple[float, float] = (0.05, 0.14),
    small_side: int = 0,
    mean: Triple = IMAGENET_MEAN,
    std: Triple = IMAGENET_STD,
) -> ViewRecipe:
    """Return SwAV's two full-size views and `num_small` small ones.

    Small ones have `small_side` pixels, or where that is 0 96 for every 224 of `side`.

    The released code divides by a red standard deviation of 0.228; the default here is 0.229,
    which is what probes use.

    Example:
        >>> [(view.count, view.side) for view in multi_crop(224).views]
        [(2, 224), (6, 96)]
    """
    small = small_side or _small(side)
    views = (
        View(count=2, side=side, operations=_swav_operations(side, large_scale)),
        View(count=num_small, side=small, operations=_swav_operations(small, small_scale)),
    )
    return ViewRecipe(views=views if num_small else views[:1], mean=mean, std=std)


def dino_crops(  # noqa: PLR0913 - numbers of one published recipe; all by keyword
    side: int,
    *,
    num_small: int = 8,
    large_scale: tuple[float, float] = (0.4, 1.0),
    small_scale: tuple[float, float] = (0.05, 0.4),
    small_side: int = 0,
    mean: Triple = IMAGENET_MEAN,
    std: Triple = IMAGENET_STD,
) -> ViewRecipe:
    """Return DINO's two full-size views, which are BYOL's but for the scale, and small ones.

    Small ones have `small_side` pixels, or where that is 0 96 for every 224 of `side`.

    Example:
        >>> [(view.count, view.side) for view in dino_crops(224).views]
        [(1, 224), (1, 224), (8, 96)]
    """
    large = asymmetric_pair(side, scale=large_scale).views
    small = small_side or _small(side)
    operations = _byol_operations(small, small_scale, blur=0.5)
    views = (*large, View(count=num_small, side=small, operations=operations))
    return ViewRecipe(views=views if num_small else large, mean=mean, std=std)


def simclr_pair(
    side: int,
    *,
    strength: float = 1.0,
    scale: tuple[float, float] = (0.08, 1.0),
    mean: Triple = IMAGENET_MEAN,
    std: Triple = IMAGENET_STD,
) -> ViewRecipe:
    """Return SimCLR's two views (Chen et al. 2020, appendix A); `strength` is of the colours.

    Example:
        >>> simclr_pair(224, strength=0.5).views[0].operations[2].hue
        0.1
    """
    b = 0.8 * strength
    operations: tuple[Operation, ...] = (
        Crop(scale=scale),
        Flip(probability=0.5),
        ColorJitter(brightness=b, contrast=b, saturation=b, hue=0.2 * strength, probability=0.8),
        Grayscale(probability=0.2),
        *_blur(side),
    )
    return ViewRecipe(views=(View(count=2, side=side, operations=operations),), mean=mean, std=std)


def asymmetric_pair(
    side: int,
    *,
    scale: tuple[float, float] = (0.08, 1.0),
    mean: Triple = IMAGENET_MEAN,
    std: Triple = IMAGENET_STD,
) -> ViewRecipe:
    """Return BYOL's two views (Grill et al. 2020, table 6), also of Barlow Twins and VICReg.

    The first is always blurred, the second rarely, but sometimes solarised. The papers resize crops
    by a bicubic filter, the engines here by their usual one.

    Example:
        >>> [view.operations[-1].probability for view in asymmetric_pair(224).views]
        [1.0, 0.2]
    """
    first = _byol_operations(side, scale, blur=1.0)
    second = (*_byol_operations(side, scale, blur=0.1), Solarize(probability=0.2))
    views = tuple(View(count=1, side=side, operations=each) for each in (first, second))
    return ViewRecipe(views=views, mean=mean, std=std)


def supervised(
    side: int,
    *,
    scale: tuple[float, float] = (0.08, 1.0),
    mean: Triple = IMAGENET_MEAN,
    std: Triple = IMAGENET_STD,
) -> ViewRecipe:
    """Return the one view of supervised training: a random resized crop and a flip.

    Example:
        >>> supervised(224).views[0].operations[0].scale
        (0.08, 1.0)
    """
    view = View(count=1, side=side, operations=(Crop(scale=scale), Flip()))
    return ViewRecipe(views=(view,), mean=mean, std=std)


def _swav_operations(side: int, scale: tuple[float, float]) -> tuple[Operation, ...]:
    return (
        Crop(scale=scale),
        Flip(probability=0.5),
        ColorJitter(brightness=0.8, contrast=0.8, saturation=0.8, hue=0.2, probability=0.8),
        Grayscale(probability=0.2),
        *_blur(side),
    )


def _byol_operations(
    side: int, scale: tuple[float, float], *, blur: float
) -> tuple[Operation, ...]:
    return (
        Crop(scale=scale),
        Flip(probability=0.5),
        ColorJitter(brightness=0.4, contrast=0.4, saturation=0.2, hue=0.1, probability=0.8),
        Grayscale(probability=0.2),
        *_blur(side, blur),
    )


def _small(side: int) -> int:
    """Return the side of small crops: 96 pixels for every 224."""
    return round(side * 96 / 224)


def _blur(side: int, probability: float = 0.5) -> tuple[GaussianBlur, ...]:
    blurred = side >= SMALLEST_BLURRED_SIDE
    return (GaussianBlur(probability=probability),) if blurred else ()
