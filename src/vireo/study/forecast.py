"""A plan as people read it: its cells, what they share, what they take, and what is in the way."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vireo.records import StudyPlan
from vireo.store.folder import StudyFolder
from vireo.study.cells import Cell
from vireo.study.check import Checked
from vireo.study.demand import Demand
from vireo.study.machine import shortages, size
from vireo.study.status import CellStatus, kept_cells, study_status
from vireo.study.words import duration

if TYPE_CHECKING:
    from vireo.devices import Compute

Line = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """A plan, looked at.

    Attributes:
        demands: of the cells that are not done, in the order that they run.
        shortages: of memory and disk.
    """

    plan: StudyPlan
    checked: Checked
    cells: tuple[CellStatus, ...]
    demands: tuple[Demand, ...]
    shortages: tuple[str, ...]


def forecast(
    plan: StudyPlan,
    checked: Checked,
    out: Path,
    compute: "Compute",
    *,
    chosen: Sequence[Cell] | None = None,
) -> Forecast:
    """Measure this machine for a moment and say what the cells that are left will take.

    Args:
        plan: the study.
        checked: what was found of its encoders and data.
        out: the study's folder.
        compute: where it will run.
        chosen: the cells to tell of; all if None.
    """
    from vireo.study.estimate import estimate, stored_blocks
    from vireo.study.rates import Rates

    cells, folder, rates = study_status(plan, out), StudyFolder(out), Rates(compute)
    cells = [status for status in cells if chosen is None or status.cell in chosen]
    left = [status.cell for status in cells if status.state != "done"]
    stored = stored_blocks(plan, checked.cards, rates, kept_cells(cells, folder))
    demands = estimate(plan, checked.cards, rates, left, stored=stored.keys())
    return Forecast(
        plan=plan,
        checked=checked,
        cells=tuple(cells),
        demands=tuple(demands),
        shortages=tuple(shortages(demands, folder, sum(stored.values()))),
    )


def cell_lines(found: Forecast) -> list[Line]:
    """Return one line a cell, with all its numbers."""
    known = {demand.cell: demand for demand in found.demands}
    lines = []
    for status in found.cells:
        demand = known.get(status.cell, Demand(cell=status.cell, seconds=0.0))
        seconds = None if demand.seconds is None else demand.all_seconds
        lines.append(
            {
                "name": status.cell.name,
                "state": status.state,
                "time": "?" if seconds is None else duration(seconds),
                "storage": size(demand.new_bytes),
                "seconds": seconds,
                "encode_seconds": demand.encode_seconds,
                "images": demand.images,
                "bytes": demand.new_bytes,
                "memory_bytes": demand.memory_bytes,
                "unknown": demand.why,
                "absent": found.checked.absent(status.cell.encoder, status.cell.task),
                "error": status.error,
            }
        )
    return lines


def group_lines(found: Forecast, by: str) -> list[Line]:
    """Return one line an encoder or a task (`by`): its cells, and what those that are left take."""
    lines = []
    names = list(dict.fromkeys(getattr(status.cell, by) for status in found.cells))
    for name in filter(None, names):
        cells = [s for s in found.cells if getattr(s.cell, by) == name]
        demands = [demand for demand in found.demands if getattr(demand.cell, by) == name]
        unknown = sum(demand.seconds is None for demand in demands)
        total = duration(sum((demand.all_seconds for demand in demands), 0.0))
        lines.append(
            {
                by: name,
                "cells": len(cells),
                "done": sum(status.state == "done" for status in cells),
                "images to encode": sum(demand.images for demand in demands),
                "encoding": duration(sum((demand.encode_seconds for demand in demands), 0.0)),
                "all": f"{total} + {unknown} unknown" if unknown else total,
                "storage": size(sum(demand.new_bytes for demand in demands)),
            }
        )
    return lines


def sentences(found: Forecast) -> list[str]:
    """Return what the tables do not say: counts, shared work, totals, and what is in the way."""
    return [
        *_counts(found),
        *_shared(found.demands),
        *_totals(found.demands),
        *(f"Too little {shortage}" for shortage in found.shortages),
        *_problems(found.checked),
    ]


def _counts(found: Forecast) -> list[str]:
    plan, states = found.plan, Counter(status.state for status in found.cells)
    encoders, tasks, runs = (len(plan.encoders), len(plan.tasks), len(plan.pretrain))
    groups = Counter(_group(spec.spec) for spec in plan.encoders)
    told = ", ".join(f"{tasks * count} of {name}" for name, count in groups.items() if name)
    probes = (encoders + runs) * tasks
    trained = f" and {runs} pre-training runs" if runs else ""
    said = ", ".join(f"{count} {state}" for state, count in states.items())
    return [
        f"{encoders + runs} encoders x {tasks} tasks = {probes} cells{trained}: {said}."
        + (f" Of these are {told}." if told else "")
    ]


def _group(spec: str) -> str:
    """Return what the zoo says an encoder is there for."""
    from vireo.encoders.zoo import ZOO

    kind, _, name = spec.partition(":")
    words = {"study": "the study's encoders", "ablation": "its side experiments"}
    return words.get(ZOO[name].group, "") if kind == "zoo" and name in ZOO else ""


def _shared(demands: Sequence[Demand]) -> list[str]:
    """Say how many blocks of features serve how many readings of them."""
    read = sum(len(demand.blocks) for demand in demands)
    made = sum(len(demand.new) for demand in demands)
    if not read:
        return []
    images = sum(demand.images for demand in demands)
    return [
        f"Shared work: {read} readings of stored features need {made} blocks, made in {images:,} "
        f"images through an encoder; {read - made} readings find theirs made by another task."
    ]


def _totals(demands: Sequence[Demand]) -> list[str]:
    if not demands:
        return ["Nothing is left to do."]
    unknown = Counter(demand.why for demand in demands if demand.why)
    seconds = sum((demand.all_seconds for demand in demands), 0.0)
    lines = [
        f"Time, one cell after another at rates measured just now: about {duration(seconds)}, of "
        f"which encoding {duration(sum((demand.encode_seconds for demand in demands), 0.0))}.",
        f"Storage: {size(sum(demand.new_bytes for demand in demands))} of features and runs. "
        f"Memory: at least {size(max(demand.memory_bytes for demand in demands))}.",
    ]
    return lines + [f"Not in it: {count} cells, {why}." for why, count in unknown.items()]


def _problems(checked: Checked) -> list[str]:
    fetched = len(checked.of("fetch"))
    absent = checked.of("absent")
    told = [f"{fetched} published encoders are fetched when they are opened first."] * bool(fetched)
    if absent:
        told.append(f"Absent here, so that this study cannot run as it is ({len(absent)}):")
    return told + [f"  - {sentence.partition('. ')[0].removesuffix('.')}" for sentence in absent]
