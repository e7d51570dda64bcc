"""The grid over pre-training runs, encoders and tasks: plan, check, run what is missing, resume."""

import importlib
from typing import Any

ENGINES = {"serial": "vireo.study.serial:run_cells", "ray": "vireo.study.on_ray:run_cells"}

_PUBLIC = {
    "read_plan": "vireo.study.plan",
    "check_plan": "vireo.study.check",
    "run_study": "vireo.study.run",
    "study_status": "vireo.study.status",
}
__all__ = ["ENGINES", "check_plan", "read_plan", "run_study", "study_status"]


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(importlib.import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module 'vireo.study' has no attribute '{name}'")
