"""DINO: a student predicts, from every crop, what its own moving average says of another crop.

    L = mean over the two large crops s and all other crops t of
        -sum over outputs of  P_teacher(x_s) log P_student(x_t)

    P_teacher(x) = softmax((g_teacher(x) - c) / T_teacher)
    P_student(x) = softmax(g(x) / T_student)

c is a moving average of g_teacher: without it one output takes all; without a low T_teacher, all.

References:
    Caron et al. 2021, Emerging Properties in Self-Supervised Vision Transformers, arXiv 2104.14294.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from vireo import schedules
from vireo.data.batch import ViewBatch
from vireo.data.views.published import dino_crops
from vireo.encoders.encoder import Encoder
from vireo.errors import SettingError
from vireo.methods.method import Losses, Method, Progress
from vireo.methods.multi_crop import LARGE, check_crops, pooled_crops
from vireo.methods.parts import demand_sizes, follow, full_precision, momentum_copy, without_blur
from vireo.methods.self_distillation import DINOHead, clip_each, self_distillation, warmed_up
from vireo.records import OptimizerSettings


@dataclass(frozen=True, kw_only=True)
class DINOSettings:
    """The release's defaults, for ViT-S/16; ResNet-50 has (.14, 1), (.05, .14) as scales.

    Attributes:
        local_crops: small crops an image, which the student alone sees.
        local_size: side of the small crops; 0 is 96 pixels for every 224 of image_size.
        blur: of views of at least 96 pixels.
        prototypes: outputs of the head.
        norm_last_layer: its rows keep unit length; without, larger ViTs are unstable.
        momentum: of the teacher at the start; it goes to 1 along half a cosine. The release advises
            .9995 for batches of 256.
        warmup_teacher_epochs: in which the teacher's temperature goes from
            `warmup_teacher_temperature` to `teacher_temperature`; long runs go to .07 over 30.
        clip: largest norm of each parameter's gradient; 0 is no limit.
    """

    image_size: int = 224
    local_crops: int = 8
    local_size: int = 0
    global_scale: tuple[float, float] = (0.4, 1.0)
    local_scale: tuple[float, float] = (0.05, 0.4)
    blur: bool = True
    prototypes: int = 65536
    hidden_size: int = 2048
    bottleneck: int = 256
    bn_in_head: bool = False
    norm_last_layer: bool = True
    frozen_last_layer_epochs: int = 1
    momentum: float = 0.996
    student_temperature: float = 0.1
    teacher_temperature: float = 0.04
    warmup_teacher_temperature: float = 0.04
    warmup_teacher_epochs: int = 0
    center_momentum: float = 0.9
    clip: float = 3.0


class DINO(Method):
    """Student (encoder, head) and teacher (their moving averages), centre."""

    Settings = DINOSettings
    center: Tensor

    def __init__(
        self,
        encoder: Encoder,
        settings: DINOSettings,
        *,
        num_examples: int,
        num_classes: int | None,
    ) -> None:
        super().__init__()
        self.settings = settings
        views = dino_crops(
            settings.image_size,
            num_small=settings.local_crops,
            large_scale=settings.global_scale,
            small_scale=settings.local_scale,
            small_side=settings.local_size,
            mean=encoder.card.mean,
            std=encoder.card.std,
        )
        self.views = views if settings.blur else without_blur(views)
        self.no_information = math.log(settings.prototypes)
        self.encoder = encoder
        self.head = DINOHead(
            (encoder.card.features, settings.hidden_size, settings.bottleneck, settings.prototypes),
            batch_norm=settings.bn_in_head,
            unit_rows=settings.norm_last_layer,
        )
        self.teacher_encoder = momentum_copy(encoder)
        self.teacher_head = momentum_copy(self.head)
        self.register_buffer("center", torch.zeros(settings.prototypes))
        self._teacher_temperature = settings.warmup_teacher_temperature

    @classmethod
    def published_optimizer(cls, batch_size: int) -> OptimizerSettings:
        """AdamW, .0005 for a batch of 256 and linear in it; decay .04 to .4 along half a cosine."""
        return OptimizerSettings(
            name="adamw",
            learning_rate=0.0005 * batch_size / 256,
            final_learning_rate=1e-6,
            weight_decay=0.04,
            weight_decay_end=0.4,
            exclude_1d=True,
            schedule_unit="step",
            warmup_epochs=10.0,
        )

    @classmethod
    def check(
        cls,
        settings: DINOSettings,
        *,
        batch_size: int,
        num_examples: int,
        num_classes: int | None,
    ) -> None:
        """Refuse numbers out of range."""
        check_crops(settings.local_crops, settings.local_size, settings.image_size)
        s = settings
        demand_sizes(s, "hidden_size", "bottleneck")
        demand_sizes(s, "prototypes", least=2)
        T = (s.student_temperature, s.teacher_temperature, s.warmup_teacher_temperature)
        m = (s.momentum, s.center_momentum)
        if min(T) <= 0 or min(m) < 0 or max(m) > 1 or s.clip < 0:
            raise SettingError(
                f"Temperatures must be above 0, momenta in [0, 1] and clip not below 0; got {T}, "
                f"{m} and {s.clip}."
            )

    def before_step(self, progress: Progress) -> None:
        """Note the teacher's temperature of this epoch."""
        s = self.settings
        ends = (s.warmup_teacher_temperature, s.teacher_temperature)
        self._teacher_temperature = warmed_up(progress.epoch, s.warmup_teacher_epochs, *ends)

    def forward(self, batch: ViewBatch) -> Losses:
        """Return the loss of all crops; the teacher sees the large ones."""
        n, T = len(batch.index), self.settings.student_temperature
        features = pooled_crops(self.encoder, batch.groups)
        student = self.head(features).view(-1, n, self.settings.prototypes)  # [views, n, K]
        with torch.no_grad():
            large = pooled_crops(self.teacher_encoder, (batch.groups[0],))
            teacher = self.teacher_head(large).view(LARGE, n, -1)  # [2, n, K]
        with full_precision(features.device):
            P = F.softmax((teacher - self.center) / self._teacher_temperature, dim=2)
            loss = self_distillation(P, F.log_softmax(student / T, dim=2))
            entropy = torch.special.entr(P).sum(2).mean()
        return Losses(
            total=loss,
            terms={
                "teacher_entropy": entropy / self.no_information,
                "divergence": loss.detach() - entropy,  # 0 in either kind of collapse
            },
            features=features[:n].detach(),
            pending={"teacher_mean": teacher.mean((0, 1))[None]},
        )

    @torch.no_grad()
    def after_backward(self, progress: Progress) -> None:
        """Clip each parameter's gradient by itself; keep the last layer as it is at first."""
        if self.settings.clip:
            clip_each(self.parameters(), self.settings.clip)
        if progress.epoch < self.settings.frozen_last_layer_epochs:
            for p in self.head.last_layer.parameters():
                p.grad = None

    @torch.no_grad()
    def after_step(self, progress: Progress, pending: Mapping[str, Tensor]) -> None:
        """Let teacher and centre follow: the student is a step ahead, unlike in MoCo."""
        m = schedules.cosine(progress.fraction, self.settings.momentum, 1.0)
        follow(self.teacher_encoder, self.encoder, m)
        follow(self.teacher_head, self.head, m)
        mean = pending["teacher_mean"].mean(0)  # of the processes' means
        self.center.lerp_(mean, 1 - self.settings.center_momentum)
