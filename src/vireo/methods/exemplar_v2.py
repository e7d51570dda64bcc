"""Exemplar-v2: MoCo v2 whose negatives are of other classes; no other image is pulled closer.

    L = -log( exp(q.k / T) / (exp(q.k / T) + sum over keys k_i of another class of exp(q.k_i / T)) )

q is the query network's unit embedding of one view, k the momentum network's of the other, k_i the
keys of earlier batches. Labels only take keys out of the sum. No training code was released, nor
epochs or temperature: all but the sum is MoCo v2's.

References:
    Zhao et al. 2021, What Makes Instance Discrimination Good for Transfer Learning?,
    arXiv 2006.06606; Chen et al. 2020, arXiv 2003.04297 (MoCo v2).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from vireo.data.batch import ViewBatch
from vireo.data.views.published import two_crops
from vireo.encoders.encoder import Encoder
from vireo.methods.method import Losses, Method, Progress
from vireo.methods.momentum_contrast import (
    KeyNetwork,
    check_contrast,
    contrast_terms,
    info_nce,
    warn_of_own_keys,
)
from vireo.methods.parts import (
    Queue,
    demand_classes,
    demand_sizes,
    full_precision,
    mlp,
    split_batch_norm,
    unit,
    without_blur,
)
from vireo.records import OptimizerSettings

NO_LABEL = -1  # of the random columns that a queue starts with: no image's class


@dataclass(frozen=True, kw_only=True)
class ExemplarV2Settings:
    """The values of MoCo v2.

    Attributes:
        momentum: m of the key encoder.
        hidden_size: of the projector; 0 is the width of the encoder's feature.
        bn_splits: devices that batch norm behaves as if it ran on; keys are shuffled among them.
        blur: of views of at least 96 pixels.
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


class ExemplarV2(Method):
    """Query and momentum network, queue of keys and their labels."""

    Settings = ExemplarV2Settings
    batch_interaction = "keys are shuffled over the whole batch, between parts of its batch norm"
    labels: Tensor

    def __init__(
        self,
        encoder: Encoder,
        settings: ExemplarV2Settings,
        *,
        num_examples: int,
        num_classes: int | None,
    ) -> None:
        super().__init__()
        classes = demand_classes(num_classes, "Exemplar-v2")
        warn_of_own_keys(settings.queue_size, num_examples)
        self.settings = settings
        views = two_crops(
            settings.image_size,
            scale=settings.crop_scale,
            mean=encoder.card.mean,
            std=encoder.card.std,
        )
        self.views = views if settings.blur else without_blur(views)
        # Classes being equally frequent, this share of a full queue is of another class.
        self.no_information = math.log(1 + settings.queue_size * (1 - 1 / classes))
        # One split is the whole batch; more are devices, each with statistics of its own.
        self.sync_batch_norm = settings.bn_splits == 1
        if settings.bn_splits > 1:
            split_batch_norm(encoder, settings.bn_splits)
        d = encoder.card.features
        self.encoder = encoder
        self.projector = mlp(d, settings.hidden_size or d, settings.dimension, batch_norm=False)
        self.key_network = KeyNetwork(encoder, self.projector)
        self.queue = Queue(settings.dimension, settings.queue_size)
        self.register_buffer("labels", torch.full((settings.queue_size,), NO_LABEL))

    @classmethod
    def published_optimizer(cls, batch_size: int) -> OptimizerSettings:
        """MoCo v2's: SGD, .03 for a batch of 256 and linear in it, cosine by the epoch to 0."""
        return OptimizerSettings(learning_rate=0.03 * batch_size / 256, weight_decay=1e-4)

    @classmethod
    def check(
        cls,
        settings: ExemplarV2Settings,
        *,
        batch_size: int,
        num_examples: int,
        num_classes: int | None,
    ) -> None:
        """Refuse images without classes, what MoCo v2 refuses, and nothing else."""
        demand_classes(num_classes, "Exemplar-v2")
        demand_sizes(settings, "dimension")
        demand_sizes(settings, "hidden_size", least=0)
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
        assert batch.label is not None
        T = self.settings.temperature
        features = self.encoder(batch.groups[0][0]).pooled
        q = unit(self.projector(features))
        k = self.key_network(batch.groups[0][1:])[0]
        same_class = batch.label[:, None] == self.labels  # [n, K]
        with full_precision(q.device):
            loss, logits = info_nce(q, k, self.queue.columns, T, excluded=same_class)
        return Losses(
            total=loss,
            terms=contrast_terms(logits, T),
            features=features.detach(),
            pending={"keys": k, "labels": batch.label},
        )

    @torch.no_grad()
    def after_step(self, progress: Progress, pending: Mapping[str, Tensor]) -> None:
        """Put this batch's keys and their labels in place of the oldest."""
        places = self.queue.push(pending["keys"])
        self.labels.index_copy_(0, places, pending["labels"])
