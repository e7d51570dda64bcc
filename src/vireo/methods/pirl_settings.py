"""The settings of PIRL and NPID, and the names that they choose among."""

from dataclasses import dataclass

LOSSES = ("nce", "nce-paper", "infonce")
HEADS = ("linear", "mlp")
STARTS = ("random", "embeddings")


@dataclass(frozen=True, kw_only=True)
class PIRLSettings:
    """The paper's values, and the released code's where the paper says nothing.

    Attributes:
        pretext: "jigsaw", "rotation", or "jigsaw-rotation" (patches of a rotated image).
        pretext_weight: lambda of equation 5; with 0 nothing is transformed, nor computed for it.
        loss: "nce" (constant Z), "nce-paper" (equations 3 and 4), "infonce". They agree where the
            docstrings of `memory_bank` say so. Z is that of a random bank: with few images the
            first steps' rows, all alike, are soon many of the negatives, and "nce" climbs to
            thousands (with 1,437 images, and in VISSL's formula too), where the other two fall.
        num_negatives: K, drawn for each example from all rows of the bank, with replacement.
        bank_momentum: share of a row that its image's next embedding leaves.
        bank_start: "random" rows, or "embeddings" of the untrained network by a pass over the
            images; ours, for runs of few epochs, whose first would be spent on random rows.
        head: "linear", or "mlp" of one hidden layer. Patches are concatenated after it, and
            projected once more, linearly.
        embedding_norm: batch norm without weights at the end of the heads; ours. Features after a
            ReLU all point one way, and so do rows, but not the same way as an epoch ago: in short
            runs an image's own row, which is older than most, is then less like it than others'.
        hidden_size: of the mlp; 0 is the width of the encoder's feature (2048 for ResNet-50).
        augmentation: "photometric" (the paper's), "blur" (SimCLR's; views of at least 96 pixels are
            blurred) or "npid" (Wu et al.).
        patch_size: 0 is 64 pixels for every 224 of `image_size`.
    """

    image_size: int = 224
    pretext: str = "jigsaw"
    pretext_weight: float = 0.5
    loss: str = "nce"
    temperature: float = 0.07
    num_negatives: int = 32000
    bank_momentum: float = 0.5
    bank_start: str = "random"
    dimension: int = 128
    head: str = "linear"
    embedding_norm: bool = False
    hidden_size: int = 0
    augmentation: str = "photometric"
    crop_scale: tuple[float, float] = (0.08, 1.0)
    patch_size: int = 0


@dataclass(frozen=True, kw_only=True)
class NPIDSettings(PIRLSettings):
    """The same with the values of Wu et al.; with a `pretext_weight` it is PIRL again."""

    pretext_weight: float = 0.0
    num_negatives: int = 4096
    augmentation: str = "npid"
    crop_scale: tuple[float, float] = (0.2, 1.0)
