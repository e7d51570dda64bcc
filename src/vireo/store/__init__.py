"""What is kept on disk: result rows (`results`) and blocks of features (`blocks`). No torch."""

from vireo.store.blocks import FeatureStore
from vireo.store.results import ResultStore, read_table

__all__ = ["FeatureStore", "ResultStore", "read_table"]
