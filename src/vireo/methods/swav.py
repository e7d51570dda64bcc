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
from vireo.methods.multi_crop import LARGE, check_crops, pooled_crops, swav_optimizer
from vireo.methods.parts import (
    demand_sizes,
    full_precision,
    mlp,
    sinkhorn,
    unit,
    usage,
    without_blur,
)
from vireo.methods.processes import of_all_processes, own_share
from vireo.records import OptimizerSettings


@dataclass(frozen=True, kw_only=True)
class SwAVSettings:
    """The paper's values, with the queue of its runs at batch 256.

    Attributes:
        local_crops: small crops an image; 0 is the two large ones alone.
        local_size: side of the small crops; 0 is 96 pixels for every 224 of image_size.
        blur: of views of at least 96 pixels.
        hard_codes: assign each crop to one prototype alone, where the balanced assignment is
            largest, as the paper's text has it beside the soft one, which it finds better.
        queue_size: embeddings kept for each large crop, cut to a multiple of the batch; 0 is none,
            as in the runs at batch 4096.
        queue_start: epoch at which the queue begins to fill; it is used once it is full.
        frozen_prototype_epochs: the released scripts' 313 steps at batch 4096 and 5005 at 256 are
            both one epoch.
    """

    image_size: int = 224
    local_crops: int = 6
    local_size: int = 0
    global_scale: tuple[float, float] = (0.14, 1.0)
    local_scale: tuple[float, float] = (0.05, 0.14)
    blur: bool = True
    prototypes: int = 3000
    dimension: int = 128
    hidden_size: int = 2048
    temperature: float = 0.1
    epsilon: float = 0.05
    sinkhorn_iterations: int = 3
    hard_codes: bool = False
    queue_size: int = 3840
    queue_start: int = 15
    frozen_prototype_epochs: float = 1.0


class SwAV(Method):
    """Encoder, projector, prototypes, queue; batch.groups hold the crops, large ones first."""

    Settings = SwAVSettings
    batch_interaction = "the assignment balances the whole batch over the prototypes"
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
            small_side=settings.local_size,
            mean=encoder.card.mean,
            std=encoder.card.std,
        )
        if not settings.blur:
            self.views = without_blur(self.views)
        self.no_information = math.log(settings.prototypes)
        self.encoder = encoder
        self.projector = mlp(encoder.card.features, settings.hidden_size, d, batch_norm=True)
        self.prototypes = nn.Linear(d, settings.prototypes, bias=False)
        # Zeros until pushed to, newest first.
        self.register_buffer("queue", torch.zeros(LARGE, settings.queue_size, d))
        self._filled = 0  # rows of the queue that are not zero

    @classmethod
    def published_optimizer(cls, batch_size: int) -> OptimizerSettings:
        """LARC, .6 for a batch of 256 and 4.8 for 4096, cosine by the step to a thousandth."""
        return swav_optimizer(batch_size)

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
        check_crops(settings.local_crops, settings.local_size, settings.image_size)
        demand_sizes(settings, "dimension", "hidden_size")
        demand_sizes(settings, "prototypes", least=2)
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

    @torch.no_grad()
    def before_step(self, progress: Progress) -> None:
        """Bring the prototypes back to unit length, in place, and see whether the queue is full."""
        C = self.prototypes.weight
        C.copy_(F.normalize(C, dim=1))
        self._filled = int(self.queue[0].any(dim=1).sum())

    def forward(self, batch: ViewBatch) -> Losses:
        """Return the swapped prediction loss of all crops."""
        n = len(batch.index)
        features = pooled_crops(self.encoder, batch.groups)
        z = unit(self.projector(features))  # [views * n, d]; batch norm sees all crops together
        with full_precision(z.device):
            scores = self.prototypes(z).view(-1, n, self.settings.prototypes)
            loss = self._loss(scores)
        large = z.detach()[: LARGE * n].view(LARGE, n, -1)
        return Losses(
            total=loss,
            terms={"prototype_usage": usage(scores.detach(), self.settings.temperature)},
            features=features[:n].detach(),
            pending={"embeddings": large.transpose(0, 1)},  # [n, 2, d]
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
        embeddings = pending["embeddings"].transpose(0, 1)  # [2, N, d]
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
        """Assign the batch to prototypes, balanced together with the queue where it is full.

        Batch and queue are those of all processes; released runs keep a queue on each.
        """
        scores = of_all_processes(scores)
        n = len(scores)
        length = self._queue_length(n)
        if 0 < length <= self._filled:
            scores = torch.cat([self.prototypes(self.queue[s, :length]), scores])
        Q = sinkhorn(scores, self.settings.epsilon, self.settings.sinkhorn_iterations)[-n:]
        Q = own_share(Q)
        return F.one_hot(Q.argmax(1), Q.shape[1]).to(Q.dtype) if self.settings.hard_codes else Q

    def _queue_length(self, n: int) -> int:
        return self.settings.queue_size // n * n
