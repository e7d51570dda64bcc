"""How fast rooms are rendered.

What:     frames per second of `ensure_split` (draw worlds, render RGB and all labels, draw empty
          frames again, write the files) with the default settings, of single frames, pairs with
          their flow, pairs of egomotion and clips, after a warm-up; n trials, each on other worlds;
          and the time to open a rendered split again.
Run:      python benchmarks/rooms.py [--trials 5] [--frames 320] [--out FILE]
Hardware: 2 CPU cores (AMD EPYC), 2 threads, nothing else running; no GPU.
Versions: in the result file.
Result:   benchmarks/results/rooms.json, n = 5, medians of frames per second (aim: 60 at 64 pixels).
          64 x 64 pixels, 2 x 2 rays: 181 (100 per core second); 1 ray: 499. 128 pixels: 57.
          224 pixels: 12. Sequences at 64 pixels: flow 131, egomotion 176, clips 172; clips at 224
          pixels: 14.
"""

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path

import torch

from vireo import devices, files
from vireo.console import say
from vireo.data.rooms.frames import ensure_split
from vireo.data.rooms.source import RoomsSource
from vireo.data.rooms.world import SEQUENCES, RoomsSettings


def time_frames(settings: RoomsSettings, trial: int, number: int) -> tuple[float, float]:
    """Frames per wall second, and per second of one core."""
    examples = max(1, number // SEQUENCES[settings.sequence])
    shown = examples * SEQUENCES[settings.sequence]
    with tempfile.TemporaryDirectory() as root:
        wall, cores = time.perf_counter(), time.process_time()
        ensure_split(Path(root) / "frames", settings, f"trial{trial}", examples)
        return shown / (time.perf_counter() - wall), shown / (time.process_time() - cores)


def measure(settings: RoomsSettings, trials: int, frames: int) -> dict[str, object]:
    time_frames(settings, trials, 8)
    rates = [time_frames(settings, trial, frames) for trial in range(trials)]
    wall, cores = ([round(rate, 1) for rate in kind] for kind in zip(*rates, strict=True))
    median = statistics.median(wall)
    say(
        f"{settings.sequence:9s} {settings.size:4d} px, {settings.samples} rays a side: "
        f"median {median:7.1f} frames/s, {statistics.median(cores):7.1f} a core"
    )
    return {
        "sequence": settings.sequence,
        "size": settings.size,
        "samples": settings.samples,
        "frames_per_trial": frames,
        "frames_per_second": wall,
        "frames_per_core_second": cores,
        "median_frames_per_second": median,
        "median_frames_per_core_second": statistics.median(cores),
    }


def measure_opening(trials: int) -> list[float]:
    """Milliseconds to open (and verify) 500 frames of 64 x 64 that are already rendered."""
    times = []
    with tempfile.TemporaryDirectory() as root:
        for _ in range(trials + 1):
            begin = time.perf_counter()
            RoomsSource(root=root, split="test", images=500)
            times.append(1000 * (time.perf_counter() - begin))
    return [round(value, 2) for value in times[1:]]


def main() -> None:
    parser = argparse.ArgumentParser(description="How fast rooms are rendered.")
    parser.add_argument("--trials", type=int, default=5)
    parser.add_argument("--frames", type=int, default=320)
    parser.add_argument(
        "--out", type=Path, default=Path(__file__).parent / "results" / "rooms.json"
    )
    options = parser.parse_args()
    cases = (
        *(
            ("single", 64, 2, 1),
            ("single", 64, 1, 1),
            ("single", 128, 2, 5),
            ("single", 224, 2, 20),
        ),
        *(("flow", 64, 2, 1), ("egomotion", 64, 2, 1), ("clip", 64, 2, 1), ("clip", 224, 2, 20)),
    )
    results = [
        measure(
            RoomsSettings(sequence=sequence, size=size, samples=samples),
            options.trials,
            max(2, options.frames // share),
        )
        for sequence, size, samples, share in cases
    ]
    facts = {
        "command": f"benchmarks/rooms.py --trials {options.trials} --frames {options.frames}",
        "cores": devices.usable_cores(),
        "threads": torch.get_num_threads(),
        "load_average": [round(load, 2) for load in os.getloadavg()],
        "versions": devices.versions(),
        "rendering": results,
        "open_500_frames_milliseconds": measure_opening(options.trials),
    }
    files.write_json(options.out, facts)


if __name__ == "__main__":
    main()
