"""The colours of dense tasks as published; geometry is the task's own (`joint_geometry`).

Brightness, contrast and saturation by up to 0.4, hue by up to 0.2 turns, and grey with probability
0.2: the study's released code. Parameters are drawn per example from (digest, epoch, index).
"""

import numpy as np
import torch
from jaxtyping import Int64, UInt8
from torch import Tensor

from vireo.data.views import photometric
from vireo.data.views.draws import draw_views
from vireo.data.views.recipe import ColorJitter, Crop, Grayscale, View, ViewRecipe

_JITTER = ColorJitter(brightness=0.4, contrast=0.4, saturation=0.4, hue=0.2, probability=1.0)
_VIEW = View(count=1, side=1, operations=(Crop(), _JITTER, Grayscale(probability=0.2)))
# The draws of a recipe begin with a crop, which is drawn and not used.
_RECIPE = ViewRecipe(views=(_VIEW,), mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))

_PUBLISHED = ("paper", "reference", "fine-tune")


def recolours(protocol: str) -> bool:
    """Say whether dense tasks change their colours in every epoch under a protocol."""
    return protocol in _PUBLISHED


def recolour(
    images: UInt8[Tensor, "batch 3 height width"],
    index: Int64[np.ndarray, " batch"],
    *,
    digest: str,
    epoch: int,
) -> UInt8[Tensor, "batch 3 height width"]:
    """Return the images with each example's own colours of this epoch, on their device."""
    sizes = np.tile(np.array(images.shape[2:], dtype=np.int64), (len(images), 1))
    draws = draw_views(_RECIPE, index, sizes, seed_digest=digest, epoch=epoch)
    (_, jitter, grey), pixels = draws[0], images.float().div_(255)
    photometric.apply_to(pixels, jitter.applied, photometric.jitter, jitter.values)
    photometric.apply_to(pixels, grey.applied, photometric.grayscale)
    return pixels.mul_(255).round_().clamp_(0, 255).to(torch.uint8)
