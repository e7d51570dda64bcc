"""What MoCo v1, MoCo v2 and Exemplar-v2 share: the momentum network, its shuffle, the loss.

    l(q, k) = -log( exp(q.k / T) / (exp(q.k / T) + sum over the queue of exp(q.k_i / T)) )

References:
    He et al. 2020, Momentum Contrast, arXiv 1911.05722.
"""

import math

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from vireo import seeding
from vireo.console import warn
from vireo.errors import SettingError
from vireo.methods.method import Progress
from vireo.methods.parts import follow, momentum_copy, unit
from vireo.methods.processes import of_all_processes, own_share


class KeyNetwork(nn.Module):
    """The momentum copy of an encoder and its projector: it gives keys and takes no gradient."""

    def __init__(self, encoder: nn.Module, projector: nn.Module) -> None:
        super().__init__()
        self.encoder = momentum_copy(encoder)
        self.projector = momentum_copy(projector)
        self._shuffle = ("", 0)

    def follow(self, encoder: nn.Module, projector: nn.Module, m: float, now: Progress) -> None:
        """Move towards the query network, and note which shuffles this step draws.

        The released code moves between the forward of the query and that of the key; the query's
        forward changes no parameter, so at the start of the step the result is the same.
        """
        follow(self.encoder, encoder, m)
        follow(self.projector, projector, m)
        self._shuffle = (now.digest, now.step)

    @torch.no_grad()
    def forward(self, views: Float[Tensor, "keys n 3 h w"]) -> Float[Tensor, "keys n d"]:
        """Encode each view in an order of its own, so that splits differ from the queries'.

        Over several processes the order is of all their images: each encodes its share of them,
        and gets the keys of its own back.
        """
        digest, step = self._shuffle
        draw = seeding.generator(digest, "shuffle", 0, step)
        everyones = [of_all_processes(x_k) for x_k in views]
        return torch.stack([self._keys(x_k, draw.permutation(len(x_k))) for x_k in everyones])

    def _keys(self, x_k: Float[Tensor, "N 3 h w"], order: np.ndarray) -> Float[Tensor, "n d"]:
        shuffle, back = (
            torch.from_numpy(places).to(x_k.device, non_blocking=True)
            for places in (order, np.argsort(order))
        )
        k = unit(self.projector(self.encoder(x_k[own_share(shuffle)]).pooled))
        return own_share(of_all_processes(k)[back])


def info_nce(
    q: Float[Tensor, "n d"],
    k: Float[Tensor, "n d"],
    queue: Float[Tensor, "d K"],
    T: float,
    *,
    excluded: Bool[Tensor, "n K"] | None = None,
) -> tuple[Float[Tensor, ""], Float[Tensor, "n K_and_1"]]:
    """Return the mean of l(q, k) and the logits, the positive first.

    Args:
        q: unit embeddings of the queries.
        k: their positive keys.
        queue: the negatives, as columns.
        T: temperature.
        excluded: columns that are no negatives of a query; their logits are -inf.
    """
    positive = (q * k).sum(dim=1, keepdim=True)  # [n, 1]
    negative = q @ queue  # [n, K]
    if excluded is not None:
        negative = negative.masked_fill(excluded, -math.inf)
    logits = torch.cat([positive, negative], dim=1) / T
    return F.cross_entropy(logits, logits.new_zeros(len(q), dtype=torch.int64)), logits


def contrast_terms(logits: Float[Tensor, "n K_and_1"], T: float) -> dict[str, Tensor]:
    """Return what is logged: how often the positive comes first, and mean similarities."""
    logits = logits.detach()
    negative, counted = logits[:, 1:], logits[:, 1:].isfinite()
    total = negative.where(counted, 0.0).sum()
    return {
        "accuracy": (logits.argmax(1) == 0).float().mean(),
        "positive_similarity": logits[:, 0].mean() * T,
        "negative_similarity": total / counted.sum().clamp(min=1) * T,
    }


def check_contrast(
    *, queue_size: int, keys: int, bn_splits: int, batch_size: int, momentum: float, T: float
) -> None:
    """Refuse a queue or splits that the batch does not divide, and numbers out of range.

    Args:
        queue_size: K.
        keys: that one step enqueues: the batch, or twice that if both views give keys.
        bn_splits: of the batch norms.
        batch_size: images a step.
        momentum: m.
        T: temperature.

    Raises:
        SettingError: the rule that is broken, the values, and what to change.
    """
    if keys > queue_size or queue_size % keys:
        name = "batch_size" if keys == batch_size else "twice batch_size, as both views give keys"
        raise SettingError(
            f"queue_size must be a multiple of {name}; got {queue_size} and {batch_size}. "
            f"Set queue_size = {max(1, queue_size // keys) * keys}."
        )
    if bn_splits < 1 or batch_size % bn_splits or batch_size // bn_splits < 2:
        raise SettingError(
            f"bn_splits must divide batch_size into parts of at least 2; got {bn_splits} and "
            f"{batch_size}. Set bn_splits = 1 or another batch_size."
        )
    if not 0 <= momentum <= 1 or T <= 0:
        raise SettingError(
            f"momentum must be in [0, 1] and temperature above 0; got {momentum} and {T}."
        )


def warn_of_own_keys(queue_size: int, num_examples: int) -> None:
    """Say that a queue holds more keys than there are images."""
    if queue_size >= num_examples:
        warn(
            f"queue_size {queue_size} is not below the {num_examples} images: an image's own "
            f"earlier keys are among its negatives. Consider a shorter queue."
        )
