"""The narrow waist: frozen, torch-free records, stored, hashed, printed and compared."""

from vireo.records.cards import (
    DatasetCard,
    EncoderCard,
    EncoderSpec,
    MethodCard,
    PublishedEncoder,
)
from vireo.records.datasets import Carve, DatasetSpec
from vireo.records.rows import BlockKey, Cost, ResultRow, RowKey, SimilarityKey, SimilarityRow
from vireo.records.settings import (
    HeadOptimizer,
    OptimizerSettings,
    PretrainSettings,
    ProbeSettings,
    Scoring,
    StudyPlan,
)
from vireo.records.subsets import SubsetRecipe
from vireo.records.task import Task

__all__ = [
    "BlockKey",
    "Carve",
    "Cost",
    "DatasetCard",
    "DatasetSpec",
    "EncoderCard",
    "EncoderSpec",
    "HeadOptimizer",
    "MethodCard",
    "OptimizerSettings",
    "PretrainSettings",
    "ProbeSettings",
    "PublishedEncoder",
    "ResultRow",
    "RowKey",
    "Scoring",
    "SimilarityKey",
    "SimilarityRow",
    "StudyPlan",
    "SubsetRecipe",
    "Task",
]
