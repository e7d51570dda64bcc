"""VICReg: views agree (invariance), dimensions vary (variance) and are not redundant (covariance).

    L = lambda s(Z, Z') + mu (v(Z) + v(Z')) / 2 + nu (c(Z) + c(Z'))
    s(Z, Z') = mean of (Z - Z')^2
    v(Z) = mean over dimensions j of max(0, 1 - sqrt(Var Z_j + eps))
    c(Z) = sum over i != j of Cov(Z)_ij^2 / d

As the released code has it. In the paper's equations s is not divided by the dimension d, nor is
the sum of the two v by two.

References:
    Bardes et al. 2022, VICReg: Variance-Invariance-Covariance Regularization, arXiv 2105.04906.
"""

import math
from dataclasses import dataclass

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from vireo.data.batch import ViewBatch
from vireo.data.views.published import asymmetric_pair
from vireo.encoders.encoder import Encoder
from vireo.errors import SettingError
from vireo.methods.method import Losses, Method
from vireo.methods.parts import (
    batch_norm_mlp,
    demand_sizes,
    full_precision,
    off_diagonal,
    widen,
    without_blur,
    zero_residuals,
)
from vireo.methods.processes import gather
from vireo.records import OptimizerSettings

EPSILON = 1e-4


@dataclass(frozen=True, kw_only=True)
class VICRegSettings:
    """The paper's values.

    Attributes:
        invariance, variance, covariance: lambda, mu and nu, the weights of the three terms.
        dimension: of the expanded feature.
        hidden_size: of the expander's two hidden layers.
        zero_init_residual: residual blocks begin as the identity.
    """

    image_size: int = 224
    invariance: float = 25.0
    variance: float = 25.0
    covariance: float = 1.0
    dimension: int = 8192
    hidden_size: int = 8192
    zero_init_residual: bool = True
    crop_scale: tuple[float, float] = (0.08, 1.0)
    blur: bool = True


class VICReg(Method):
    """Encoder and expander (`projector`); batch.groups[0] holds the two views."""

    Settings = VICRegSettings
    batch_interaction = "the variances and covariances of the loss are over the batch"

    def __init__(
        self,
        encoder: Encoder,
        settings: VICRegSettings,
        *,
        num_examples: int,
        num_classes: int | None,
    ) -> None:
        super().__init__()
        self.settings = settings
        self.views = asymmetric_pair(
            settings.image_size,
            scale=settings.crop_scale,
            mean=encoder.card.mean,
            std=encoder.card.std,
        )
        if not settings.blur:
            self.views = without_blur(self.views)
        if settings.zero_init_residual:
            zero_residuals(encoder)
        # of one and the same feature for all images: what the variance term is there to prevent
        self.no_information = settings.variance * (1 - math.sqrt(EPSILON))
        hidden, d = settings.hidden_size, settings.dimension
        self.encoder = encoder
        self.projector = batch_norm_mlp(encoder.card.features, hidden, hidden, d)

    @classmethod
    def published_optimizer(cls, batch_size: int) -> OptimizerSettings:
        """LARS, .2 for a batch of 256 and linear in it, cosine by the step to a thousandth.

        Ten epochs of warm-up; biases and norms are neither adapted nor decayed. This is the run of
        1000 epochs at batch 2048; that of 100 epochs at 512 has .3.
        """
        rate = 0.2 * batch_size / 256
        return OptimizerSettings(
            name="lars",
            learning_rate=rate,
            final_learning_rate=rate / 1000,
            weight_decay=1e-6,
            exclude_1d=True,
            schedule_unit="step",
            warmup_epochs=10.0,
        )

    @classmethod
    def check(
        cls,
        settings: VICRegSettings,
        *,
        batch_size: int,
        num_examples: int,
        num_classes: int | None,
    ) -> None:
        """Refuse weights of the loss that make no sense, and networks without width."""
        demand_sizes(settings, "dimension", "hidden_size")
        weights = (settings.invariance, settings.variance, settings.covariance)
        if min(weights) < 0 or not settings.variance:
            raise SettingError(
                f"invariance and covariance must not be below 0, and variance must be above it, "
                f"or all images get one feature; got {weights[0]}, {weights[2]} and {weights[1]}."
            )

    def forward(self, batch: ViewBatch) -> Losses:
        """Return the loss; batch norm sees one view at a time, as released."""
        x, x_ = batch.groups[0]
        features = self.encoder(x).pooled
        Z, Z_ = self.projector(features), self.projector(self.encoder(x_).pooled)
        with full_precision(Z.device):
            Z, Z_ = gather(widen(Z)), gather(widen(Z_))
            s = F.mse_loss(Z, Z_)
            v = (variance(Z) + variance(Z_)) / 2
            c = covariance(Z) + covariance(Z_)
        given = self.settings
        return Losses(
            total=given.invariance * s + given.variance * v + given.covariance * c,
            terms={"invariance": s.detach(), "variance": v.detach(), "covariance": c.detach()},
            features=features.detach(),
        )


def variance(Z: Float[Tensor, "N d"]) -> Float[Tensor, ""]:
    """Return v: how far the dimensions' standard deviations are below 1."""
    return F.relu(1 - (Z.var(dim=0) + EPSILON).sqrt()).mean()


def covariance(Z: Float[Tensor, "N d"]) -> Float[Tensor, ""]:
    """Return c: the squared covariances of different dimensions, by dimension."""
    N, d = Z.shape
    Z = Z - Z.mean(dim=0)
    return off_diagonal(Z.T @ Z / (N - 1)).square().sum() / d
