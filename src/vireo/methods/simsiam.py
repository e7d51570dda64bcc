"""SimSiam: predict one view's projection from the other's; a stopped gradient, no negatives.

    D(p, z) = -p.z / (|p| |z|)
    L = D(p_1, stopgrad(z_2)) / 2 + D(p_2, stopgrad(z_1)) / 2

z is the projection of a view, p what the predictor makes of it. What is reported is 1 + L, which
has the same gradient: 0 if the views agree, 1 if they have nothing to do with each other.

References:
    Chen & He 2021, Exploring Simple Siamese Representation Learning, arXiv 2011.10566.
"""

import math
from dataclasses import dataclass

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from vireo.data.batch import ViewBatch
from vireo.data.views.published import two_crops
from vireo.encoders.encoder import Encoder
from vireo.methods.method import Losses, Method
from vireo.methods.parts import (
    batch_norm_mlp,
    demand_sizes,
    full_precision,
    unit,
    widen,
    without_blur,
    zero_residuals,
)
from vireo.records import OptimizerSettings


@dataclass(frozen=True, kw_only=True)
class SimSiamSettings:
    """The paper's values. At 32 pixels (its appendix D) it has two projector layers and no blur.

    Attributes:
        dimension: of projections and predictions.
        hidden_size: of the projector; 0 is the width of the encoder's feature (2048 for ResNet-50).
        predictor_size: hidden width of the predictor, a bottleneck of a quarter.
        projector_layers: linear layers of the projector.
        zero_init_residual: residual blocks begin as the identity.
    """

    image_size: int = 224
    dimension: int = 2048
    hidden_size: int = 0
    predictor_size: int = 512
    projector_layers: int = 3
    zero_init_residual: bool = True
    crop_scale: tuple[float, float] = (0.2, 1.0)
    blur: bool = True


class SimSiam(Method):
    """Encoder, projector, predictor; batch.groups[0] holds the two views."""

    Settings = SimSiamSettings
    constant_rate = ("predictor",)  # the released code's --fix-pred-lr, table 1 of the paper

    def __init__(
        self,
        encoder: Encoder,
        settings: SimSiamSettings,
        *,
        num_examples: int,
        num_classes: int | None,
    ) -> None:
        super().__init__()
        self.views = two_crops(
            settings.image_size,
            scale=settings.crop_scale,
            mean=encoder.card.mean,
            std=encoder.card.std,
        )
        if not settings.blur:
            self.views = without_blur(self.views)
        if settings.zero_init_residual:
            zero_residuals(encoder)
        self.no_information = 1.0
        width, d = encoder.card.features, settings.dimension
        hidden = (settings.hidden_size or width,) * (settings.projector_layers - 1)
        self.encoder = encoder
        self.projector = batch_norm_mlp(width, *hidden, d)
        self.projector.append(nn.BatchNorm1d(d, affine=False))
        self.predictor = batch_norm_mlp(d, settings.predictor_size, d, last_bias=True)

    @classmethod
    def published_optimizer(cls, batch_size: int) -> OptimizerSettings:
        """SGD, .05 for a batch of 256 and linear in it, cosine by the epoch to 0, no warm-up."""
        return OptimizerSettings(learning_rate=0.05 * batch_size / 256, weight_decay=1e-4)

    @classmethod
    def check(
        cls,
        settings: SimSiamSettings,
        *,
        batch_size: int,
        num_examples: int,
        num_classes: int | None,
    ) -> None:
        """Refuse networks without width."""
        demand_sizes(settings, "dimension", "predictor_size", "projector_layers")
        demand_sizes(settings, "hidden_size", least=0)

    def forward(self, batch: ViewBatch) -> Losses:
        """Return the symmetric loss; batch norm sees one view at a time, as in the paper."""
        x_1, x_2 = batch.groups[0]
        features = self.encoder(x_1).pooled
        z_1, z_2 = self.projector(features), self.projector(self.encoder(x_2).pooled)
        p_1, p_2 = self.predictor(z_1), self.predictor(z_2)
        with full_precision(z_1.device):
            L = (distance(p_1, z_2.detach()) + distance(p_2, z_1.detach())) / 2
        spread = unit(z_1.detach()).std(dim=0).mean() * math.sqrt(z_1.shape[1])
        return Losses(
            total=1 + L,
            # of unit projections 1 is evenly spread, 0 collapsed: figure 2 of the paper
            terms={"positive_similarity": -L.detach(), "projection_std": spread},
            features=features.detach(),
        )


def distance(p: Float[Tensor, "n d"], z: Float[Tensor, "n d"]) -> Float[Tensor, ""]:
    """Return D, the mean negative cosine, from -1 to 1."""
    return -F.cosine_similarity(widen(p), widen(z), dim=1).mean()
