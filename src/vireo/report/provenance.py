"""Where every number comes from: the rows behind a cell, and the facts of a whole study."""

import json
from collections.abc import Sequence
from typing import Any

import pandas as pd

from vireo.analysis.table import order
from vireo.digest import digest
from vireo.records import ResultRow


def embedded_origins(rows: Sequence[ResultRow], names: dict[str, str]) -> dict[str, Any]:
    """Return what the page shows of a cell on request; texts that many rows share stand once.

    Args:
        rows: of the plan.
        names: digest of a row to the encoder's name in the plan.
    """
    texts: dict[str, int] = {}

    def once(value: object) -> int:
        return texts.setdefault(value if isinstance(value, str) else _facts(value), len(texts))

    lines: dict[str, dict[str, list[list[Any]]]] = {}
    for row in rows:
        name = digest(row.key)
        line = [
            name,
            row.key.seed,
            float(f"{row.score:.6g}"),
            row.n,
            row.time,
            float(f"{row.cost.seconds:.3g}"),
            once(f"{row.cost.device}, {row.cost.threads} threads"),
            once(dict(row.hyperparameters)),
            once(dict(row.versions)),
            once({"encoder": row.key.encoder, "task": row.key.task, "protocol": row.key.protocol}),
            once(dict(row.metrics)),
        ]
        lines.setdefault(names[name], {}).setdefault(row.task, []).append(line)
    return {"texts": list(texts), "lines": lines}


def facts(table: pd.DataFrame, rows: Sequence[ResultRow]) -> list[tuple[str, str]]:
    """Return what is true of the whole study, in words."""
    libraries = order([f"{k} {v}" for row in rows for k, v in sorted(row.versions.items())])
    devices = order([f"{row.cost.device}, {row.cost.threads} threads" for row in rows])
    times = sorted(row.time for row in rows)
    peak = max(row.cost.peak_memory_bytes for row in rows) / 2**30
    return [
        ("versions", ", ".join(libraries)),
        ("computed on", "; ".join(devices)),
        ("computed from", f"{times[0]} to {times[-1]} (UTC)"),
        ("rows", str(len(rows))),
        ("time of all probes", f"{table['seconds'].sum():.0f} s"),
        ("peak memory", f"{peak:.1f} GiB"),
    ]


def _facts(value: object) -> str:
    assert isinstance(value, dict)
    return ", ".join(f"{name} {_short(fact)}" for name, fact in value.items()) or "none"


def _short(value: object) -> str:
    return (
        f"{value:.4g}"
        if isinstance(value, float)
        else json.dumps(value)
        if isinstance(value, dict)
        else str(value)
    )
