"""MoCo v2: tell another view of the same image from a queue of views of other images.

    L = -log( exp(q.k / T) / (exp(q.k / T) + sum over the queue of exp(q.k_i / T)) )

q is the query network's unit embedding of one view, k the momentum network's of the other, k_i the
keys of earlier batches.

References:
    He et al. 2020, Momentum Contrast, arXiv 1911.05722; Chen et al. 2020, arXiv 2003.04297.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from vireo import seeding
from vireo.console import warn
from vireo.data.batch import ViewBatch
from vireo.data.views.published import two_crops
from vireo.encoders.encoder import Encoder
from vireo.errors import SettingError
from vireo.methods.method import Losses, Method, Progress
from vireo.methods.parts import (
    Queue,
    follow,
    full_precision,
    mlp,
    momentum_copy,
    split_batch_norm,
    unit,
    without_blur,
)
from vireo.records import OptimizerSettings


@dataclass(frozen=True, kw_only=True)
class MoCoV2Settings:
    """The paper's values. The authors' CIFAR-10 demonstration: queue 4096, momentum .99, T .1.

    Attributes:
        momentum: m of the key encoder.
        hidden_size: of the projector; 0 is the width of the encoder's feature (2048 for ResNet-50).
        bn_splits: devices that batch norm behaves as if it ran on; keys are shuffled among them, so
            that a query cannot tell its key by shared statistics. The paper has 8.
        blur: of views of at least 96 pixels; the demonstration at 32 has none.
    """

    image_size: int = 224
    queue_size: int = 65536
    momentum: float = 0.999
    temperature: float = 0.2
    dimension: int = 128
    hidden_size: int = 0
    bn_splits: int = 8
    crop_scale: tuple[float, float] = (0.2, 1.0)
    blur: bool = True


class MoCoV2(Method):
    """Query and momentum network, queue; batch.groups[0] holds query and key views."""

    Settings = MoCoV2Settings

    def __init__(
        self,
        encoder: Encoder,
        settings: MoCoV2Settings,
        *,
        num_examples: int,
        num_classes: int | None,
    ) -> None:
        super().__init__()
        if settings.queue_size >= num_examples:
            warn(
                f"queue_size {settings.queue_size} is not below the {num_examples} images: an "
                f"image's own earlier keys are among its negatives. Consider a shorter queue."
            )
        self.settings = settings
        self.views = two_crops(
            settings.image_size,
            scale=settings.crop_scale,
            mean=encoder.card.mean,
            std=encoder.card.std,
        )
        if not settings.blur:
            self.views = without_blur(self.views)
        self.no_information = math.log(1 + settings.queue_size)
        if settings.bn_splits > 1:
            split_batch_norm(encoder, settings.bn_splits)
        d = encoder.card.features
        self.encoder = encoder
        self.projector = mlp(d, settings.hidden_size or d, settings.dimension, batch_norm=False)
        self.key_encoder = momentum_copy(encoder)
        self.key_projector = momentum_copy(self.projector)
        self.queue = Queue(settings.dimension, settings.queue_size)
        self._shuffle = ("", 0)

    @classmethod
    def published_optimizer(cls, batch_size: int) -> OptimizerSettings:
        """SGD, .03 for a batch of 256 and linear in it, cosine by the epoch to 0, no warm-up."""
        return OptimizerSettings(learning_rate=0.03 * batch_size / 256, weight_decay=1e-4)

    @classmethod
    def check(
        cls,
        settings: MoCoV2Settings,
        *,
        batch_size: int,
        num_examples: int,
        num_classes: int | None,
    ) -> None:
        """Refuse a queue or splits that the batch does not divide."""
        K, s = settings.queue_size, settings.bn_splits
        if batch_size > K or K % batch_size:
            raise SettingError(
                f"queue_size must be a multiple of batch_size; got {K} and {batch_size}. "
                f"Set queue_size = {max(1, K // batch_size) * batch_size}."
            )
        if s < 1 or batch_size % s or batch_size // s < 2:
            raise SettingError(
                f"bn_splits must divide batch_size into parts of at least 2; got {s} and "
                f"{batch_size}. Set bn_splits = 1 or another batch_size."
            )
        if not 0 <= settings.momentum <= 1 or settings.temperature <= 0:
            raise SettingError(
                f"momentum must be in [0, 1] and temperature above 0; got {settings.momentum} "
                f"and {settings.temperature}."
            )

    def before_step(self, progress: Progress) -> None:
        """Let the momentum network follow, and note which shuffle this step draws.

        The released code updates between the forward of the query and that of the key; the query's
        forward changes no parameter, so at the start of the step the result is the same.
        """
        m = self.settings.momentum
        follow(self.key_encoder, self.encoder, m)
        follow(self.key_projector, self.projector, m)
        self._shuffle = (progress.digest, progress.step)

    def forward(self, batch: ViewBatch) -> Losses:
        """Return the loss of this batch's queries; the queue is as earlier batches left it."""
        x_q, x_k = batch.groups[0]
        features = self.encoder(x_q).pooled
        q = unit(self.projector(features))
        k = self._keys(x_k)
        with full_precision(q.device):
            loss, logits = info_nce(q, k, self.queue.columns, self.settings.temperature)
        terms = {
            "accuracy": (logits.argmax(1) == 0).float().mean(),
            "positive_similarity": (q * k).sum(1).mean(),
        }
        return Losses(
            total=loss,
            terms={name: term.detach() for name, term in terms.items()},
            features=features.detach(),
            pending={"keys": k},
        )

    def after_step(self, progress: Progress, pending: Mapping[str, Tensor]) -> None:
        """Put this batch's keys in place of the oldest."""
        self.queue.push(pending["keys"])

    @torch.no_grad()
    def _keys(self, x_k: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n d"]:
        """Encode the key views in a drawn order, so that splits differ from the queries'."""
        digest, step = self._shuffle
        order = seeding.generator(digest, "shuffle", 0, step).permutation(len(x_k))
        shuffle, back = (
            torch.from_numpy(places).to(x_k.device, non_blocking=True)
            for places in (order, np.argsort(order))
        )
        return unit(self.key_projector(self.key_encoder(x_k[shuffle]).pooled))[back]


def info_nce(
    q: Float[Tensor, "n d"], k: Float[Tensor, "n d"], queue: Float[Tensor, "d K"], T: float
) -> tuple[Float[Tensor, ""], Float[Tensor, "n K_and_1"]]:
    """Return the mean contrastive loss and the logits, the positive first."""
    positive = (q * k).sum(dim=1, keepdim=True)  # [n, 1]
    negative = q @ queue  # [n, K]
    logits = torch.cat([positive, negative], dim=1) / T
    return F.cross_entropy(logits, logits.new_zeros(len(q), dtype=torch.int64)), logits
