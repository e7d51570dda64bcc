r"""Linear CKA: how alike two sets of features of the same images are, between 0 and 1.

With $X_a$ the features of block $a$, one image a row, their columns centred, $K_a = X_a X_a^T$
their Gram matrix, $d_a$ its diagonal and $t_a$ its trace, over n images:

- HSIC, biased: $\langle K_a, K_b \rangle / (n-1)^2$, and $\langle K_a, K_b \rangle =
  \lVert X_a^T X_b \rVert_F^2$: the Gram form and the feature form of the same number.
- HSIC1, unbiased (Song et al. 2012, eq. 5). Of a centred $K_a$ with its diagonal set to zero the
  sums of the rows are $-d_a$ and of everything $-t_a$, so that equation reads $[s_{ab} +
  t_a t_b / ((n-1)(n-2)) - 2 d_a \cdot d_b / (n-2)] / (n(n-3))$, with $s_{ab}$ the sum over
  $i \ne j$ of $K_{a,ij} K_{b,ij}$.
  Centring changes nothing: HSIC1 depends on differences of images alone.
- CKA(a, b) = HSIC(a, b) / sqrt(HSIC(a, a) HSIC(b, b)).

So both need the same two things of a pair of blocks, its `Moments`. The biased one is what the
study and nearly all others report; it is far from 0 for features that have nothing in common, where
there are more of them than images. The unbiased one is not, and may be negative.

Everything here is float64: it costs a small part of the Gram matrices (`costs`).

References:
    Kornblith et al. 2019, Similarity of neural network representations revisited.
    https://arxiv.org/abs/1905.00414
    Song et al. 2012, Feature selection via dependence maximization, JMLR 13.
    Nguyen et al. 2021, Do wide and deep networks learn the same things? (minibatches).
    https://arxiv.org/abs/2010.15327
"""

from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from vireo.similarity import gram
from vireo.similarity.costs import Form, cheaper

Estimator = Literal["biased", "unbiased"]
ESTIMATORS: tuple[Estimator, ...] = ("biased", "unbiased")
FEWEST = 4
"""Images that HSIC1 needs."""


class Moments(NamedTuple):
    """What CKA needs of the centred Gram matrices of some blocks.

    Attributes:
        off: of each pair, the sum of the products of their entries off the diagonal.
        diagonals: of each block.
    """

    off: Float64[Tensor, "blocks blocks"]
    diagonals: Float64[Tensor, "blocks n"]


def linear_cka(
    x: Float[Tensor, "n p"], y: Float[Tensor, "n q"], estimator: Estimator = "biased"
) -> float:
    """Return the linear CKA of two sets of features of the same n images.

    NaN where one of them is the same for all images.

    Example:
        >>> x = torch.tensor([[0.0, 1.0], [1.0, 0.0], [2.0, 5.0], [3.0, 3.0]])
        >>> round(linear_cka(x, 7 - 3 * x), 6)
        1.0
    """
    return float(cka_matrix([x, y], estimator)[0, 1])


def cka_matrix(
    features: Sequence[Float[Tensor, "n _p"]], estimator: Estimator = "biased"
) -> Float64[Tensor, "blocks blocks"]:
    """Return the CKA of each of `features` with each, computed in the cheaper form."""
    form = cheaper(len(features[0]), [x.shape[1] for x in features])
    return cka(hsic(_MOMENTS[form](features), estimator))


def cka(hsic: Float64[Tensor, "blocks blocks"]) -> Float64[Tensor, "blocks blocks"]:
    """Return HSIC over the root of both blocks' own; NaN where a block's own is not positive."""
    own = hsic.diagonal()
    root = torch.where(own > 0, own, torch.nan).sqrt()
    return hsic / root / root[:, None]


def hsic(moments: Moments, estimator: Estimator) -> Float64[Tensor, "blocks blocks"]:
    """Return the HSIC of each pair of blocks; "unbiased" is HSIC1."""
    off, d = moments
    n = d.shape[1]
    assert n >= FEWEST, f"{n} images"
    if estimator == "biased":
        return (off + d @ d.T) / (n - 1) ** 2
    t = d.sum(1)
    return (off - 2 / (n - 2) * (d @ d.T) + torch.outer(t, t) / ((n - 1) * (n - 2))) / (n * (n - 3))


def gram_moments(features: Sequence[Float[Tensor, "n _p"]]) -> Moments:
    """Return the moments of blocks by their n x n Gram matrices."""
    stack = torch.stack([gram.folded(x) for x in features])
    return moments_of_folded([(0, stack)], len(features[0]))


def moments_of_folded(
    parts: Iterable[tuple[int, Float64[Tensor, "blocks _rows _columns"]]], n: int
) -> Moments:
    """Return the moments of folded Gram matrices (`gram`), read some rows at a time.

    Args:
        parts: the first row of a part and the part, of all blocks. Parts are used up: their
            diagonals are overwritten.
        n: number of images.
    """
    off, diagonals = torch.zeros(()), torch.zeros(())
    for start, stack in parts:
        if start == 0:
            blocks = len(stack)
            off = stack.new_zeros(blocks, blocks)
            diagonals = stack.new_zeros(blocks, n)
        gram.take_diagonal(stack, start, diagonals)
        entries = stack.flatten(1)
        off += 2 * (entries @ entries.T)  # each entry stands for two
    return Moments(off, diagonals)


def feature_moments(features: Sequence[Float[Tensor, "n _p"]]) -> Moments:
    """Return the moments of blocks by the covariances of their columns."""
    widths = [x.shape[1] for x in features]
    x = torch.cat([column.double() for column in features], dim=1)
    return moments_of_features([x - x.mean(0)], widths)


def moments_of_features(
    parts: Iterable[Float64[Tensor, "_rows columns"]], widths: Sequence[int]
) -> Moments:
    """Return the moments of blocks whose centred features lie side by side, some rows at a time."""
    owner = torch.arange(len(widths)).repeat_interleave(torch.tensor(widths))
    products, diagonals = torch.zeros(()), []
    for x in parts:
        products = products.to(x) + x.T @ x
        diagonals.append(_sum_by(owner.to(x.device), x.square(), len(widths)))
    d = torch.cat(diagonals).T
    owner = owner.to(d.device)
    squares = _sum_by(owner, _sum_by(owner, products.square(), len(widths)).T, len(widths))
    return Moments(squares - d @ d.T, d)


def _sum_by(owner: Tensor, values: Tensor, blocks: int) -> Float64[Tensor, "_rows blocks"]:
    """Add up the columns that belong to the same block."""
    return values.new_zeros(len(values), blocks).index_add_(1, owner, values)


_MOMENTS = {Form.gram: gram_moments, Form.feature: feature_moments}
