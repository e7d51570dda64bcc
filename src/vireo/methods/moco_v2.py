"""MoCo v2: tell another view of the same image from a queue of views of other images.

    l(q, k) = -log( exp(q.k / T) / (exp(q.k / T) + sum over the queue of exp(q.k_i / T)) )

q is the query network's unit embedding of one view, k the momentum network's of the other, k_i the
keys of earlier batches. L = l(q_0, k_1). Two variants, which go together:

    symmetric   L = l(q_0, k_1) + l(q_1, k_0), as in the CIFAR-10 demonstration of the authors
    multi-crop  instead of l(q_0, k_1) its mean over the queries q_0 and those of all small crops

References:
    He et al. 2020, Momentum Contrast, arXiv 1911.05722; Chen et al. 2020, arXiv 2003.04297;
    Kotar et al. 2021, arXiv 2103.14005, appendix I (multi-crop).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from vireo.data.batch import ViewBatch
from vireo.data.views.published import multi_crop, two_crops
from vireo.data.views.recipe import ViewRecipe
from vireo.encoders.encoder import Encoder
from vireo.methods.method import Losses, Method, Progress
from vireo.methods.momentum_contrast import (
    KeyNetwork,
    check_contrast,
    contrast_terms,
    info_nce,
    warn_of_own_keys,
)
from vireo.methods.multi_crop import check_crops
from vireo.methods.parts import (
    Queue,
    demand_sizes,
    full_precision,
    mlp,
    split_batch_norm,
    unit,
    without_blur,
)
from vireo.records import EncoderCard, OptimizerSettings


@dataclass(frozen=True, kw_only=True)
class MoCoV2Settings:
    """The paper's values. The authors' CIFAR-10 demonstration: queue 4096, momentum .99, T .1.

    Attributes:
        momentum: m of the key encoder.
        hidden_size: of the projector; 0 is the width of the encoder's feature (2048 for ResNet-50).
        bn_splits: devices that batch norm behaves as if it ran on; keys are shuffled among them, so
            that a query cannot tell its key by shared statistics. The paper has 8.
        blur: of views of at least 96 pixels; the demonstration at 32 has none.
        symmetric: both views are query and key; a step enqueues two batches.
        local_crops: small crops an image, queries alone. With any, the views have SwAV's
            operations, which appendix I names without numbers: SwAV's are 6, and a crop_scale of
            (.14, 1).
        local_size: side of the small crops; 0 is 96 pixels for every 224 of image_size.
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
    symmetric: bool = False
    local_crops: int = 0
    local_size: int = 0
    local_scale: tuple[float, float] = (0.05, 0.14)


class MoCoV2(Method):
    """Query and momentum network, queue; batch.groups[0] holds the two views, [1] small crops."""

    Settings = MoCoV2Settings
    batch_interaction = "keys are shuffled over the whole batch, between parts of its batch norm"

    def __init__(
        self,
        encoder: Encoder,
        settings: MoCoV2Settings,
        *,
        num_examples: int,
        num_classes: int | None,
    ) -> None:
        super().__init__()
        warn_of_own_keys(settings.queue_size, num_examples)
        self.settings = settings
        self.views = _views(settings, encoder.card)
        self.no_information = _num_queries(settings) * math.log(1 + settings.queue_size)
        # One split is the whole batch; more are devices, each with statistics of its own.
        self.sync_batch_norm = settings.bn_splits == 1
        if settings.bn_splits > 1:
            split_batch_norm(encoder, settings.bn_splits)
        d = encoder.card.features
        self.encoder = encoder
        self.projector = mlp(d, settings.hidden_size or d, settings.dimension, batch_norm=False)
        self.key_network = KeyNetwork(encoder, self.projector)
        self.queue = Queue(settings.dimension, settings.queue_size)

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
        """Refuse a queue or splits that the batch does not divide, and networks without width."""
        demand_sizes(settings, "dimension")
        demand_sizes(settings, "hidden_size", least=0)
        check_contrast(
            queue_size=settings.queue_size,
            keys=_num_queries(settings) * batch_size,
            bn_splits=settings.bn_splits,
            batch_size=batch_size,
            momentum=settings.momentum,
            T=settings.temperature,
        )
        check_crops(settings.local_crops, settings.local_size, settings.image_size)

    def before_step(self, progress: Progress) -> None:
        """Let the momentum network follow."""
        self.key_network.follow(self.encoder, self.projector, self.settings.momentum, progress)

    def forward(self, batch: ViewBatch) -> Losses:
        """Return the loss of this batch's queries; the queue is as earlier batches left it."""
        x, T = batch.groups[0], self.settings.temperature
        num_queries = _num_queries(self.settings)
        # One pass a view, as in the demonstration: views do not share statistics.
        features = [self.encoder(x[v]).pooled for v in range(num_queries)]
        q = [unit(self.projector(f)) for f in features]
        small = [self._small_queries(group) for group in batch.groups[1:]]
        k = self.key_network(x.flip(0)[:num_queries])  # k[v] is the key of q[v]: the other view's
        with full_precision(x.device):
            pairs = zip(q, k, strict=True)
            parts = [self._loss(torch.cat([q_v, *small]), k_v) for q_v, k_v in pairs]
        return Losses(
            total=torch.stack([loss for loss, _ in parts]).sum(),
            terms=contrast_terms(torch.cat([logits for _, logits in parts]), T),
            features=features[0].detach(),
            pending={"keys": k.transpose(0, 1)},  # [n, keys, d]
        )

    def after_step(self, progress: Progress, pending: Mapping[str, Tensor]) -> None:
        """Put this batch's keys in place of the oldest.

        Those of both views at once, after both losses: were the first view's keys there before the
        second loss, whose queries are that view, each would find its own view among the negatives.
        """
        first_view_last = pending["keys"].transpose(0, 1)  # the key of q[0] is of the second view
        self.queue.push(first_view_last.flip(0).flatten(0, 1))

    def _small_queries(self, crops: Float[Tensor, "crops n 3 h w"]) -> Float[Tensor, "m d"]:
        return unit(self.projector(self.encoder(crops.flatten(0, 1)).pooled))

    def _loss(
        self, q: Float[Tensor, "m d"], k: Float[Tensor, "n d"]
    ) -> tuple[Float[Tensor, ""], Float[Tensor, "m K_and_1"]]:
        """Return the mean over the queries of an image; q holds one crop after the other."""
        keys = k.repeat(len(q) // len(k), 1)  # [m, d]
        return info_nce(q, keys, self.queue.columns, self.settings.temperature)


def _num_queries(settings: MoCoV2Settings) -> int:
    """Return how many of the two views are queries; as many are keys."""
    return 2 if settings.symmetric else 1


def _views(settings: MoCoV2Settings, card: EncoderCard) -> ViewRecipe:
    side, scale = settings.image_size, settings.crop_scale
    if settings.local_crops:
        recipe = multi_crop(
            side,
            num_small=settings.local_crops,
            large_scale=scale,
            small_scale=settings.local_scale,
            small_side=settings.local_size,
            mean=card.mean,
            std=card.std,
        )
    else:
        recipe = two_crops(side, scale=scale, mean=card.mean, std=card.std)
    return recipe if settings.blur else without_blur(recipe)
