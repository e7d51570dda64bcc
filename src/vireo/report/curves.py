"""Learning curves and bills of the pre-training runs that made a study's encoders."""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from vireo.analysis import Figure
from vireo.errors import StoreError
from vireo.files import read_json
from vireo.store.folder import StudyFolder

MEASURES = {
    "loss_level": "loss over that of features that say nothing",
    "knn": "kNN accuracy, share",
    "feature_rank": "effective rank of the features",
    "feature_std": "standard deviation of the features (1: evenly spread)",
    "loss": "loss",
    "learning_rate": "learning rate",
    "gradient_norm": "norm of the gradient",
    "images_per_second": "images a second",
}
"""Numbers of a run's log that the page offers, in words with their unit."""
MOST_POINTS = 240
"""Points a curve; a longer log is shown by its means over equal parts."""


@dataclass(frozen=True)
class Run:
    """One pre-training run: what it was, its log, and what it took (empty if it did not finish)."""

    encoder: str
    method: str
    lines: pd.DataFrame
    cost: Mapping[str, Any]


def read_runs(root: Path, plan: Mapping[str, Any]) -> list[Run]:
    """Return the runs of the plan's encoders that left a log, in the plan's order."""
    found = []
    for encoder, folder in _folders(root, plan):
        lines = _log(folder / "metrics.jsonl")
        if lines:
            recipe = _recipe(folder)
            found.append(
                Run(
                    encoder=encoder,
                    method=str(recipe.get("settings", {}).get("method", "")),
                    lines=pd.DataFrame(lines),
                    cost=_facts(folder / "cost.json"),
                )
            )
    return found


def embedded_curves(runs: list[Run]) -> list[dict[str, Any]]:
    """Return what the page's script draws: of each run, epochs and the measures its log has."""
    return [
        {
            "encoder": run.encoder,
            "method": run.method,
            "epoch": _thin(run.lines["epoch"]),
            "measures": {
                name: _thin(run.lines[name]) for name in MEASURES if name in run.lines.columns
            },
        }
        for run in runs
        if "epoch" in run.lines.columns
    ]


def curve_figures(runs: list[Run]) -> dict[str, Figure]:
    """Return measure to its curves over epochs, for a paper."""
    return {
        name: Figure(kind="lines", title=words, x="epoch", y=words, data=data)
        for name, words in MEASURES.items()
        if len(data := _tidy(runs, name))
    }


def _tidy(runs: list[Run], measure: str) -> pd.DataFrame:
    parts = [
        pd.DataFrame(
            {"x": _thin(run.lines["epoch"]), "y": _thin(run.lines[measure]), "group": run.encoder}
        )
        for run in runs
        if {"epoch", measure} <= set(run.lines.columns)
    ]
    whole = pd.concat(parts) if parts else pd.DataFrame(columns=["x", "y", "group"])
    return whole.dropna(subset=["y"])


def _folders(root: Path, plan: Mapping[str, Any]) -> Iterator[tuple[str, Path]]:
    """Yield the encoders that were pre-trained, with the folders of their runs."""
    for name, settings in plan.get("pretrain", {}).items():
        for folder in sorted(StudyFolder(root).runs.glob(f"{name}-????????")):
            if _recipe(folder).get("settings") == settings:
                yield name, folder
    for spec in plan.get("encoders", ()):
        kind, _, place = str(spec["spec"]).partition(":")
        if kind == "run" and Path(place).is_dir():
            yield str(spec.get("name") or spec["spec"]), Path(place)


def _recipe(folder: Path) -> dict[str, Any]:
    return _facts(folder / "recipe.json")


def _facts(path: Path) -> dict[str, Any]:
    """Return the facts of a file; none where a run has not written it yet, or not wholly."""
    try:
        facts = read_json(path)
    except StoreError:
        return {}
    return facts if isinstance(facts, dict) else {}


def _log(path: Path) -> list[dict[str, Any]]:
    """Return the whole lines of a log; a process that died may have left half a line."""
    found = []
    for text in path.read_text(encoding="utf-8").splitlines() if path.is_file() else ():
        try:
            found.append(json.loads(text))
        except json.JSONDecodeError:
            break
    return found


def _thin(values: pd.Series) -> list[float | None]:
    """Return at most `MOST_POINTS` means over neighbours, with four digits; gaps stay gaps."""
    numbers = values.to_numpy(dtype=float)
    parts = np.array_split(numbers, min(MOST_POINTS, len(numbers))) if len(numbers) else []
    means = [
        float(part[~np.isnan(part)].mean()) if not np.isnan(part).all() else math.nan
        for part in parts
    ]
    return [float(f"{mean:.4g}") if math.isfinite(mean) else None for mean in means]
