"""Sizes of maps, and the one way heads resize them."""

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from vireo.encoders.pyramid import map_size, resample

__all__ = ["detail_tap", "map_size", "resample", "resize"]


def resize(
    maps: Float[Tensor, "batch channels _h _w"], size: tuple[int, int]
) -> Float[Tensor, "batch channels height width"]:
    """Resize `maps` to `size`, bilinear with pixel centres kept (corners not aligned)."""
    if maps.shape[-2:] == size:
        return maps
    return F.interpolate(maps, size=size, mode="bilinear", align_corners=False)


def detail_tap(strides: tuple[int, ...], stride: int = 4) -> int:
    """Return which tap a decoder takes its detail from: the deepest of at most `stride`.

    It stays above the last stage, which the decoder has already. A network whose first tap is
    coarser than `stride` gives its first.

    Example:
        >>> detail_tap((2, 4, 8, 16, 32)), detail_tap((1, 1, 2, 4, 4)), detail_tap((16,) * 5)
        (1, 2, 0)
    """
    fine = [tap for tap, value in enumerate(strides) if value <= stride and value < strides[-1]]
    return fine[-1] if fine else 0
