"""SimCLR: among all views of the batch, tell the other view of the same image (NT-Xent).

    l(i, j) = -log( exp(z_i.z_j / T) / sum over k != i of exp(z_i.z_k / T) )
    L = mean of l(i, j) over the 2N ordered pairs of views of one image

z is the unit projection of a view; the 2N - 2 views of other images are the negatives. No queue, so
the batch must be large.

References:
    Chen et al. 2020, A Simple Framework for Contrastive Learning of Visual Representations,
    arXiv 2002.05709.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from vireo.data.batch import ViewBatch
from vireo.data.views.published import simclr_pair
from vireo.encoders.encoder import Encoder
from vireo.errors import SettingError
from vireo.methods.method import Losses, Method
from vireo.methods.parts import (
    batch_norm_mlp,
    demand_sizes,
    full_precision,
    unit,
    without_blur,
    zero_residuals,
)
from vireo.methods.processes import gather
from vireo.records import OptimizerSettings


@dataclass(frozen=True, kw_only=True)
class SimCLRSettings:
    """The paper's values. Its CIFAR-10 runs: temperature .5, jitter strength .5, no blur.

    Attributes:
        dimension: of the projection.
        hidden_size: of the projector; 0 is the width of the encoder's feature (2048 for ResNet-50).
        projector_layers: linear layers of the projector: 2 in the paper, 3 by default in the
            released code.
        jitter_strength: of the change of colours.
        zero_init_residual: residual blocks begin as the identity, as in the released code.
    """

    image_size: int = 224
    temperature: float = 0.1
    dimension: int = 128
    hidden_size: int = 0
    projector_layers: int = 2
    jitter_strength: float = 1.0
    zero_init_residual: bool = True
    crop_scale: tuple[float, float] = (0.08, 1.0)
    blur: bool = True


class SimCLR(Method):
    """Encoder and projector; batch.groups[0] holds the two views."""

    Settings = SimCLRSettings
    batch_interaction = "the negatives of a view are the other images of the batch"

    def __init__(
        self,
        encoder: Encoder,
        settings: SimCLRSettings,
        *,
        num_examples: int,
        num_classes: int | None,
    ) -> None:
        super().__init__()
        self.settings = settings
        self.views = simclr_pair(
            settings.image_size,
            strength=settings.jitter_strength,
            scale=settings.crop_scale,
            mean=encoder.card.mean,
            std=encoder.card.std,
        )
        if not settings.blur:
            self.views = without_blur(self.views)
        if settings.zero_init_residual:
            zero_residuals(encoder)
        self.no_information = math.log(2 * 4096 - 1)  # of the paper's batch, until one is seen
        width, d = encoder.card.features, settings.dimension
        hidden = (settings.hidden_size or width,) * (settings.projector_layers - 1)
        self.encoder = encoder
        # The released code has batch norm after the last layer too, scaled but not shifted; the
        # paper does not speak of it.
        self.projector = batch_norm_mlp(width, *hidden, d).append(nn.BatchNorm1d(d))
        self.projector[-1].bias.requires_grad_(False)

    @classmethod
    def published_optimizer(cls, batch_size: int) -> OptimizerSettings:
        """LARS, .3 for a batch of 256 and linear in it, ten epochs of warm-up, cosine to 0.

        By the step; biases and norms are neither adapted nor decayed. Small batches do better, in
        the paper, with .075 times the square root of the batch.
        """
        return OptimizerSettings(
            name="lars",
            learning_rate=0.3 * batch_size / 256,
            weight_decay=1e-6,
            exclude_1d=True,
            schedule_unit="step",
            warmup_epochs=10.0,
        )

    @classmethod
    def check(
        cls,
        settings: SimCLRSettings,
        *,
        batch_size: int,
        num_examples: int,
        num_classes: int | None,
    ) -> None:
        """Refuse a temperature that divides by zero, colours beyond jitter, missing width."""
        demand_sizes(settings, "dimension", "projector_layers")
        demand_sizes(settings, "hidden_size", least=0)
        s = settings.jitter_strength
        if settings.temperature <= 0 or not 0 <= s <= 2.5:
            raise SettingError(
                f"temperature must be above 0 and jitter_strength from 0 to 2.5, where the hue has "
                f"turned by half a circle; got {settings.temperature} and {s}."
            )

    def forward(self, batch: ViewBatch) -> Losses:
        """Return the loss of all views; batch norm sees both views together, as released."""
        n = len(batch.index)
        features = self.encoder(batch.groups[0].flatten(0, 1)).pooled
        z = unit(self.projector(features))  # [2n, d]
        with full_precision(z.device):
            z_1, z_2 = gather(z[:n]), gather(z[n:])
            loss, logits = nt_xent(z_1, z_2, self.settings.temperature)
            positive = (z_1 * z_2).sum(dim=1).mean()
        N = len(z_1)
        self.no_information = math.log(2 * N - 1)
        hit = logits.argmax(dim=1) == torch.arange(2 * N, device=logits.device).roll(N)
        return Losses(
            total=loss,
            terms={"accuracy": hit.float().mean(), "positive_similarity": positive.detach()},
            features=features[:n].detach(),
        )


def nt_xent(
    z_1: Float[Tensor, "N d"], z_2: Float[Tensor, "N d"], T: float
) -> tuple[Float[Tensor, ""], Float[Tensor, "two_N two_N"]]:
    """Return the mean loss of the 2N views, and the logits, minus infinity for a view itself.

    The released code adds the means of the two halves, which is twice as much; here as in the
    paper. LARS makes them the same for all weights; biases and norms move half as far.
    """
    N = len(z_1)
    z = torch.cat([z_1, z_2])
    itself = torch.eye(2 * N, dtype=torch.bool, device=z.device)
    logits = (z @ z.T / T).masked_fill(itself, -math.inf)
    other = torch.arange(2 * N, device=z.device).roll(N)
    return F.cross_entropy(logits, other), logits
