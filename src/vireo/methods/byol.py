"""BYOL: predict a slowly moving target network's projection of the other view.

    L = |unit(q(z_1)) - unit(z'_2)|^2 + |unit(q(z_2)) - unit(z'_1)|^2
    xi <- tau xi + (1 - tau) theta,  tau = 1 - (1 - tau_0) (cos(pi k / K) + 1) / 2

z is the online projection of a view, q the predictor, z' the target network's projection, xi and
theta the two networks' parameters, k of K the step.

References:
    Grill et al. 2020, Bootstrap your own latent, arXiv 2006.07733.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from vireo import schedules
from vireo.data.batch import ViewBatch
from vireo.data.views.published import asymmetric_pair
from vireo.encoders.encoder import Encoder
from vireo.errors import SettingError
from vireo.methods.method import Losses, Method, Progress
from vireo.methods.parts import (
    batch_norm_mlp,
    demand_sizes,
    follow,
    full_precision,
    momentum_copy,
    unit,
    without_blur,
    zero_residuals,
)
from vireo.records import OptimizerSettings


@dataclass(frozen=True, kw_only=True)
class BYOLSettings:
    """The paper's values of its 1000 epochs.

    Attributes:
        momentum: tau_0 of the target network; .99 in the runs of 100 and 300 epochs, .97 in that of
            40.
        dimension: of projections and predictions.
        hidden_size: of the projector and of the predictor.
        zero_init_residual: residual blocks begin as the identity, as in the released code.
    """

    image_size: int = 224
    momentum: float = 0.996
    dimension: int = 256
    hidden_size: int = 4096
    zero_init_residual: bool = True
    crop_scale: tuple[float, float] = (0.08, 1.0)
    blur: bool = True


class BYOL(Method):
    """Online network with predictor, target network; batch.groups[0] holds the two views."""

    Settings = BYOLSettings

    def __init__(
        self,
        encoder: Encoder,
        settings: BYOLSettings,
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
        self.no_information = 4.0  # of directions that have nothing to do with each other
        hidden, d = settings.hidden_size, settings.dimension
        self.encoder = encoder
        self.projector = batch_norm_mlp(encoder.card.features, hidden, d)
        self.predictor = batch_norm_mlp(d, hidden, d)
        # The released code draws the target's first weights anew, and says that copying the online
        # network's, as nearly everybody does, made no notable difference.
        self.target_encoder = momentum_copy(encoder)
        self.target_projector = momentum_copy(self.projector)

    @classmethod
    def published_optimizer(cls, batch_size: int) -> OptimizerSettings:
        """LARS, .2 for a batch of 256 and linear in it, ten epochs of warm-up, cosine to 0.

        By the step; biases and norms are neither adapted nor decayed. This is the run of 1000
        epochs. The shorter ones have .45 (40 and 100 epochs) and .3 (300), and a decay of 1e-6.
        """
        return OptimizerSettings(
            name="lars",
            learning_rate=0.2 * batch_size / 256,
            weight_decay=1.5e-6,
            exclude_1d=True,
            schedule_unit="step",
            warmup_epochs=10.0,
        )

    @classmethod
    def check(
        cls,
        settings: BYOLSettings,
        *,
        batch_size: int,
        num_examples: int,
        num_classes: int | None,
    ) -> None:
        """Refuse a momentum that does not average, and networks without width."""
        demand_sizes(settings, "dimension", "hidden_size")
        if not 0 <= settings.momentum <= 1:
            raise SettingError(f"momentum must be in [0, 1]; got {settings.momentum}.")

    def forward(self, batch: ViewBatch) -> Losses:
        """Return the symmetric loss; batch norm sees one view at a time, in both networks."""
        x_1, x_2 = batch.groups[0]
        features = self.encoder(x_1).pooled
        p_1 = self.predictor(self.projector(features))
        p_2 = self.predictor(self.projector(self.encoder(x_2).pooled))
        t_1, t_2 = self._target(x_1), self._target(x_2)
        with full_precision(p_1.device):
            error = regression(p_1, t_2) + regression(p_2, t_1)
        return Losses(
            total=error,
            terms={"positive_similarity": 1 - error.detach() / 4},
            features=features.detach(),
        )

    def after_step(self, progress: Progress, pending: Mapping[str, Tensor]) -> None:
        """Let the target follow the weights that the optimiser has just moved.

        As released, k counts the steps before this one, and K those of the whole run. Batch-norm
        statistics are not averaged: they are of the target's own forward passes.
        """
        tau = schedules.cosine(progress.fraction, self.settings.momentum, 1.0)
        follow(self.target_encoder, self.encoder, tau)
        follow(self.target_projector, self.projector, tau)

    @torch.no_grad()
    def _target(self, x: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n d"]:
        projected: Tensor = self.target_projector(self.target_encoder(x).pooled)
        return projected


def regression(p: Float[Tensor, "n d"], z: Float[Tensor, "n d"]) -> Float[Tensor, ""]:
    """Return the mean squared distance of the directions of p and z: 2 - 2 cos."""
    return (unit(p) - unit(z)).square().sum(dim=1).mean()
