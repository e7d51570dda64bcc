"""What is stored: the identities of blocks and rows, and the rows themselves."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class BlockKey:
    """Everything that decides the numbers of a block of features; its digest is the block's folder.

    Attributes:
        weights: digest of the encoder's tensors.
        preprocessing: digest of resize rule, input size, mean, std and architecture.
        output: "pooled", or "map1" (stride 2) to "map5" (stride 32).
        dataset: digest of the examples in their order (`Source.digest`).
        split: name of the split.
        dtype: of the stored numbers ("float16", "float32").
        compute: precision the encoder ran in ("float32", "bfloat16").
    """

    weights: str
    preprocessing: str
    output: str
    dataset: str
    split: str
    dtype: str
    compute: str


@dataclass(frozen=True, kw_only=True)
class RowKey:
    """Everything that decides a result; its digest is the row's file name.

    Attributes:
        encoder: digest of weights, architecture and preprocessing. Never of a path or a name.
        task: digest of the `Task` and of the datasets it reads.
        protocol: digest of the `ProbeSettings` without its seeds.
        scoring: how predictions are scored.
        seed: of head initialisation and batch order.
    """

    encoder: str
    task: str
    protocol: str
    scoring: str
    seed: int


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What a result took. Times are wall seconds on this machine; they are facts, not identity."""

    seconds: float
    images_per_second: float
    flops: int
    peak_memory_bytes: int
    device: str
    threads: int


@dataclass(frozen=True, kw_only=True)
class ResultRow:
    """One encoder on one task with one seed: written once, never changed.

    Attributes:
        method ... parameters: facts of the encoder's card that analyses group by.
        recipe: tells options of pre-training apart; empty where unknown, and in rows of formats 1
            and 2.
        encoder_flops: of one forward pass at the card's input size; None in rows of format 1.
        score: higher is better; raw: the metric's own value and direction.
        low, high: bootstrap interval of `score` over the n test examples.
        floor: score of the best constant answer.
        metrics: every other metric computed.
        hyperparameters: what was chosen (learning rate, weight decay, epochs, features cached or
            not).
        versions: of python, torch, vireo and what else decides numbers.
        time: UTC, ISO 8601.
    """

    key: RowKey
    encoder: str
    method: str
    pretraining_set: str
    images: int | None
    epochs: float | None
    steps: int | None
    balance: str
    recipe: str
    architecture: str
    parameters: int
    encoder_flops: int | None
    task: str
    dataset: str
    family: str
    metric: str
    unit: str
    protocol: str
    score: float
    raw: float
    low: float
    high: float
    n: int
    floor: float
    metrics: Mapping[str, float] = field(default_factory=dict)
    hyperparameters: Mapping[str, float | int | str] = field(default_factory=dict)
    cost: Cost
    versions: Mapping[str, str] = field(default_factory=dict)
    time: str


@dataclass(frozen=True, kw_only=True)
class SimilarityKey:
    """Everything that decides how alike two encoders are found; its digest is the row's file name.

    Attributes:
        first, second: digests of weights, architecture and preprocessing. Never of a path or name.
        images: digest of the images in their order.
        side: of the square that images are resized to.
        representation: "flattened" (maps as they are) or "pooled" (their mean over places).
        estimator: "biased", "unbiased" (HSIC1) or "minibatch" (the mean HSIC1 of batches).
        batch_size: of "minibatch"; 0 of the others, which see all images at once.
        compute: precision the encoders ran in.
    """

    first: str
    second: str
    images: str
    side: int
    representation: str
    estimator: str
    batch_size: int
    compute: str


@dataclass(frozen=True, kw_only=True)
class SimilarityRow:
    """CKA of every block of one encoder with every block of another, or of itself.

    Attributes:
        first, second: the encoders' names.
        first_method ... second_set: facts of their cards that analyses group by.
        first_blocks, second_blocks: names of the blocks, shallow first.
        dataset: name and split of the images; n: how many.
        values: [first block][second block]; None where a block gives all images the same. Between
            two encoders (i, j) and (j, i) are different cells.
        versions: of python, torch, vireo and what else decides numbers.
        time: UTC, ISO 8601.
    """

    key: SimilarityKey
    first: str
    second: str
    first_method: str
    second_method: str
    first_set: str
    second_set: str
    first_blocks: tuple[str, ...]
    second_blocks: tuple[str, ...]
    dataset: str
    n: int
    values: tuple[tuple[float | None, ...], ...]
    versions: Mapping[str, str] = field(default_factory=dict)
    time: str
