"""Gram matrices of images: summed up by columns of features, centred, folded to half.

A Gram matrix K = X X^T of n images is symmetric: only its upper triangle is computed, and kept
folded, a rectangle of ceil(n / 2) rows and n + 1 columns. Row i of it holds row i of the triangle
at its end and row n - 1 - i, backwards, at its start:

    a b c d
      e f g        j a b c d
        h i   ->   i h e f g
          j

Products of features are float32, of at most `CHUNK` columns at a time, and their sums float64. What
is summed, and in which order, depends on n and the block alone, never on how much memory there is.
"""

import torch
from jaxtyping import Float, Float64
from torch import Tensor

CHUNK = 2048
TILE = 1024

Rows = Float64[Tensor, "rows columns"]


def folded(features: Float[Tensor, "n p"]) -> Rows:
    """Return the centred Gram matrix of features that are held in memory, folded."""
    n = len(features)
    upper = torch.zeros(n, n, dtype=torch.float64, device=features.device)
    for columns in torch.split(features, CHUNK, dim=1):
        add_columns(upper, columns)
    centre(upper)
    return fold(upper, 0, num_rows(n))


def num_rows(n: int) -> int:
    """Return the number of rows of a folded matrix; it has n + 1 columns."""
    return -(-n // 2)


def add_columns(upper: Float64[Tensor, "n n"], columns: Float[Tensor, "n chunk"]) -> None:
    """Add the products of some columns of features to the upper triangle of their Gram matrix.

    The columns are centred first: the mean of a map after a ReLU is larger than its differences,
    which the products would lose. Doubles stay doubles. Below the diagonal some products too are
    added, and mean nothing.
    """
    mean = columns.double().mean(0)
    kind = torch.promote_types(columns.dtype, torch.float32)
    centred = (columns.to(kind) - mean.to(kind)).contiguous()
    for start in range(0, len(centred), TILE):
        upper[start : start + TILE, start:] += centred[start : start + TILE] @ centred[start:].T


def centre(upper: Float64[Tensor, "n n"]) -> None:
    """Take the means of rows and columns from a Gram matrix; only its upper triangle is read."""
    n = len(upper)
    upper.triu_()
    means = (upper.sum(0) + upper.sum(1) - upper.diagonal()) / n
    upper -= means - means.mean() / 2
    upper -= (means - means.mean() / 2)[:, None]


def fold(upper: Float64[Tensor, "n n"], start: int, stop: int) -> Rows:
    """Return rows `start` to `stop` of the folded matrix, from the upper triangle."""
    n = len(upper)
    rows = upper.new_zeros(stop - start, n + 1)
    rows[:, 1:] = upper[start:stop].triu(start)
    rows[:, :n] += upper[n - stop : n - start].flip(0, 1).tril(start)
    return _without_twins(rows, start, n)


def fold_features(features: Float64[Tensor, "n p"], start: int, stop: int) -> Rows:
    """Return rows `start` to `stop` of the folded Gram matrix of centred features."""
    n, backwards = len(features), features.flip(0)
    rows = features.new_zeros(stop - start, n + 1)
    rows[:, 1 + start :] = (features[start:stop] @ features[start:].T).triu()
    rows[:, :stop] += (backwards[start:stop] @ backwards[:stop].T).tril(start)
    return _without_twins(rows, start, n)


def take_diagonal(
    stack: Float64[Tensor, "blocks rows columns"],
    start: int,
    diagonals: Float64[Tensor, "blocks n"],
) -> None:
    """Move the diagonal's entries out of folded matrices into `diagonals`; zeros are left there.

    `stack` holds the rows from `start` on of each block.
    """
    n, count = diagonals.shape[1], stack.shape[1]
    rows = torch.arange(count, device=stack.device)
    images = rows + start
    # the middle row of an odd n has no second half, so what it gives here is written over next
    diagonals[:, n - 1 - images] = stack[:, rows, images]
    diagonals[:, images] = stack[:, rows, images + 1]
    stack[:, rows, images] = 0
    stack[:, rows, images + 1] = 0


def _without_twins(rows: Rows, start: int, n: int) -> Rows:
    """Clear the first half of the middle row of an odd n: it is the second half again."""
    middle = n // 2 - start
    if n % 2 and middle < len(rows):
        rows[middle, : n // 2 + 1] = 0
    return rows
