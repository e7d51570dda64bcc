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
        method ... epochs: facts of the encoder's card that analyses group by.
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
    balance: str
    architecture: str
    parameters: int
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
class SimilarityRow:
    """How alike two encoders' features are on the same images (CKA, Kornblith et al. 2019)."""

    first: str
    second: str
    first_block: str
    second_block: str
    images: str
    estimator: str
    n: int
    value: float
