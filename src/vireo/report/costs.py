"""What the study took: pre-training runs, one pass of each encoder, and every probe."""

from collections.abc import Sequence

import pandas as pd

from vireo.report.curves import Run


def cost_tables(table: pd.DataFrame, runs: Sequence[Run]) -> dict[str, pd.DataFrame]:
    """Return title to table; a table without lines is left out."""
    found = {
        "Encoders: size, one pass, and all their probes": _encoders(table),
        "Pre-training runs": _runs(runs),
        "Seconds a cell, all seeds": _cells(table),
    }
    return {title: frame for title, frame in found.items() if len(frame)}


def _encoders(table: pd.DataFrame) -> pd.DataFrame:
    lines = table.groupby("encoder", sort=False).agg(
        architecture=("architecture", "first"),
        parameters=("parameters", "first"),
        flops=("encoder_flops", "first"),
        probes=("digest", "nunique"),
        seconds=("seconds", "sum"),
        images_per_second=("images_per_second", "median"),
    )
    return pd.DataFrame(
        {
            "encoder": lines.index,
            "architecture": lines["architecture"].to_numpy(),
            "parameters, M": (lines["parameters"] / 1e6).to_numpy(),
            "one pass, GFLOP": (lines["flops"] / 1e9).to_numpy(),
            "rows": lines["probes"].to_numpy(),
            "probing, s": lines["seconds"].to_numpy(),
            "images a second (median)": lines["images_per_second"].to_numpy(),
        }
    )


def _runs(runs: Sequence[Run]) -> pd.DataFrame:
    return pd.DataFrame([_bill(run) for run in runs if run.cost])


def _bill(run: Run) -> dict[str, object]:
    def known(name: str, unit: float) -> float:
        value = run.cost.get(name)
        return float(value) / unit if value is not None else float("nan")

    return {
        "encoder": run.encoder,
        "method": run.method,
        "images": int(run.cost.get("images", 0)),
        "hours": known("seconds", 3600.0),
        "CPU hours": known("cpu_seconds", 3600.0),
        "GPU hours": known("gpu_seconds", 3600.0),
        "PFLOP": known("flops", 1e15),
        "images a second": known("images_per_second", 1.0),
        "peak memory, GiB": known("peak_memory_bytes", 2.0**30),
        "energy, kWh": known("energy_joules", 3.6e6),
        "device": str(run.cost.get("device", "")),
    }


def _cells(table: pd.DataFrame) -> pd.DataFrame:
    seconds = table.pivot_table(
        index="encoder", columns="task", values="seconds", aggfunc="sum", sort=False
    )
    return seconds.reset_index().rename_axis(columns=None)
