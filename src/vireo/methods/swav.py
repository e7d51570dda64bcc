"""SwAV: predict from one crop the prototype assignment that Sinkhorn gives another crop.

    L = mean over the two large crops s of mean over the other crops t of
        -sum over prototypes c of  Q_s[c] log softmax(z_t.c / T)[c]

z is a unit embedding, c a unit prototype; Q balances the batch, and a queue of earlier embeddings,
evenly over the prototypes.

References:
    Caron et al. 2020, Unsupervised Learning of Visual Features by Contrasting Cluster Assignments,
    arXiv 2006.09882.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from vireo.data.batch import ViewBatch
from vireo.data.views.published import multi_crop
from vireo.encoders.encoder import Encoder
from vireo.errors import SettingError
from vireo.methods.method import Losses, Method, Progress
from vireo.methods.parts import full_precision, mlp, sinkhorn, unit, usage, without_blur
from vireo.records import OptimizerSettings

LARGE = 2  # crops that give assignments


@dataclass(frozen=True, kw_only=True)
class SwAVSettings:
    """The paper's values, with the queue of its runs at batch 256.

    Attributes:
        blur: of views of at least 96 pixels.
        queue_size: embeddings kept for each large crop, cut to a multiple of the batch; 0 is none,
            as in the runs at batch 4096.
        queue_start: epoch at which the queue begins to fill; it is used once it is full.
        frozen_prototype_epochs: the released scripts' 313 steps at batch 4096 and 5005 at 256 are
            both one epoch.
    """

    image_size: int = 224
    local_crops: int = 6
    global_scale: tuple[float, float] = (0.14, 1.0)
    local_scale: tuple[float, float] = (0.05, 0.14)
    blur: bool = True
    prototypes: int = 3000
    dimension: int = 128
    hidden_size: int = 2048
    temperature: float = 0.1
    epsilon: float = 0.05
    sinkhorn_iterations: int = 3
    queue_size: int = 3840
    queue_start: int = 15
    frozen_prototype_epochs: float = 1.0


class SwAV(Method):
    """Encoder, projector, prototypes, queue; batch.groups hold the crops, large ones first."""

    Settings = SwAVSettings
    queue: Tensor

    def __init__(
        self,
        encoder: Encoder,
        settings: SwAVSettings,
        *,
        num_examples: int,
        num_classes: int | None,
    ) -> None:
        super().__init__()
        d = settings.dimension
        self.settings = settings
        self.views = multi_crop(
            settings.image_size,
            num_small=settings.local_crops,
            large_scale=settings.global_scale,
            small_scale=settings.local_scale,
            mean=encoder.card.mean,
            std=encoder.card.std,
        )
        if not settings.blur:
            self.views = without_blur(self.views)
        self.no_information = math.log(settings.prototypes)
        self.encoder = encoder
        self.projector = mlp(encoder.card.features, settings.hidden_size, d, batch_norm=True)
        self.prototypes = nn.Linear(d, settings.prototypes, bias=False)
        # Zeros until pushed to: a queue is full when its last row is not zero. Newest first.
        self.register_buffer("queue", torch.zeros(LARGE, settings.queue_size, d))

    @classmethod
    def published_optimizer(cls, batch_size: int) -> OptimizerSettings:
        """LARC, .6 for a batch of 256 and 4.8 for 4096, cosine by the step to a thousandth.

        The two published rates are on no one line through zero; the power 3/4 of the batch goes
        through both. The runs at 4096 warm up over ten epochs from .3, those at 256 do not; here
        batches above 1024 do, their geometric mean.
        """
        rate = 0.6 * (batch_size / 256) ** 0.75
        large = batch_size > 1024
        return OptimizerSettings(
            name="larc",
            learning_rate=rate,
            final_learning_rate=rate / 1000,
            weight_decay=1e-6,
            schedule_unit="step",
            warmup_epochs=10.0 if large else 0.0,
            warmup_learning_rate=0.3 if large else 0.0,
        )

    @classmethod
    def check(
        cls,
        settings: SwAVSettings,
        *,
        batch_size: int,
        num_examples: int,
        num_classes: int | None,
    ) -> None:
        """Refuse a queue shorter than a batch, and temperatures that divide by zero."""
        if settings.queue_size and settings.queue_size < batch_size:
            raise SettingError(
                f"queue_size must be at least batch_size, or 0 for no queue; got "
                f"{settings.queue_size} and {batch_size}."
            )
        if min(settings.temperature, settings.epsilon) <= 0 or settings.sinkhorn_iterations < 1:
            raise SettingError(
                f"temperature and epsilon must be above 0 and sinkhorn_iterations at least 1; got "
                f"{settings.temperature}, {settings.epsilon} and {settings.sinkhorn_iterations}."
            )
        if settings.prototypes < 2:
            raise SettingError(f"prototypes must be at least 2; got {settings.prototypes}.")

    @torch.no_grad()
    def before_step(self, progress: Progress) -> None:
        """Bring the prototypes back to unit length, in place."""
        C = self.prototypes.weight
        C.copy_(F.normalize(C, dim=1))

    def forward(self, batch: ViewBatch) -> Losses:
        """Return the swapped prediction loss of all crops."""
        n = len(batch.index)
        # One backbone pass a resolution; the projector's batch norm sees all crops together.
        features = torch.cat([self.encoder(group.flatten(0, 1)).pooled for group in batch.groups])
        z = unit(self.projector(features))  # [views * n, d]
        with full_precision(z.device):
            scores = self.prototypes(z).view(
                -1, n, self.settings.prototypes
            )  # [views, n, prototypes]
            loss = self._loss(scores)
        large = z.detach()[: LARGE * n].view(LARGE, n, -1)
        return Losses(
            total=loss,
            terms={"prototype_usage": usage(scores.detach(), self.settings.temperature)},
            features=features[:n].detach(),
            pending={"embeddings": large},
        )

    def after_backward(self, progress: Progress) -> None:
        """Keep the prototypes as they are for the first steps: no gradient, so no decay either."""
        steps_per_epoch = progress.num_steps / progress.num_epochs
        if progress.step < round(self.settings.frozen_prototype_epochs * steps_per_epoch):
            self.prototypes.weight.grad = None

    @torch.no_grad()
    def after_step(self, progress: Progress, pending: Mapping[str, Tensor]) -> None:
        """Put this batch's embeddings in front of the queue.

        The released code pushes inside the forward, after the queue's scores are computed and
        before Sinkhorn, which reads only scores: pushing after the step gives the same numbers.
        """
        embeddings = pending["embeddings"]
        n = embeddings.shape[1]
        length = self._queue_length(n)
        if length and progress.epoch >= self.settings.queue_start:
            kept = self.queue[:, : length - n].clone()
            self.queue[:, n:length] = kept
            self.queue[:, :n] = embeddings

    def _loss(self, scores: Float[Tensor, "views n K"]) -> Float[Tensor, ""]:
        views, T = len(scores), self.settings.temperature
        log_p = F.log_softmax(scores / T, dim=2)
        loss = scores.new_zeros(())
        for s in range(LARGE):
            Q = self._assign(s, scores[s].detach())
            for t in range(views):
                if t != s:
                    loss = loss - (Q * log_p[t]).sum(dim=1).mean() / (views - 1)
        return loss / LARGE

    @torch.no_grad()
    def _assign(self, s: int, scores: Float[Tensor, "n K"]) -> Float[Tensor, "n K"]:
        """Assign the batch to prototypes, balanced together with the queue where it is full."""
        n = len(scores)
        length = self._queue_length(n)
        if length and bool(self.queue[s, length - 1].any()):
            scores = torch.cat([self.prototypes(self.queue[s, :length]), scores])
        return sinkhorn(scores, self.settings.epsilon, self.settings.sinkhorn_iterations)[-n:]

    def _queue_length(self, n: int) -> int:
        return self.settings.queue_size // n * n
