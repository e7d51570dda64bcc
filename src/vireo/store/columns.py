"""The columns of the table of results: for each, its type, whether it may be missing, its meaning.

Reading, exports and databases take their types from here, and docs/results.md is tested against it.
"""

from typing import Literal, NamedTuple

Kind = Literal["text", "integer", "real"]


class Column(NamedTuple):
    """One column.

    Attributes:
        optional: whether it may be missing, which means "unknown".
        path: where a `ResultRow` has the fact, if not under the column's name.
    """

    name: str
    kind: Kind
    meaning: str
    optional: bool = False
    path: str = ""


TABLE = (
    Column("encoder", "text", "name of the encoder"),
    Column("method", "text", "how it was pre-trained"),
    Column("pretraining_set", "text", "name of the images it saw"),
    Column("images", "integer", "number of images in that set", optional=True),
    Column("epochs", "real", "passes over them", optional=True),
    Column("steps", "integer", "steps of its pre-training", optional=True),
    Column("balance", "text", "how the set's classes are balanced"),
    Column("recipe", "text", "digest of its pre-training's settings; empty if unknown"),
    Column("architecture", "text", "shape of the network"),
    Column("parameters", "integer", "of the backbone"),
    Column(
        "encoder_flops",
        "integer",
        "operations of one forward pass at the encoder's own input size",
        optional=True,
    ),
    Column("task", "text", "name of the end task"),
    Column("dataset", "text", "name of the test images"),
    Column("family", "text", "semantic or structural, of an image or of pixels"),
    Column("metric", "text", "name of the metric"),
    Column("unit", "text", "unit of `raw`"),
    Column("protocol", "text", "how the encoder was asked"),
    Column("score", "real", "the metric, higher is better"),
    Column("raw", "real", "the metric's own value and direction"),
    Column("low", "real", "lower end of the interval of `score`"),
    Column("high", "real", "upper end of the interval of `score`"),
    Column("n", "integer", "number of test examples"),
    Column("floor", "real", "score of the best constant answer"),
    Column(
        "scoring", "text", "how predictions are scored: standard or released", path="key.scoring"
    ),
    Column(
        "seed", "integer", "of the head's initial weights and the order of batches", path="key.seed"
    ),
    Column("digest", "text", "identity of the row: digest of its key", path="key"),
    Column(
        "encoder_digest",
        "text",
        "digest of weights, architecture and preprocessing",
        path="key.encoder",
    ),
    Column("task_digest", "text", "digest of the task and the examples it reads", path="key.task"),
    Column(
        "protocol_digest", "text", "digest of the protocol without its seeds", path="key.protocol"
    ),
    Column("seconds", "real", "wall seconds that the row took", path="cost.seconds"),
    Column(
        "images_per_second",
        "real",
        "images that heads were trained and tested on a second",
        path="cost.images_per_second",
    ),
)
"""What `read_table` gives."""

FURTHER = (
    Column(
        "flops",
        "real",
        "operations of the encoder, as if no features had been stored",
        path="cost.flops",
    ),
    Column(
        "peak_memory_bytes",
        "integer",
        "most memory the process held",
        path="cost.peak_memory_bytes",
    ),
    Column("device", "text", "where it was computed", path="cost.device"),
    Column("threads", "integer", "of torch on the CPU", path="cost.threads"),
    Column("time", "text", "when it was written: UTC, ISO 8601"),
    Column("metrics", "text", "JSON object: every other metric computed"),
    Column("hyperparameters", "text", "JSON object: what was chosen"),
    Column("versions", "text", "JSON object: versions of what decides numbers"),
)
"""What exports have beside it, so that they lose nothing of a row but the per-example outcomes."""
