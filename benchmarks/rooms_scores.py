"""Do the tasks of rooms tell encoders apart? Each one's score from knowing nothing to all it can.

What: for every task of rooms, the best constant answer; frozen random weights and a frozen trained
    encoder under the protocol "tuned"; and the trained encoder trained on with its head, the whole
    network at the task's rate or a share of it.
Run: python benchmarks/rooms_scores.py --trained file:../shared/weights/resnet20-12fca82f.th
    Rows that are there are not computed again; a line a task is added to the file of results.
Hardware, versions: in the rows under --folder; n, seeds: in every line.
"""

import argparse
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from vireo import devices
from vireo.encoders import open_encoder
from vireo.probe import probe
from vireo.records import EncoderSpec, ProbeSettings, Task
from vireo.tasks import TASKS, find_task

FROZEN = ProbeSettings(learning_rates=(0.3, 1.0, 3.0, 10.0), weight_decays=(1e-4,))
EPOCHS = 15
"""Of a network that is trained end to end on an image-level task."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trained", required=True, help="a spec: file:PATH, run:DIR, ...")
    parser.add_argument("--random", default="random:resnet20")
    parser.add_argument("--tasks", nargs="+", default=[n for n in TASKS if n.startswith("rooms-")])
    parser.add_argument("--encoder-rate", type=float, default=1.0, help="end to end, x the head's")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--folder", type=Path, default=Path("runs/rooms-scores"))
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/rooms_scores.jsonl"))
    options = parser.parse_args()
    options.out.parent.mkdir(parents=True, exist_ok=True)
    for name in options.tasks:
        line = {"task": name, "encoder_rate": options.encoder_rate} | dict(
            scores(find_task(name), options)
        )
        with options.out.open("a") as out:
            out.write(json.dumps(line) + "\n")
        print(json.dumps(line), flush=True)


def scores(task: Task, options: argparse.Namespace) -> Iterator[tuple[str, object]]:
    """Yield what is noted of `task`: scores with their intervals."""
    compute = devices.choose("auto", threads=options.threads)
    whole = task if task.max_steps else replace(task, epochs=EPOCHS)
    asked = {
        "random": (options.random, task, FROZEN),
        "trained": (options.trained, task, FROZEN),
        "end_to_end": (
            options.trained,
            whole,
            ProbeSettings(protocol="fine-tune", encoder_rate=options.encoder_rate),
        ),
    }
    for kind, (spec, question, settings) in asked.items():
        encoder = open_encoder(EncoderSpec(spec=spec))
        (row,) = probe(encoder, question, settings, store=options.folder, compute=compute)
        if kind == "random":
            yield "floor", round(row.floor, 4)
            yield "n", row.n
        yield kind, [round(value, 4) for value in (row.score, row.low, row.high)]


if __name__ == "__main__":
    main()
