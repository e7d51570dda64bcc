"""Spherical k-means: clusters of unit vectors by cosine similarity.

References:
    Dhillon & Modha 2001, Concept Decompositions for Large Sparse Text Data Using Clustering.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor

ROWS = 16384  # that are compared with the centroids at once


@torch.no_grad()
def spherical_k_means(
    z: Float[Tensor, "n d"], C: Float[Tensor, "K d"], iterations: int
) -> tuple[Float[Tensor, "K d"], Int64[Tensor, " n"]]:
    """Return unit centroids and the nearest one of each row, starting from the centroids C.

    A centroid becomes the direction of its rows' sum; one without rows stays where it is.

    Example:
        >>> z = F.normalize(torch.tensor([[1.0, 0.1], [1.0, -0.1], [0.0, 1.0]]), dim=1)
        >>> spherical_k_means(z, z[[0, 2]], 2)[1].tolist()
        [0, 0, 1]
    """
    for _ in range(iterations):
        a = _nearest(z, C)
        sums = torch.zeros_like(C).index_add_(0, a, z)
        counts = torch.bincount(a, minlength=len(C))
        C = torch.where(counts[:, None] > 0, F.normalize(sums, dim=1), C)
    return C, _nearest(z, C)


def _nearest(z: Float[Tensor, "n d"], C: Float[Tensor, "K d"]) -> Int64[Tensor, " n"]:
    return torch.cat([(rows @ C.T).argmax(1) for rows in torch.split(z, ROWS)])
