"""What is kept on disk: result rows (`results`) and blocks of features (`blocks`). No torch."""

from vireo.store.results import ResultStore, read_table

__all__ = ["ResultStore", "read_table"]
