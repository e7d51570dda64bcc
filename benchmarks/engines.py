"""What an engine costs a cell: thousands of cells that have nothing to compute.

What: seconds a cell, from outcome to outcome of an engine, over cells whose result is on disk
    already (finished pre-training runs): a claim, a look at two files, an outcome. So it is the
    engine's own cost: choosing, sending, answering. Ray's start (cluster, workers, imports) is
    apart: it is paid once a run. Beside them, a study under the serial engine whose cells do
    compute (a ResNet-20, one epoch of a linear head on 16 images of 8 pixels) against the same
    probes in a plain loop; what is left are the check, claims, the index, messages.
How: `python benchmarks/engines.py [--cells 2000] [--rounds 3] [--study 32 32]`. Ray: a local
    cluster with one worker a core.
n: 3 rounds of 2,000 cells with each engine (medians), and 1,024 cells of the study, once.
Hardware: two cores of an AMD EPYC, idle.
Versions: Python 3.11.7, torch 2.14.1, Ray 2.60.0.
Result: benchmarks/results/engines.json. Serial 0.2 ms a cell, Ray 1.8 ms with two workers, after
    9 s to start its cluster. A study takes 29 ms a trivial cell, the plain loop 20 ms. Beside
    seven runnable processes the same took 3.4 ms, 2.8 ms, 0.26 s and 0.19 s.
"""

import argparse
import contextlib
import platform
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from vireo import console, files
from vireo.catalog import resolve
from vireo.data.sources.source import Source
from vireo.devices import choose, usable_cores, versions
from vireo.probe import probe
from vireo.records import DatasetSpec, EncoderSpec, PretrainSettings, ProbeSettings, StudyPlan, Task
from vireo.store.folder import StudyFolder
from vireo.study import ENGINES, run_study
from vireo.study.cells import encoder_spec, plan_cells, run_folder
from vireo.study.resources import Resources
from vireo.study.work import Outcome, Worker

RESULT = Path(__file__).parent / "results" / "engines.json"
RUN = PretrainSettings(
    method="supervised",
    architecture="resnet20",
    data="digits",
    epochs=1,
    batch_size=64,
    image_size=32,
)
TASK = Task(
    name="noise",
    summary="",
    dataset=DatasetSpec(
        name="noise",
        source="engines:Noise",
        splits={"train": {"seed": 0}, "test": {"seed": 1}},
    ),
    target="class",
    outputs=2,
    family="semantic-image",
    head="linear",
    loss="cross-entropy",
    metric="top-1",
    epochs=1,
    input_size=(8, 8),
)


class Noise(Source):
    """Sixteen images of noise in two classes."""

    def __init__(self, *, seed: int) -> None:
        self.name, self.targets, self.class_names = "noise", ("class",), ("even", "odd")
        self.digest = f"noise-{seed}"
        rng = np.random.default_rng(seed)
        self._images = rng.integers(256, size=(16, 8, 8, 3), dtype=np.uint8)

    def __len__(self) -> int:
        return len(self._images)

    def frames(self, index: int) -> tuple[np.ndarray, ...]:
        """Return the image."""
        return (self._images[index],)

    def target(self, index: int, name: str) -> int:
        """Return whether the index is odd."""
        return index % 2

    def label(self, index: int) -> str:
        """Return the example's number."""
        return str(index)


def finished_runs(count: int, root: Path) -> Worker:
    """Return a worker whose plan has `count` pre-training runs, all on disk."""
    runs = {f"run{number}": replace(RUN, seed=number) for number in range(count)}
    plan = StudyPlan(name="idle", summary="", tasks=(TASK,), pretrain=runs)
    worker = Worker(plan, StudyFolder(root), choose("cpu", threads=1))
    for name in runs:
        folder = run_folder(plan, worker.folder, name)
        folder.mkdir(parents=True)
        for file in ("encoder.safetensors", "card.json"):
            (folder / file).touch()
    return worker


def engine_seconds(engine: str, worker: Worker) -> tuple[float, float]:
    """Return seconds until the first outcome, and seconds a cell from then on."""
    cells = [cell for cell in plan_cells(worker.plan) if cell.is_pretraining]
    started = time.perf_counter()
    outcomes = resolve(ENGINES, engine, "engine")(worker, cells, Resources())
    with contextlib.closing(outcomes) as found:
        times = [time.perf_counter() for _ in _checked(found)]
    assert len(times) == len(cells)
    # Ray's workers start one after another: the second half has all of them
    half = len(times) // 2
    return times[0] - started, (times[-1] - times[half]) / (len(times) - half - 1)


def _checked(outcomes: Iterator[Outcome]) -> Iterator[Outcome]:
    for outcome in outcomes:
        assert not outcome.error, outcome.error
        assert not outcome.computed
        yield outcome


def study_seconds(num_encoders: int, num_tasks: int, root: Path) -> tuple[float, float]:
    """Return seconds a cell of a study and of a plain loop over the same probes."""
    tasks = tuple(
        replace(TASK, name=f"t{n}", learning_rate=1e-3 * (n + 1)) for n in range(num_tasks)
    )
    encoders = tuple(
        EncoderSpec(spec="random:resnet20", name=f"e{n}", seed=n) for n in range(num_encoders)
    )
    settings = ProbeSettings(protocol="paper", resamples=10)
    plan = StudyPlan(name="busy", summary="", tasks=tasks, encoders=encoders, probe=settings)
    compute = choose("cpu", threads=1)
    started = time.perf_counter()
    table = run_study(plan, root / "study", compute=compute)
    study = time.perf_counter() - started
    assert len(table) == num_encoders * num_tasks
    started = time.perf_counter()
    plain_loop(plan, StudyFolder(root / "loop"), compute)
    loop = time.perf_counter() - started
    return study / len(table), loop / len(table)


def plain_loop(plan: StudyPlan, folder: StudyFolder, compute) -> None:
    from vireo.encoders import open_encoder

    for spec in plan.encoders:
        encoder = open_encoder(encoder_spec(plan, folder, spec.name)).freeze()
        for task in plan.tasks:
            probe(encoder, task, plan.probe, store=folder.root, compute=compute)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cells", type=int, default=2000)
    parser.add_argument(
        "--study", type=int, nargs=2, default=(32, 32), metavar=("ENCODERS", "TASKS")
    )
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--engines", nargs="+", default=["serial", "ray"])
    options = parser.parse_args()
    found: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as name:
        worker = finished_runs(options.cells, Path(name) / "idle")
        for engine in options.engines:
            rounds = [engine_seconds(engine, worker) for _ in range(options.rounds)]
            starts, cells = zip(*rounds, strict=True)
            found[engine] = {
                "start_seconds": round(statistics.median(starts), 3),
                "seconds_per_cell": round(statistics.median(cells), 6),
                "seconds_per_cell_worst": round(max(cells), 6),
            }
        console.hush(True)
        study, loop = study_seconds(*options.study, Path(name))
        console.hush(False)
    result = {
        "cells": options.cells,
        "rounds": options.rounds,
        "engines": found,
        "study_cells": options.study[0] * options.study[1],
        "study_seconds_per_cell": round(study, 5),
        "plain_loop_seconds_per_cell": round(loop, 5),
        "cores": usable_cores(),
        "machine": platform.processor() or platform.machine(),
        "versions": versions(),
    }
    files.write_json(RESULT, result)
    console.say(f"{found}; a study {study:.4f} s a cell, a plain loop {loop:.4f}: {RESULT}")


if __name__ == "__main__":
    main()
