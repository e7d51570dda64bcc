"""How many dimensions features use: two numbers that fall when a representation collapses.

References:
    Garrido et al. 2023, RankMe. https://arxiv.org/abs/2210.02885
    Chen and He 2021, SimSiam (figure 2, middle). https://arxiv.org/abs/2011.10566
"""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

_EPSILON = 1e-7


def effective_rank(features: Float[Tensor, "n dim"] | Float[np.ndarray, "n dim"]) -> float:
    """Return RankMe: the exponential of the entropy of the normalised singular values.

    p_k = sigma_k / sum(sigma) + 1e-7; the rank is exp(-sum p_k ln p_k), between 1 and min(n, dim).
    The paper takes n = 25,600; a smaller n than a few times dim bounds the value.

    Example:
        >>> round(effective_rank(torch.eye(8)), 3)
        8.0
    """
    sigma = torch.linalg.svdvals(torch.as_tensor(features).double())
    p = sigma / sigma.sum().clamp_min(torch.finfo(sigma.dtype).tiny) + _EPSILON
    return float((-(p * p.log()).sum()).exp())


def feature_std(features: Float[Tensor, "n dim"] | Float[np.ndarray, "n dim"]) -> float:
    """Return the standard deviation over examples of l2-normalised features, mean over dimensions.

    It is 0 for a collapsed representation and near 1/sqrt(dim) for features spread evenly over the
    sphere.

    Example:
        >>> feature_std(torch.ones(4, 3))
        0.0
    """
    unit = F.normalize(torch.as_tensor(features).double(), dim=1)
    return float(unit.std(dim=0, correction=0).mean())
