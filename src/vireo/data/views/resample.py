"""Crop and resize a batch with a box per example, antialiased, as two matrix products.

Bilinear resizing with antialiasing is a weighted mean of the pixels under a triangle that widens
with the scale, first over rows and then over columns. Written as matrices with one row an output
pixel, the batch needs two `bmm`, and a mirror reverses the rows of the second. The weights are
those of torchvision's `resized_crop(antialias=True)` on float tensors; pixels outside the box do
not count.
"""

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64, UInt8
from torch import Tensor

# Source pixels turned to float32 at once. On a CPU the work then stays in cache; on a GPU the bound
# only keeps a batch of huge images from filling the memory.
_CHUNK_BYTES = {"cpu": 4 << 20, "cuda": 1 << 30}


def crop_resize(
    images: UInt8[Tensor, "batch height width 3"],
    boxes: Float64[np.ndarray, "batch 4"],
    flips: Bool[np.ndarray, " batch"],
    out: Float[Tensor, "batch 3 side side"],
) -> None:
    """Write the boxes of images that share a size into `out`, in [0, 1].

    Args:
        images: stored pixels, channels last, on the device of `out`.
        boxes: top, left, height and width of each crop.
        flips: which crops to mirror.
        out: filled.
    """
    step = _CHUNK_BYTES[out.device.type] // (images[0].numel() * 4)
    if step <= 1:
        crop_resize_each(list(images), boxes, flips, out)
        return
    for first in range(0, len(images), step):
        part = slice(first, first + step)
        _crop_resize_chunk(images[part], boxes[part], flips[part], out[part])


def crop_resize_each(
    images: list[UInt8[Tensor, "_height _width 3"]],
    boxes: Float64[np.ndarray, "batch 4"],
    flips: Bool[np.ndarray, " batch"],
    out: Float[Tensor, "batch 3 side side"],
) -> None:
    """Do the same for images of any sizes: weights for all at once, products one by one."""
    origins = np.zeros(len(boxes))
    step = max(1, int(_CHUNK_BYTES[out.device.type] // (boxes[:, 2:].max() * out.shape[3] * 4)))
    for first in range(0, len(images), step):
        part = slice(first, first + step)
        corners = boxes[part].astype(int).tolist()
        rows = _weights(origins[part], boxes[part, 2], flips[part] & False, like=out[part])
        columns = _weights(origins[part], boxes[part, 3], flips[part], like=out[part])
        for i, (top, left, height, width) in enumerate(corners):
            window = images[first + i][top : top + height, left : left + width]
            out[first + i] = _apply(
                window[None], rows[i : i + 1, :, :height], columns[i : i + 1, :, :width]
            )[0]


def _crop_resize_chunk(
    images: UInt8[Tensor, "batch height width 3"],
    boxes: Float64[np.ndarray, "batch 4"],
    flips: Bool[np.ndarray, " batch"],
    out: Float[Tensor, "batch 3 side side"],
) -> None:
    (top, left), (bottom, right) = boxes[:, :2].min(0), (boxes[:, :2] + boxes[:, 2:]).max(0)
    window = images[:, int(top) : int(bottom), int(left) : int(right)]
    rows = _weights(boxes[:, 0] - top, boxes[:, 2], flips & False, like=out)
    columns = _weights(boxes[:, 1] - left, boxes[:, 3], flips, like=out)
    out.copy_(_apply(window, rows, columns))


def _apply(
    images: UInt8[Tensor, "batch height width 3"],
    rows: Float[Tensor, "batch side height"],
    columns: Float[Tensor, "batch side width"],
) -> Float[Tensor, "batch 3 side side"]:
    batch, side, height = rows.shape
    width = columns.shape[2]
    pixels = images.to(rows.dtype).reshape(batch, height, width * 3)
    strips = torch.bmm(rows * (1 / 255), pixels).view(batch, side, width, 3)
    strips = strips.permute(0, 3, 1, 2).reshape(batch, 3 * side, width)
    return torch.bmm(strips, columns.transpose(1, 2)).view(batch, 3, side, side)


def _weights(
    starts: Float64[np.ndarray, " batch"],
    lengths: Float64[np.ndarray, " batch"],
    flips: Bool[np.ndarray, " batch"],
    *,
    like: Float[Tensor, "batch 3 side side"],
) -> Float[Tensor, "batch side extent"]:
    """Weights of the input pixels 0..extent for each output pixel, along one axis.

    With s = length / side, output pixel i is centred at c = s (i + 1/2) and input pixel j weighs
    max(0, 1 - |j + 1/2 - c| / max(s, 1)), normalised over the pixels of the box.
    """
    side, extent = like.shape[3], int((starts + lengths).max())
    facts = np.stack([starts, lengths, flips]).astype(np.float32)
    start, length, flip = torch.from_numpy(facts).to(like.device, non_blocking=True)[:, :, None]
    scale = length / side
    i = torch.arange(side, device=like.device)
    i = torch.where(flip > 0, side - 1 - i, i)
    centre = scale * (i + 0.5)
    j = torch.arange(extent, device=like.device) - start
    distance = ((j + 0.5)[:, None, :] - centre[:, :, None]).abs_()
    weight: Tensor = distance.div_(scale.clamp(min=1)[:, :, None]).neg_().add_(1).clamp_(min=0)
    weight.mul_(((j >= 0) & (j < length))[:, None, :])
    return weight.div_(weight.sum(2, keepdim=True))
