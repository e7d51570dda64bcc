"""The two things a loader yields: a batch to probe with, and a batch of views to pre-train with."""

from dataclasses import dataclass

from jaxtyping import Bool, Float, Int64, UInt8
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Examples of an end task.

    Attributes:
        images: RGB, not normalised: each encoder normalises by its own card (`Encoder.normalise`).
        target: int64 [batch] for classes and counts, float32 [batch, numbers] for measures of the
            image, int64 [batch, height, width] for masks, float32 [batch, channels, height, width]
            for dense regression (depth in metres; flow as u to the right and v down, in pixels of
            `images`); None where only features are wanted.
        valid: where the target counts (same shape as a mask, [batch, 1] or [batch, 1, height,
            width]): what is not valid is 0, or the code to ignore. None means everywhere.
        index: of the examples in their source.
        sizes: height and width of each example's first frame within its padding; None means that
            nothing is padded.
    """

    images: UInt8[Tensor, "batch frames 3 height width"]
    target: Tensor | None
    valid: Bool[Tensor, "..."] | None
    index: Int64[Tensor, " batch"]
    sizes: Int64[Tensor, "batch 2"] | None = None


@dataclass(frozen=True, kw_only=True)
class ViewBatch:
    """Augmented and normalised views of the same examples.

    Attributes:
        groups: the views grouped by resolution, so that the backbone runs once a resolution. Within
            a group the first axis is the view, in the recipe's order.
        index: of the examples in their source (memory banks are addressed by it).
        label: class of each example; None where the source has none.
        patches: the jigsaw's nine patches in their drawn order, where the recipe asks for them; of
            64 pixels in PIRL's paper.
    """

    groups: tuple[Float[Tensor, "_views batch 3 _side _side"], ...]
    index: Int64[Tensor, " batch"]
    label: Int64[Tensor, " batch"] | None = None
    patches: Float[Tensor, "batch 9 3 _side _side"] | None = None
