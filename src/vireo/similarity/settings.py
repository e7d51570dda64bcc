"""How encoders are compared, and what is known of an encoder that takes part."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from vireo.devices import Compute
from vireo.digest import digest
from vireo.encoders.encoder import Encoder
from vireo.encoders.weights import weights_digest
from vireo.errors import SettingError
from vireo.features.encode import preprocessing_digest
from vireo.records import BlockKey, EncoderCard
from vireo.similarity.blocks import Block, find_blocks

Openers = Mapping[str, Callable[[], Encoder]]
"""Name to what opens the encoder."""
GIB = 1 << 30
_SMALLEST_BATCH = 8


@dataclass(frozen=True, kw_only=True)
class SimilaritySettings:
    """What decides the numbers, besides encoders and images; and the memory, which does not.

    Attributes:
        estimator: "exact" (biased and unbiased CKA of all images together) or "minibatch".
        side: of the square that images are resized to; 112 as in the study.
        pooled: mean over places instead of flattened maps.
        batch_size: images of a batch of "minibatch", at least; a little more so that the last is
            not a rest.
        memory_gib: what "exact" may hold at once, besides the network; less means more passes over
            the images.
    """

    estimator: Literal["exact", "minibatch"] = "exact"
    side: int = 112
    pooled: bool = False
    batch_size: int = 256
    memory_gib: float = 4.0

    def __post_init__(self) -> None:
        """Refuse numbers that cannot be.

        Raises:
            SettingError: which, and what it has to be.
        """
        if self.side < 1:
            raise SettingError(f"The side of images must be at least 1; got {self.side}.")
        if self.batch_size < _SMALLEST_BATCH:
            raise SettingError(
                f"A batch needs {_SMALLEST_BATCH} images or more; got {self.batch_size}."
            )
        if not 0 < self.memory_gib < float("inf"):
            raise SettingError(f"The memory must be a positive number; got {self.memory_gib} GiB.")

    @property
    def representation(self) -> str:
        """The word for what a block's features are."""
        return "pooled" if self.pooled else "flattened"

    @property
    def memory_bytes(self) -> int:
        """The memory in bytes."""
        return int(self.memory_gib * GIB)


@dataclass(frozen=True, kw_only=True)
class Member:
    """An encoder that takes part, known without holding it.

    Attributes:
        digest: of weights, architecture and preprocessing.
        keys: block name to the identity of what is kept of it.
    """

    name: str
    card: EncoderCard
    digest: str
    blocks: tuple[Block, ...]
    keys: Mapping[str, BlockKey]

    @property
    def block_names(self) -> tuple[str, ...]:
        """Names of the blocks, shallow first."""
        return tuple(block.name for block in self.blocks)


def member(
    name: str,
    encoder: Encoder,
    settings: SimilaritySettings,
    *,
    images: tuple[str, str],
    compute: Compute,
) -> Member:
    """Look at an encoder; `images` is their digest, and the split they are of.

    Raises:
        SettingError: the encoder takes no images of that size.
    """
    blocks = find_blocks(encoder, settings.side, pooled=settings.pooled)
    size = (settings.side, settings.side)
    weights = weights_digest(encoder.backbone)
    preprocessing = preprocessing_digest(encoder.card, size, maps=False)
    keys = {
        block.name: BlockKey(
            weights=weights,
            preprocessing=preprocessing,
            output=f"CKA of {settings.representation} {block.name}",
            dataset=images[0],
            split=images[1],
            dtype="float32",
            compute=compute.precision,
        )
        for block in blocks
    }
    return Member(
        name=name,
        card=encoder.card,
        digest=digest(weights, preprocessing),
        blocks=blocks,
        keys=keys,
    )
