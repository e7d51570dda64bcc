"""How much of a training step is the network itself, for every method.

What: images a second through a whole step (momentum network, forward, loss, backward, optimiser,
    queue), as a share of the bare passes that the method cannot do without: the encoder forward and
    backward on the views that teach it, forward alone on those of its momentum network. Network,
    views, precision and memory format are the same. Views are random and already made: making them
    is the benchmark of views.
How: `python benchmarks/train_step.py [--architecture resnet18] [--side 64] [--batch 32]`. After one
    warm-up of each, the two take turns; the share is taken within each round, and its median and
    range over rounds are reported. On a CPU: one thread and CPU seconds; on a GPU: wall seconds.
n: 7 rounds of one step a method, 80 s in all.
Hardware: one core of an AMD EPYC (AVX-512, bfloat16) with 2, the other partly busy.
Versions: Python 3.11.7, torch 2.14.1, torchvision 0.29.1.
Result (n = 7, medians): benchmarks/results/train_step.json. ResNet-18 at 64 px, batches of 32:
    PIRL .97, MoCo v1 .98, v2 .93, Exemplar-v2 .94, DeepCluster-v2 .94, supervised .92, SwAV .91,
    NPID .89, DINO .86, SimSiam .83, SimCLR .78, BYOL .69, Barlow Twins .54, VICReg .53; the goal is
    .85. What is below it pays for optimiser and momentum over all weights and for wide heads, which
    a batch of 32 does not hide: with 128 (train_step_128.json) SimSiam has 1.01, SimCLR .96, BYOL
    .96, DINO .89, Barlow Twins .86, VICReg .82 (their heads are 2048 wide here). Nothing is claimed
    for a GPU: none was here.
"""

import argparse
import platform
import statistics
import time
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from vireo import console, files
from vireo.data.batch import ViewBatch
from vireo.data.views.draws import grouped_views, single_views
from vireo.devices import Compute, choose, versions
from vireo.encoders import build
from vireo.methods import METHODS, find_method
from vireo.methods.building import build_method, method_settings
from vireo.methods.method import Method, Progress
from vireo.pretrain.loop import train_step
from vireo.pretrain.optimizers import Optimizer

RESULT = Path(__file__).parent / "results" / "train_step.json"
ROUNDS = 7
START = 100  # the first step of an epoch; rounds are those after it
NUM_EXAMPLES = 10_000
# Views of the first group that a momentum network alone sees, and methods whose momentum network
# sees the whole first group besides.
KEYS_ALONE = {"moco-v1": 1, "moco-v2": 1, "exemplar-v2": 1}
TWIN = {"byol", "dino"}
HEADS = {
    "barlow-twins": 2048,
    "vicreg": 2048,
}  # their 8192 would be the whole cost of a small network


def options_of(name: str, batch: int) -> dict[str, int]:
    fields = find_method(name).Settings.__dataclass_fields__
    wanted = {"queue_size": 64 * batch, "prototypes": 300, "num_negatives": 4096}
    if name in HEADS:
        wanted |= {"dimension": HEADS[name], "hidden_size": HEADS[name]}
    return {key: value for key, value in wanted.items() if key in fields}


def make(name: str, options: argparse.Namespace, compute: Compute) -> Method:
    kind = find_method(name)
    settings = method_settings(kind, options.side, options_of(name, options.batch))
    encoder = build(options.architecture, input_size=(options.side, options.side))
    method = build_method(
        kind, encoder, settings, num_examples=NUM_EXAMPLES, num_classes=10, seed=0
    )
    return method.to(memory_format=compute.memory_format).to(compute.torch_device).train()


def random_batch(method: Method, batch: int, compute: Compute) -> ViewBatch:
    views, device = single_views(method.views), compute.torch_device
    sides = [(len(group), views[group[0]].side) for group in grouped_views(method.views)]
    jigsaw = method.views.jigsaw
    patch = None if jigsaw is None else jigsaw.side
    return ViewBatch(
        groups=tuple(torch.randn(n, batch, 3, side, side, device=device) for n, side in sides),
        index=torch.arange(batch, device=device),
        label=torch.arange(batch, device=device) % 10,
        patches=patch and torch.randn(batch, 9, 3, patch, patch, device=device),
    )


def bare_passes(name: str, batch: ViewBatch) -> tuple[list[Tensor], list[Tensor]]:
    """Return the images that teach the encoder, and those that only a momentum network sees."""
    groups = [group.flatten(0, 1) for group in batch.groups]
    if batch.patches is not None:
        groups.append(batch.patches.flatten(0, 1))
    if name in KEYS_ALONE:
        keys = KEYS_ALONE[name] * len(batch.index)
        return [groups[0][:-keys], *groups[1:]], [groups[0][-keys:]]
    return groups, groups[:1] if name in TWIN else []


def bare_seconds(encoder: nn.Module, passes: tuple[list[Tensor], list[Tensor]], compute: Compute):
    taught, seen = passes
    started = seconds(compute)
    with compute.autocast():
        total = sum(encoder(images).pooled.float().sum() for images in taught)
        with torch.no_grad():
            for images in seen:
                encoder(images)
    total.backward()
    encoder.zero_grad(set_to_none=True)
    return settled(started, compute)


def step_seconds(
    method: Method, optimizer: Optimizer, batch: ViewBatch, *, compute: Compute, number: int
) -> float:
    started = seconds(compute)
    now = Progress(step=START + number, num_steps=1000, epoch=2, num_epochs=20, digest="benchmark")
    train_step(method, optimizer, batch, now, compute=compute)
    return settled(started, compute)


def seconds(compute: Compute) -> float:
    return time.perf_counter() if compute.device.startswith("cuda") else time.process_time()


def settled(started: float, compute: Compute) -> float:
    if compute.device.startswith("cuda"):
        torch.cuda.synchronize()
    return seconds(compute) - started


def measure(name: str, options: argparse.Namespace, compute: Compute) -> dict[str, object]:
    method = make(name, options, compute)
    optimizer = Optimizer(method, find_method(name).published_optimizer(options.batch))
    batch = random_batch(method, options.batch, compute)
    if method.needs_first_pass:
        for part in range(10):
            method.first_pass(replace(batch, index=batch.index + part * options.batch))
    passes = bare_passes(name, batch)
    rounds = [
        (
            bare_seconds(method.encoder, passes, compute),
            step_seconds(method, optimizer, batch, compute=compute, number=number),
        )
        for number in range(ROUNDS + 1)
    ][1:]
    shares = [bare / step for bare, step in rounds]
    return {
        "images_per_second": round(
            options.batch / statistics.median(step for _, step in rounds), 1
        ),
        "share": round(statistics.median(shares), 3),
        "range": [round(min(shares), 3), round(max(shares), 3)],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="auto")
    parser.add_argument("--architecture", default="resnet18")
    parser.add_argument("--side", type=int, default=64)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--out", type=Path, default=RESULT)
    parser.add_argument("--methods", nargs="*", default=list(METHODS))
    options = parser.parse_args()
    compute = choose(options.device, threads=1)
    found = {}
    for name in options.methods:
        found[name] = measure(name, options, compute)
        console.say(f"{name}: {found[name]}")
    facts = {
        "device": compute.device,
        "precision": compute.precision,
        "processor": platform.processor() or platform.machine(),
        "versions": versions(),
        "options": {k: v for k, v in vars(options).items() if k not in ("methods", "out")},
        "rounds": ROUNDS,
    }
    files.write_json(options.out, {**facts, "methods": found})


if __name__ == "__main__":
    main()
