"""The two things a loader yields: a batch to probe with, and a batch of views to pre-train with."""

from dataclasses import dataclass

from jaxtyping import Bool, Float, Int64, UInt8
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Examples of an end task.

    Attributes:
        images: RGB, not normalised: each encoder normalises by its own card (`Encoder.normalise`).
        target: int64 [batch] for classes, int64 [batch, height, width] for masks, float32 [batch,
            channels, height, width] for dense regression; None where only features are wanted.
        valid: where the target counts (same shape as a mask, or [batch, 1, height, width]); None
            means everywhere.
        index: of the examples in their source.
    """

    images: UInt8[Tensor, "batch frames 3 height width"]
    target: Tensor | None
    valid: Bool[Tensor, "..."] | None
    index: Int64[Tensor, " batch"]


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
