"""Images on disk to batches: sources, named datasets, splits, loading, views.

The names are resolved when first used, so that listing what there is does not import torch.
"""

import importlib
from typing import TYPE_CHECKING, Any

from vireo.data.datasets import DATASETS
from vireo.data.sources import SOURCES

if TYPE_CHECKING:
    from vireo.data.batch import Batch, ViewBatch
    from vireo.data.loading import load_batches
    from vireo.data.opening import dataset_card, find_dataset, open_split
    from vireo.data.sources.source import Source
    from vireo.data.splits import Subset, carve_validation
    from vireo.data.views.loading import load_views

_LAZY = {
    "Batch": "vireo.data.batch",
    "Source": "vireo.data.sources.source",
    "Subset": "vireo.data.splits",
    "ViewBatch": "vireo.data.batch",
    "carve_validation": "vireo.data.splits",
    "dataset_card": "vireo.data.opening",
    "find_dataset": "vireo.data.opening",
    "load_batches": "vireo.data.loading",
    "load_views": "vireo.data.views.loading",
    "open_split": "vireo.data.opening",
}
__all__ = [
    "DATASETS",
    "SOURCES",
    "Batch",
    "Source",
    "Subset",
    "ViewBatch",
    "carve_validation",
    "dataset_card",
    "find_dataset",
    "load_batches",
    "load_views",
    "open_split",
]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'vireo.data' has no attribute '{name}'")
