"""Barlow Twins: make the two views' features equal, and each dimension tell something else.

    C_ij = sum over the batch of z^A_i z^B_j / N,  z normalised over the batch
    L = sum over i of (1 - C_ii)^2 + lambda sum over i != j of C_ij^2

References:
    Zbontar et al. 2021, Barlow Twins: Self-Supervised Learning via Redundancy Reduction,
    arXiv 2103.03230.
"""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, nn

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


@dataclass(frozen=True, kw_only=True)
class BarlowTwinsSettings:
    """The paper's values.

    Attributes:
        redundancy: lambda, the weight of what is off the diagonal.
        scale: of the whole loss. Weights do not notice it under LARS, but biases and norms do. In
            the released code no gradient passes the sum of C over processes, so that theirs is the
            gradient divided by the number of processes; VISSL multiplies by .024.
        dimension: of the projection.
        hidden_size: of the projector's two hidden layers.
        zero_init_residual: residual blocks begin as the identity.
    """

    image_size: int = 224
    redundancy: float = 0.0051
    scale: float = 1.0
    dimension: int = 8192
    hidden_size: int = 8192
    zero_init_residual: bool = True
    crop_scale: tuple[float, float] = (0.08, 1.0)
    blur: bool = True


class BarlowTwins(Method):
    """Encoder and projector; batch.groups[0] holds the two views."""

    Settings = BarlowTwinsSettings
    batch_interaction = "the correlations of the loss are over the batch"

    def __init__(
        self,
        encoder: Encoder,
        settings: BarlowTwinsSettings,
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
        hidden, d = settings.hidden_size, settings.dimension
        self.no_information = settings.scale * d  # C is zero, where all images have one feature too
        self.encoder = encoder
        self.projector = batch_norm_mlp(encoder.card.features, hidden, hidden, d)
        self.normalise = nn.BatchNorm1d(d, affine=False)

    @classmethod
    def published_optimizer(cls, batch_size: int) -> OptimizerSettings:
        """LARS, .2 (biases and norms .0048) for a batch of 256, linear in it; cosine by the step.

        Ten epochs of warm-up, down to a thousandth; biases and norms are neither adapted nor
        decayed.
        """
        rate = 0.2 * batch_size / 256
        return OptimizerSettings(
            name="lars",
            learning_rate=rate,
            final_learning_rate=rate / 1000,
            bias_learning_rate=0.0048 * batch_size / 256,
            weight_decay=1e-6,
            exclude_1d=True,
            schedule_unit="step",
            warmup_epochs=10.0,
        )

    @classmethod
    def check(
        cls,
        settings: BarlowTwinsSettings,
        *,
        batch_size: int,
        num_examples: int,
        num_classes: int | None,
    ) -> None:
        """Refuse weights of the loss that make no sense, and networks without width."""
        demand_sizes(settings, "dimension", "hidden_size")
        if settings.redundancy < 0 or settings.scale <= 0:
            raise SettingError(
                f"redundancy must not be below 0 and scale must be above; got "
                f"{settings.redundancy} and {settings.scale}."
            )

    def forward(self, batch: ViewBatch) -> Losses:
        """Return the loss; batch norm sees one view at a time, as released."""
        x_A, x_B = batch.groups[0]
        features = self.encoder(x_A).pooled
        z_A, z_B = self.projector(features), self.projector(self.encoder(x_B).pooled)
        with full_precision(z_A.device):
            C = cross_correlation(
                gather(self.normalise(widen(z_A))), gather(self.normalise(widen(z_B)))
            )
            invariance = (1 - C.diagonal()).square().sum()
            redundancy = off_diagonal(C).square().sum()
            loss = invariance + self.settings.redundancy * redundancy
        return Losses(
            total=self.settings.scale * loss,
            terms={
                "invariance": invariance.detach(),
                "redundancy": redundancy.detach(),
                "positive_similarity": C.detach().diagonal().mean(),
            },
            features=features.detach(),
        )


def cross_correlation(z_A: Float[Tensor, "N d"], z_B: Float[Tensor, "N d"]) -> Float[Tensor, "d d"]:
    """Return C of projections that are normalised already."""
    return z_A.T @ z_B / len(z_A)
