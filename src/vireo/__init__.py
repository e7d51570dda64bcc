"""vireo: which way of pre-training a visual encoder gives the representation that a task needs?

The public names are resolved when first used, so that `import vireo` does not import torch.
"""

import importlib
from typing import Any

__version__ = "0.1.0"

_PUBLIC = {
    "open_encoder": "vireo.encoders",
    "open_split": "vireo.data",
    "run_study": "vireo.study",
    "read_table": "vireo.store",
}
__all__ = [
    "__version__",
    "open_encoder",
    "open_split",
    "read_table",
    "run_study",
]


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(importlib.import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module 'vireo' has no attribute '{name}'")
