"""What the two forms of CKA cost in operations and bytes: by this one is chosen, by no stopwatch.

For n images and B blocks of p_a columns each, both halved where a matrix is symmetric:

- Gram form: a Gram matrix a block, n^2 sum(p_a), and a product of two for each pair, n^2 B^2 / 2.
- feature form: a covariance for each pair, n sum(p_a)^2.

So maps, which have more columns than there are images, want Gram matrices, and so do many blocks;
the few hundred pooled features of a small network do not.
"""

from collections.abc import Sequence
from enum import Enum

FLOAT, DOUBLE = 4, 8


class Form(Enum):
    """Which of two equal sums is computed."""

    gram = "gram"
    feature = "feature"


def cheaper(n: int, widths: Sequence[int]) -> Form:
    """Return the form with fewer operations.

    Example:
        >>> cheaper(10_000, [16, 32, 64] * 2), cheaper(10_000, [200_704] * 2)
        (<Form.feature: 'feature'>, <Form.gram: 'gram'>)
    """
    return Form.gram if gram_flops(n, widths) < feature_flops(n, widths) else Form.feature


def gram_flops(n: int, widths: Sequence[int]) -> int:
    """Return the operations of the Gram form; an addition and a multiplication count as two."""
    pairs = len(widths) * (len(widths) + 1) // 2
    return n * n * (sum(widths) + pairs)


def feature_flops(n: int, widths: Sequence[int]) -> int:
    """Return the operations of the feature form, all pairs in one product."""
    return 2 * n * sum(widths) ** 2


def is_kept_as_features(n: int, width: int) -> bool:
    """Say whether a block's features take no more bytes on disk than half its Gram matrix."""
    return 2 * width <= n + 1


def stored_bytes(n: int, width: int) -> int:
    """Return what a block takes on disk."""
    return FLOAT * min(n * width, -(-n // 2) * (n + 1))
