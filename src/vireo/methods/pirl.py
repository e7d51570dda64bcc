"""PIRL: an image and its transformed self are both told from other images in a memory bank.

    L = lambda L_NCE(m_I, g(v_It)) + (1 - lambda) L_NCE(m_I, f(v_I))                (equation 5)

v_I are the network's pooled features of the image, f(v_I) their unit projection; v_It those of its
rotation, or of nine shuffled patches, each through the network by itself, and g(v_It) another
projection of them. m_I is the image's row in the bank, the moving average of f(v_I) over earlier
epochs. lambda = 0 is NPID, which has a row of the catalogue and defaults of its own.

Where paper and released code (VISSL) differ, the default is the code's: L_NCE divides by a constant
Z, estimated from the first batch and then kept, where the paper's equation 3 has a sum over the
example's negatives. VISSL's better run ("photo_gblur" and "mlphead") is loss = "infonce",
temperature = 0.1, head = "mlp", augmentation = "blur".

References:
    Misra & van der Maaten 2020, Self-Supervised Learning of Pretext-Invariant Representations,
    arXiv 1912.01991; Wu et al. 2018, Unsupervised Feature Learning via Non-Parametric Instance
    Discrimination, arXiv 1805.01978.
"""

import math
from collections.abc import Mapping

from jaxtyping import Float, Int64
from torch import Tensor, nn

from vireo import catalog, seeding
from vireo.data.batch import ViewBatch
from vireo.data.views.jigsaw import PATCHES
from vireo.data.views.pirl import AUGMENTATIONS, PRETEXTS, pirl
from vireo.encoders.encoder import Encoder
from vireo.errors import SettingError
from vireo.methods.memory_bank import (
    MemoryBank,
    draw_negatives,
    info_nce,
    nce,
    nce_of_sum,
    warn_of_own_row,
)
from vireo.methods.method import Losses, Method, Progress
from vireo.methods.parts import full_precision, mlp, unit
from vireo.methods.pirl_settings import HEADS, LOSSES, STARTS, NPIDSettings, PIRLSettings
from vireo.methods.processes import of_all_processes
from vireo.records import OptimizerSettings


class BankContrast(Method):
    """Encoder, heads, bank and loss of PIRL and NPID, which differ by their values alone.

    Over parts of a batch, in the first step, each part's loss has the Z of its own scores.
    """

    sync_batch_norm = False

    def __init__(
        self,
        encoder: Encoder,
        settings: PIRLSettings,
        *,
        num_examples: int,
        num_classes: int | None,
    ) -> None:
        super().__init__()
        s, K = settings, settings.num_negatives
        warn_of_own_row(K, num_examples)
        pretext = s.pretext if s.pretext_weight else "none"
        self.settings = settings
        self.views = pirl(
            s.image_size,
            pretext=pretext,
            augmentation=s.augmentation,
            scale=s.crop_scale,
            patch_side=s.patch_size,
            mean=encoder.card.mean,
            std=encoder.card.std,
        )
        apart = 0.0 if s.loss == "infonce" else K * math.log1p(1 / K)
        self.no_information = math.log(1 + K) + apart
        self.encoder = encoder
        self.projector = _normed(_head(encoder.card.features, s), s)
        if pretext != "none":
            self.pretext_projector = _normed(_pretext_head(encoder.card.features, s), s)
        self.bank = MemoryBank(num_examples, s.dimension)
        self.needs_first_pass = s.bank_start == "embeddings"
        self._draw = ("", 0)

    @classmethod
    def check(
        cls,
        settings: PIRLSettings,
        *,
        batch_size: int,
        num_examples: int,
        num_classes: int | None,
    ) -> None:
        """Refuse names that are unknown, and numbers outside of their range."""
        choices = {
            "pretext": PRETEXTS[1:],
            "loss": LOSSES,
            "head": HEADS,
            "augmentation": AUGMENTATIONS,
            "bank_start": STARTS,
        }
        for field, known in choices.items():
            if (name := getattr(settings, field)) not in known:
                raise SettingError(catalog.unknown(name, known, field))
        least = {"num_negatives": 1, "dimension": 1, "hidden_size": 0, "patch_size": 0}
        for field, low in least.items():
            if (value := getattr(settings, field)) < low:
                raise SettingError(f"{field} must be at least {low}; got {value}.")
        shares = (settings.pretext_weight, settings.bank_momentum)
        if not all(0 <= share <= 1 for share in shares) or settings.temperature <= 0:
            raise SettingError(
                f"pretext_weight and bank_momentum must be in [0, 1] and temperature above 0; got "
                f"{shares[0]}, {shares[1]} and {settings.temperature}."
            )

    def first_pass(self, batch: ViewBatch) -> None:
        """Put the untrained network's embeddings into the bank."""
        v = unit(self.projector(self.encoder(batch.groups[0][0]).pooled))
        self.bank.update(of_all_processes(batch.index), of_all_processes(v), 0.0)

    def before_step(self, progress: Progress) -> None:
        """Note which negatives this step draws."""
        self._draw = (progress.digest, progress.step)

    def forward(self, batch: ViewBatch) -> Losses:
        """Return the loss against the bank as earlier batches left it."""
        T, weight = self.settings.temperature, self.settings.pretext_weight
        embeddings = {"pretext": self._pretext_embedding(batch)} if weight else {}
        features = self.encoder(batch.groups[0][0]).pooled
        embeddings["image"] = unit(self.projector(features))
        with full_precision(features.device):
            scores = {name: self._scores(name, v, batch.index) for name, v in embeddings.items()}
            first = next(iter(scores.values()))
            Z = self.bank.partition(first, T) if self.settings.loss == "nce" else self.bank.Z
            losses = {name: self._loss(score, Z) for name, score in scores.items()}
        total = (1 - weight) * losses["image"] + weight * losses.get("pretext", 0.0)
        terms = {f"{name}_loss": loss for name, loss in losses.items()}
        terms["positive_similarity"] = scores["image"][:, 0].mean()
        terms["negative_similarity"] = scores["image"][:, 1:].mean()
        if weight:
            terms["pretext_similarity"] = scores["pretext"][:, 0].mean()
        if self.settings.loss == "nce":
            terms["Z"] = Z
        return Losses(
            total=total,
            terms={name: term.detach() for name, term in terms.items()},
            features=features.detach(),
            pending={
                "embeddings": embeddings["image"].detach(),
                "index": batch.index,
                "Z": Z[None],
            },
        )

    def after_step(self, progress: Progress, pending: Mapping[str, Tensor]) -> None:
        """Move the rows of this batch's images to their embeddings, and keep Z.

        The transformed images' embeddings never enter the bank.
        """
        self.bank.update(pending["index"], pending["embeddings"], self.settings.bank_momentum)
        self.bank.Z.copy_(pending["Z"].mean())

    def _pretext_embedding(self, batch: ViewBatch) -> Float[Tensor, "n d"]:
        """Return g(v_It); patches go through the encoder as images of their own."""
        patches = batch.patches
        images = batch.groups[0][1] if patches is None else patches.flatten(0, 1)  # [9 n, 3, s, s]
        return unit(self.pretext_projector(self.encoder(images).pooled))

    def _scores(
        self, name: str, v: Float[Tensor, "n d"], index: Int64[Tensor, " n"]
    ) -> Float[Tensor, "n K_and_1"]:
        """Score against the bank; each term of the loss draws negatives of its own."""
        digest, step = self._draw
        seed = seeding.integer(digest, f"negatives of {name}", 0, step)
        K = self.settings.num_negatives
        negatives = draw_negatives(index, len(self.bank.rows), K, seed=seed)
        return self.bank.scores(v, index, negatives)

    def _loss(self, scores: Float[Tensor, "n K_and_1"], Z: Float[Tensor, ""]) -> Float[Tensor, ""]:
        T = self.settings.temperature
        if self.settings.loss == "infonce":
            return info_nce(scores, T)
        if self.settings.loss == "nce-paper":
            return nce_of_sum(scores, T)
        return nce(scores, T, Z * self.settings.num_negatives / len(self.bank.rows))


class PIRL(BankContrast):
    """batch.groups[0][0] holds the images; patches, or batch.groups[0][1], what is transformed."""

    Settings = PIRLSettings

    @classmethod
    def published_optimizer(cls, batch_size: int) -> OptimizerSettings:
        """SGD, .03 for a batch of 256 and linear in it, cosine by the epoch to a thousandth.

        Weight decay is not on biases and batch norm (VISSL).
        """
        rate = 0.03 * batch_size / 256
        return OptimizerSettings(
            learning_rate=rate,
            final_learning_rate=rate / 1000,
            weight_decay=1e-4,
            exclude_1d=True,
        )


class NPID(BankContrast):
    """PIRL with lambda 0: batch.groups[0][0] holds the images."""

    Settings = NPIDSettings

    @classmethod
    def published_optimizer(cls, batch_size: int) -> OptimizerSettings:
        """SGD, .03 for a batch of 256, a tenth from epoch 120 of 200 on and another from 160.

        The rate is linear in the batch, as in VISSL's run at four times the batch.
        """
        return OptimizerSettings(
            learning_rate=0.03 * batch_size / 256,
            weight_decay=1e-4,
            schedule="step",
            milestones=(0.6, 0.8),
        )


def _head(features: int, settings: PIRLSettings) -> nn.Module:
    d = settings.dimension
    if settings.head == "mlp":
        return mlp(features, settings.hidden_size or features, d, batch_norm=False)
    return nn.Linear(features, d)


def _pretext_head(features: int, settings: PIRLSettings) -> nn.Module:
    head, d = _head(features, settings), settings.dimension
    if settings.pretext == "rotation":
        return head
    together = (nn.Unflatten(0, (-1, PATCHES)), nn.Flatten(1))  # [9 n, d] to [n, 9 d]
    return nn.Sequential(head, *together, nn.Linear(PATCHES * d, d))


def _normed(head: nn.Module, settings: PIRLSettings) -> nn.Module:
    if not settings.embedding_norm:
        return head
    return nn.Sequential(head, nn.BatchNorm1d(settings.dimension, affine=False))
