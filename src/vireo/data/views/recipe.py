"""Augmentation as data: a recipe lists views, a view lists operations, all with their parameters.

Both engines (batched torch, OpenCV) read the same recipe and the same per-example draws.
Probabilities are per example and per view. Factors are applied as torchvision defines them.
"""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Crop:
    """Random resized crop (Szegedy et al. 2015): area share and aspect ratio are drawn."""

    scale: tuple[float, float] = (0.08, 1.0)
    ratio: tuple[float, float] = (3 / 4, 4 / 3)


@dataclass(frozen=True, kw_only=True)
class Flip:
    """Mirror left to right."""

    probability: float = 0.5


@dataclass(frozen=True, kw_only=True)
class ColorJitter:
    """Brightness, contrast, saturation factors in 1 +- value, hue in +- turns, in a drawn order."""

    brightness: float
    contrast: float
    saturation: float
    hue: float
    probability: float = 0.8


@dataclass(frozen=True, kw_only=True)
class Grayscale:
    """ITU-R 601 luma in all three channels."""

    probability: float = 0.2


@dataclass(frozen=True, kw_only=True)
class GaussianBlur:
    """Gaussian blur whose standard deviation, in pixels of the view, is drawn uniformly."""

    sigma: tuple[float, float] = (0.1, 2.0)
    probability: float = 0.5


@dataclass(frozen=True, kw_only=True)
class Solarize:
    """Invert the pixels at or above the threshold (0..255)."""

    threshold: int = 128
    probability: float = 0.2


@dataclass(frozen=True, kw_only=True)
class Photometric:
    """PIRL's group, applied whole or not at all: posterise, sharpen, solarise, stretch contrast.

    Posterise and solarise go by levels of 0..255, the last step stretches each channel to all of
    them (autocontrast): each is Pillow's operation.

    Attributes:
        bits: that posterise keeps, an integer, both ends included.
        sharpness: 0 is the smoothed image, 1 the image itself.
        thresholds: of solarise, an integer, both ends included; 256 inverts nothing.
    """

    bits: tuple[int, int] = (4, 8)
    sharpness: tuple[float, float] = (0.1, 1.9)
    thresholds: tuple[int, int] = (0, 256)
    probability: float = 0.66


@dataclass(frozen=True, kw_only=True)
class QuarterTurns:
    """Turn by 0, 90, 180 or 270 degrees, one as likely as another (Gidaris et al. 2018)."""

    probability: float = 1.0


Operation = (
    Crop | Flip | ColorJitter | Grayscale | GaussianBlur | Solarize | Photometric | QuarterTurns
)


@dataclass(frozen=True, kw_only=True)
class View:
    """`count` views of `side` x `side` pixels made by `operations` in order, a Crop first."""

    count: int
    side: int
    operations: tuple[Operation, ...]


@dataclass(frozen=True, kw_only=True)
class Jigsaw:
    """Nine patches of an example, in a drawn order (Noroozi & Favaro 2016, as PIRL has it).

    A view, the board, is divided into 3 x 3 cells; each gives a patch of `side` pixels from a drawn
    place in it.

    Attributes:
        board: what is cut; its side is three cells.
        operations: done to every patch by itself, no Crop among them.
    """

    board: View
    side: int
    operations: tuple[Operation, ...]


@dataclass(frozen=True, kw_only=True)
class ViewRecipe:
    """All views of an example, large first, and their normalisation. One side is one group."""

    views: tuple[View, ...]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    jigsaw: Jigsaw | None = None
