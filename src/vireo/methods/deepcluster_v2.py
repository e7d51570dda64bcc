"""DeepCluster-v2: predict from every crop the cluster that the image was put in an epoch ago.

    L = mean over the heads h, crops t and images of  -log softmax(z_t.C_h / T)[a_h]

z is a unit embedding, C_h the unit centroids of head h. A memory keeps the last embedding of each
image's two large crops. At the start of an epoch spherical k-means on it gives the centroids and
each image's a_h, by one of the two crops in turn a head. Centroids are never trained.

References:
    Caron et al. 2020, Unsupervised Learning of Visual Features by Contrasting Cluster Assignments,
    arXiv 2006.09882, and main_deepclusterv2.py of its release.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor

from vireo import seeding
from vireo.data.batch import ViewBatch
from vireo.data.views.published import multi_crop
from vireo.encoders.encoder import Encoder
from vireo.errors import SettingError
from vireo.methods.k_means import spherical_k_means
from vireo.methods.method import Losses, Method, Progress
from vireo.methods.multi_crop import LARGE, check_crops, pooled_crops, swav_optimizer
from vireo.methods.parts import demand_sizes, full_precision, mlp, unit, usage, without_blur
from vireo.methods.processes import mean_of_all_processes, of_all_processes, of_first_process
from vireo.records import OptimizerSettings

NO_CLUSTER = -100  # of an image that the last epoch left out of its last, incomplete batch
NEVER, FIRST_PASS = -2, -1  # epochs in which an image was seen


@dataclass(frozen=True, kw_only=True)
class DeepClusterV2Settings:
    """The release's values, on SwAV's crops.

    Its own runs have 2x224 crops of (.08, 1), or 2x160 and 4x96.

    Attributes:
        local_crops: small crops an image, predicted from like the large ones.
        local_size: side of the small crops; 0 is 96 pixels for every 224 of image_size.
        blur: of views of at least 96 pixels.
        heads: of `prototypes` centroids each.
        k_means_iterations: from centroids drawn among the embeddings.
    """

    image_size: int = 224
    local_crops: int = 6
    local_size: int = 0
    global_scale: tuple[float, float] = (0.14, 1.0)
    local_scale: tuple[float, float] = (0.05, 0.14)
    blur: bool = True
    heads: int = 3
    prototypes: int = 3000
    dimension: int = 128
    hidden_size: int = 2048
    temperature: float = 0.1
    k_means_iterations: int = 10


class DeepClusterV2(Method):
    """Encoder, projector; memory [2, images, d], clusters [heads, images], centroids."""

    Settings = DeepClusterV2Settings
    batch_interaction = "the loss is a mean over those images of the batch that have a cluster"
    needs_first_pass = True
    memory: Tensor
    seen: Tensor
    clusters: Tensor
    prototypes: Tensor

    def __init__(
        self,
        encoder: Encoder,
        settings: DeepClusterV2Settings,
        *,
        num_examples: int,
        num_classes: int | None,
    ) -> None:
        super().__init__()
        d, H, K = settings.dimension, settings.heads, settings.prototypes
        self.settings = settings
        views = multi_crop(
            settings.image_size,
            num_small=settings.local_crops,
            large_scale=settings.global_scale,
            small_scale=settings.local_scale,
            small_side=settings.local_size,
            mean=encoder.card.mean,
            std=encoder.card.std,
        )
        self.views = views if settings.blur else without_blur(views)
        self.no_information = math.log(K)
        self.encoder = encoder
        self.projector = mlp(encoder.card.features, settings.hidden_size, d, batch_norm=True)
        self.register_buffer("prototypes", F.normalize(torch.randn(H, K, d), dim=2))
        self.register_buffer("memory", torch.zeros(LARGE, num_examples, d))
        self.register_buffer("seen", torch.full((num_examples,), NEVER))
        self.register_buffer("clusters", torch.full((H, num_examples), NO_CLUSTER))

    @classmethod
    def published_optimizer(cls, batch_size: int) -> OptimizerSettings:
        """SwAV's, which the release has: LARC, 4.8 for a batch of 4096, cosine by the step."""
        return swav_optimizer(batch_size)

    @classmethod
    def check(
        cls,
        settings: DeepClusterV2Settings,
        *,
        batch_size: int,
        num_examples: int,
        num_classes: int | None,
    ) -> None:
        """Refuse more centroids than there are embeddings to draw them from."""
        check_crops(settings.local_crops, settings.local_size, settings.image_size)
        demand_sizes(settings, "dimension", "hidden_size")
        seen = num_examples // batch_size * batch_size
        if not 2 <= settings.prototypes <= seen:
            raise SettingError(
                f"prototypes must be at least 2, and at most the {seen} images of an epoch's full "
                f"batches; got {settings.prototypes}. Set fewer prototypes."
            )
        if min(settings.heads, settings.k_means_iterations) < 1 or settings.temperature <= 0:
            raise SettingError(
                f"heads and k_means_iterations must be at least 1 and temperature above 0; got "
                f"{settings.heads}, {settings.k_means_iterations} and {settings.temperature}."
            )

    def first_pass(self, batch: ViewBatch) -> None:
        """Fill the memory with the embeddings of the untrained network, one crop at a time."""
        z = [unit(self.projector(self.encoder(x).pooled)) for x in batch.groups[0]]
        rows = of_all_processes(torch.stack(z, dim=1))  # [N, 2, d]
        self._remember(of_all_processes(batch.index), rows.transpose(0, 1), FIRST_PASS)

    def before_step(self, progress: Progress) -> None:
        """Cluster the memory where an epoch begins."""
        if progress.step * progress.num_epochs % progress.num_steps == 0:
            self._cluster(progress)

    def forward(self, batch: ViewBatch) -> Losses:
        """Return the loss of all crops, small ones included."""
        n = len(batch.index)
        features = pooled_crops(self.encoder, batch.groups)
        z = unit(self.projector(features))  # [views * n, d]; batch norm sees all crops together
        views = len(z) // n
        with full_precision(z.device):
            logits = z @ self.prototypes.mT / self.settings.temperature  # [heads, views * n, K]
            targets = self.clusters[:, batch.index].repeat(1, views)  # [heads, views * n]
            known = targets != NO_CLUSTER
            loss = F.cross_entropy(
                logits.flatten(0, 1), targets.flatten(), ignore_index=NO_CLUSTER, reduction="sum"
            )
            # over processes the mean of the sums by one count is the mean; that of means is not
            loss = loss / mean_of_all_processes(known.sum().to(loss.dtype))
        right = (logits.detach().argmax(2) == targets) & known
        return Losses(
            total=loss,
            terms={
                "accuracy": right.sum() / known.sum().clamp(min=1),
                "prototype_usage": usage(logits[:1].detach(), 1.0),
            },
            features=features[:n].detach(),
            pending={
                "embeddings": z.detach()[: LARGE * n].view(LARGE, n, -1).transpose(0, 1),
                "index": batch.index,
            },
        )

    def after_step(self, progress: Progress, pending: Mapping[str, Tensor]) -> None:
        """Remember this batch's large crops for the next epoch's clusters."""
        z = pending["embeddings"].transpose(0, 1)  # [2, N, d]
        self._remember(pending["index"], z, progress.epoch)

    @torch.no_grad()
    def _remember(
        self, index: Int64[Tensor, " n"], z: Float[Tensor, "crops n d"], epoch: int
    ) -> None:
        self.memory.index_copy_(1, index, z.to(self.memory.dtype))
        self.seen[index] = epoch

    @torch.no_grad()
    def _cluster(self, progress: Progress) -> None:
        """Give the images of the last epoch a cluster a head; those it left out get none."""
        images = (self.seen == self.seen.max()).nonzero().squeeze(1)
        self.clusters.fill_(NO_CLUSTER)
        for h, centroids in enumerate(self.prototypes):
            z = self.memory[h % LARGE, images]
            draw = seeding.generator(progress.digest, "k-means", progress.epoch, h)
            first = torch.from_numpy(draw.permutation(len(z))[: len(centroids)]).to(z.device)
            C, a = spherical_k_means(z, z[first], self.settings.k_means_iterations)
            centroids.copy_(of_first_process(C))
            self.clusters[h, images] = of_first_process(a)
