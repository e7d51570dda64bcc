"""MoCo v1: tell another view of the same image from a queue of views of other images.

    L = -log( exp(q.k / T) / (exp(q.k / T) + sum over the queue of exp(q.k_i / T)) )

q is the query network's unit embedding of one view, k the momentum network's of the other, k_i the
keys of earlier batches. MoCo v2 differs by its projector, temperature, views and schedule alone.

References:
    He et al. 2020, Momentum Contrast for Unsupervised Visual Representation Learning,
    arXiv 1911.05722.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from vireo.data.batch import ViewBatch
from vireo.data.views.published import two_crops_v1
from vireo.encoders.encoder import Encoder
from vireo.methods.method import Losses, Method, Progress
from vireo.methods.momentum_contrast import (
    KeyNetwork,
    check_contrast,
    contrast_terms,
    info_nce,
    warn_of_own_keys,
)
from vireo.methods.parts import Queue, demand_sizes, full_precision, split_batch_norm, unit
from vireo.records import OptimizerSettings


@dataclass(frozen=True, kw_only=True)
class MoCoV1Settings:
    """The paper's values.

    Attributes:
        momentum: m of the key encoder.
        bn_splits: devices that batch norm behaves as if it ran on; keys are shuffled among them, so
            that a query cannot tell its key by shared statistics. The paper has 8.
    """

    image_size: int = 224
    queue_size: int = 65536
    momentum: float = 0.999
    temperature: float = 0.07
    dimension: int = 128
    bn_splits: int = 8
    crop_scale: tuple[float, float] = (0.2, 1.0)


class MoCoV1(Method):
    """Query and momentum network, queue; batch.groups[0] holds query and key views."""

    Settings = MoCoV1Settings
    batch_interaction = "keys are shuffled over the whole batch, between parts of its batch norm"

    def __init__(
        self,
        encoder: Encoder,
        settings: MoCoV1Settings,
        *,
        num_examples: int,
        num_classes: int | None,
    ) -> None:
        super().__init__()
        warn_of_own_keys(settings.queue_size, num_examples)
        self.settings = settings
        self.views = two_crops_v1(
            settings.image_size,
            scale=settings.crop_scale,
            mean=encoder.card.mean,
            std=encoder.card.std,
        )
        self.no_information = math.log(1 + settings.queue_size)
        # One split is the whole batch; more are devices, each with statistics of its own.
        self.sync_batch_norm = settings.bn_splits == 1
        if settings.bn_splits > 1:
            split_batch_norm(encoder, settings.bn_splits)
        self.encoder = encoder
        self.projector = nn.Linear(encoder.card.features, settings.dimension)
        self.key_network = KeyNetwork(encoder, self.projector)
        self.queue = Queue(settings.dimension, settings.queue_size)

    @classmethod
    def published_optimizer(cls, batch_size: int) -> OptimizerSettings:
        """SGD, .03 for a batch of 256 and linear in it, a tenth from epochs 120 and 160 of 200."""
        return OptimizerSettings(
            learning_rate=0.03 * batch_size / 256,
            weight_decay=1e-4,
            schedule="step",
            milestones=(120 / 200, 160 / 200),
        )

    @classmethod
    def check(
        cls,
        settings: MoCoV1Settings,
        *,
        batch_size: int,
        num_examples: int,
        num_classes: int | None,
    ) -> None:
        """Refuse a queue or splits that the batch does not divide, and keys without width."""
        demand_sizes(settings, "dimension")
        check_contrast(
            queue_size=settings.queue_size,
            keys=batch_size,
            bn_splits=settings.bn_splits,
            batch_size=batch_size,
            momentum=settings.momentum,
            T=settings.temperature,
        )

    def before_step(self, progress: Progress) -> None:
        """Let the momentum network follow."""
        self.key_network.follow(self.encoder, self.projector, self.settings.momentum, progress)

    def forward(self, batch: ViewBatch) -> Losses:
        """Return the loss of this batch's queries; the queue is as earlier batches left it."""
        T = self.settings.temperature
        features = self.encoder(batch.groups[0][0]).pooled
        q = unit(self.projector(features))
        k = self.key_network(batch.groups[0][1:])[0]
        with full_precision(q.device):
            loss, logits = info_nce(q, k, self.queue.columns, T)
        return Losses(
            total=loss,
            terms=contrast_terms(logits, T),
            features=features.detach(),
            pending={"keys": k},
        )

    def after_step(self, progress: Progress, pending: Mapping[str, Tensor]) -> None:
        """Put this batch's keys in place of the oldest."""
        self.queue.push(pending["keys"])
