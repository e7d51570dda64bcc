"""The views of PIRL and NPID: a view of the image, and with PIRL a transformed one.

The jigsaw's numbers at 224 are those of PIRL's released code (VISSL): a crop of .6 to 1 of the
image, 255 pixels a side, three cells of 85, patches of 64. At other sizes a patch has 64 pixels for
every 224 of the image's view and a cell 85 for every 64 of a patch, rounded: images of 32 pixels
give patches of 9 in cells of 12. Colours are drawn for each patch by itself, and mirroring too.

There is no released code of PIRL with rotations. Here the rotated view is cropped and coloured like
the image's own, and turned last; with both, the jigsaw's board is turned before it is cut.

References:
    Misra & van der Maaten 2020, arXiv 1912.01991; Wu et al. 2018, arXiv 1805.01978 (NPID).
"""

from dataclasses import replace

from vireo.data.views.jigsaw import CELL_PER_PATCH, GRID
from vireo.data.views.published import IMAGENET_MEAN, IMAGENET_STD, SMALLEST_BLURRED_SIDE, Triple
from vireo.data.views.recipe import (
    ColorJitter,
    Crop,
    Flip,
    GaussianBlur,
    Grayscale,
    Jigsaw,
    Operation,
    Photometric,
    QuarterTurns,
    View,
    ViewRecipe,
)

AUGMENTATIONS = ("photometric", "blur", "npid")
PRETEXTS = ("none", "jigsaw", "rotation", "jigsaw-rotation")
BOARD_SCALE = (0.6, 1.0)


def pirl(  # noqa: PLR0913 - numbers of one published recipe; all by keyword
    side: int,
    *,
    pretext: str = "jigsaw",
    augmentation: str = "photometric",
    scale: tuple[float, float] = (0.08, 1.0),
    patch_side: int = 0,
    mean: Triple = IMAGENET_MEAN,
    std: Triple = IMAGENET_STD,
) -> ViewRecipe:
    """Return the image's view and what the pretext task transforms.

    Args:
        side: of the image's view and of the rotated one.
        pretext: "jigsaw" gives patches, "rotation" a second view, "jigsaw-rotation" patches of a
            turned image, "none" the image's view alone.
        augmentation: "photometric" as in the paper, "blur" as in VISSL's improved run (SimCLR's),
            "npid" as in the code of Wu et al.
        scale: share of the image that these two views keep.
        patch_side: 0 is 64 pixels for every 224 of `side`.
        mean: of the network's card.
        std: of the network's card.

    Example:
        >>> pirl(224).jigsaw.board.side, pirl(224).jigsaw.side, pirl(32).jigsaw.side
        (255, 64, 9)
    """
    assert pretext in PRETEXTS, pretext
    colours = _colours(side, augmentation)
    image = View(count=1, side=side, operations=(Crop(scale=scale), *colours))
    turned = replace(image, operations=(*image.operations, QuarterTurns()))
    cut = pretext.startswith("jigsaw")
    return ViewRecipe(
        views=(image, turned) if pretext == "rotation" else (image,),
        mean=mean,
        std=std,
        jigsaw=_jigsaw(patch_side or round(side * 64 / 224), pretext, colours) if cut else None,
    )


def _jigsaw(patch_side: int, pretext: str, colours: tuple[Operation, ...]) -> Jigsaw:
    turns = (QuarterTurns(),) if pretext == "jigsaw-rotation" else ()
    board = View(
        count=1,
        side=GRID * round(patch_side * CELL_PER_PATCH),
        operations=(Crop(scale=BOARD_SCALE), *turns),
    )
    return Jigsaw(board=board, side=patch_side, operations=colours)


def _colours(side: int, augmentation: str) -> tuple[Operation, ...]:
    found: dict[str, tuple[Operation, ...]] = {
        "photometric": (
            ColorJitter(brightness=0.4, contrast=0.4, saturation=0.4, hue=0.2, probability=1.0),
            Photometric(),
            Grayscale(probability=0.2),
            Flip(probability=0.5),
        ),
        "blur": (
            Flip(probability=0.5),
            ColorJitter(brightness=0.8, contrast=0.8, saturation=0.8, hue=0.2, probability=0.8),
            Grayscale(probability=0.2),
            # Patches are blurred like the image that they are of, though they are smaller.
            *((GaussianBlur(probability=0.5),) if side >= SMALLEST_BLURRED_SIDE else ()),
        ),
        "npid": (
            Grayscale(probability=0.2),
            ColorJitter(brightness=0.4, contrast=0.4, saturation=0.4, hue=0.4, probability=1.0),
            Flip(probability=0.5),
        ),
    }
    return found[augmentation]
