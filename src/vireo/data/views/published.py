"""The published augmentations, as functions of the side of the full-size views.

`two_crops` is MoCo v2 (Chen et al. 2020, main_moco.py with --aug-plus), `multi_crop` is SwAV (Caron
et al. 2020, scripts of the release), `supervised` is the plain crop and flip of torchvision's
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


def multi_crop(
    side: int,
    *,
    num_small: int = 6,
    large_scale: tuple[float, float] = (0.14, 1.0),
    small_scale: tuple[float, float] = (0.05, 0.14),
    mean: Triple = IMAGENET_MEAN,
    std: Triple = IMAGENET_STD,
) -> ViewRecipe:
    """Return SwAV's two full-size views and `num_small` small ones, of 96 pixels for every 224.

    The released code divides by a red standard deviation of 0.228; the default here is 0.229,
    which is what probes use.

    Example:
        >>> [(view.count, view.side) for view in multi_crop(224).views]
        [(2, 224), (6, 96)]
    """
    small = round(side * 96 / 224)
    views = (
        View(count=2, side=side, operations=_swav_operations(side, large_scale)),
        View(count=num_small, side=small, operations=_swav_operations(small, small_scale)),
    )
    return ViewRecipe(views=views if num_small else views[:1], mean=mean, std=std)


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


def _blur(side: int) -> tuple[GaussianBlur, ...]:
    return (GaussianBlur(),) if side >= SMALLEST_BLURRED_SIDE else ()
