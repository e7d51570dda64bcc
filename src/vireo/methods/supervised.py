"""Supervised pre-training: softmax cross-entropy of a linear classifier on the pooled feature.

References:
    He et al. 2016, Deep Residual Learning; Goyal et al. 2017, arXiv 1706.02677 (optimiser).
"""

import math
from dataclasses import dataclass, replace

import torch.nn.functional as F
from torch import nn

from vireo.data.batch import ViewBatch
from vireo.data.views.published import supervised
from vireo.data.views.recipe import ColorJitter, ViewRecipe
from vireo.encoders.encoder import Encoder
from vireo.errors import SettingError
from vireo.methods.method import Losses, Method
from vireo.methods.parts import demand_classes, full_precision, widen
from vireo.records import OptimizerSettings


@dataclass(frozen=True, kw_only=True)
class SupervisedSettings:
    """The usual augmentation of ImageNet classifiers.

    Attributes:
        crop_scale: share of the picture's area that a crop keeps.
        jitter: brightness, contrast and saturation factors in 1 +- jitter; 0 is none.
    """

    image_size: int = 224
    crop_scale: tuple[float, float] = (0.08, 1.0)
    jitter: float = 0.0


class Supervised(Method):
    """Encoder with a classifier, which is saved with it."""

    Settings = SupervisedSettings
    sync_batch_norm = False

    def __init__(
        self,
        encoder: Encoder,
        settings: SupervisedSettings,
        *,
        num_examples: int,
        num_classes: int | None,
    ) -> None:
        super().__init__()
        classes = demand_classes(num_classes, "Supervised pre-training")
        self.views = supervised(
            settings.image_size,
            scale=settings.crop_scale,
            mean=encoder.card.mean,
            std=encoder.card.std,
        )
        if settings.jitter:
            self.views = _with_jitter(self.views, settings.jitter)
        self.no_information = math.log(classes)
        encoder.classifier = nn.Linear(encoder.card.features, classes)
        self.encoder = encoder

    @classmethod
    def published_optimizer(cls, batch_size: int) -> OptimizerSettings:
        """Goyal et al.: SGD with Nesterov momentum, .1 for a batch of 256 and linear in it.

        Above 256 the rate climbs from .1 over five epochs. The decay is half a cosine (He et al.
        2019) where Goyal et al. have steps; weight decay is on all parameters, as in torchvision's
        reference training, where Goyal et al. leave out batch norm.
        """
        large = batch_size > 256
        return OptimizerSettings(
            learning_rate=0.1 * batch_size / 256,
            weight_decay=1e-4,
            nesterov=True,
            schedule_unit="step",
            warmup_epochs=5.0 if large else 0.0,
            warmup_learning_rate=0.1 if large else 0.0,
        )

    @classmethod
    def check(
        cls,
        settings: SupervisedSettings,
        *,
        batch_size: int,
        num_examples: int,
        num_classes: int | None,
    ) -> None:
        """Refuse images without classes, and less than no jitter."""
        demand_classes(num_classes, "Supervised pre-training")
        if settings.jitter < 0:
            raise SettingError(f"jitter must not be below 0; got {settings.jitter}.")

    def forward(self, batch: ViewBatch) -> Losses:
        """Return the cross-entropy of one view an image."""
        assert batch.label is not None
        assert self.encoder.classifier is not None
        features = self.encoder(batch.groups[0][0]).pooled
        with full_precision(features.device):
            logits = self.encoder.classifier(widen(features))
            loss = F.cross_entropy(logits, batch.label)
        accuracy = (logits.detach().argmax(1) == batch.label).float().mean()
        return Losses(total=loss, terms={"accuracy": accuracy}, features=features.detach())


def _with_jitter(recipe: ViewRecipe, j: float) -> ViewRecipe:
    colours = ColorJitter(brightness=j, contrast=j, saturation=j, hue=0.0, probability=1.0)
    views = tuple(replace(view, operations=(*view.operations, colours)) for view in recipe.views)
    return replace(recipe, views=views)
