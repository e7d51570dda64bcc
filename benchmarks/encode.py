"""How much of a network's own speed the encoding loop keeps.

What: images a second through `features.encode` (images in memory as bytes: fetch, stack, send,
    normalise, forward, check, collect), as a share of the bare forward pass on a ready tensor. Same
    network, batch size, precision and memory format. Decoding is left out on purpose: it is
    the loader's benchmark, and runs in workers beside this.
How: `python benchmarks/encode.py [--device auto] [--architecture resnet18] [--side 112]`. After one
    warm-up of each, the two take turns, so that other load on the machine falls on both; the share
    is taken within each round, and its median and range over rounds are reported. On a CPU: one
    thread and CPU seconds, so that the figures are per core; on a GPU: wall seconds.
n: 7 rounds, under a minute.
Hardware: one core of an AMD EPYC (AVX-512, bfloat16) with 2, shared with other work (load 8).
Versions: Python 3.11.7, torch 2.14.1, torchvision 0.29.1, NumPy 2.4.6.
Result (n = 7): benchmarks/results/encode.json. ResNet-18 at 112 px, batches of 16: 256 of 282
    images a second, a share of 0.92 (0.86 to 0.93); the goal is 0.9. Normalising is 0.04 of it,
    hashing the weights once 0.02. Nothing is claimed for a GPU: none was here.
"""

import argparse
import platform
import statistics
import time
from pathlib import Path

import torch
from in_memory import InMemory

from vireo import console, files
from vireo.devices import Compute, choose, versions
from vireo.encoders import Encoder, build
from vireo.features import encode

RESULT = Path(__file__).parent / "results" / "encode.json"
ROUNDS = 7


def bare_seconds(encoder: Encoder, images: torch.Tensor, num_batches: int, compute: Compute):
    started = seconds(compute)
    with torch.inference_mode(), compute.autocast():
        for _ in range(num_batches):
            encoder.backbone(images, False)
    if compute.device.startswith("cuda"):
        torch.cuda.synchronize()
    return seconds(compute) - started


def loop_seconds(encoder: Encoder, source: InMemory, options: argparse.Namespace, compute: Compute):
    started = seconds(compute)
    encode(
        encoder,
        source,
        size=(options.side, options.side),
        store=None,
        split="test",
        compute=compute,
        batch_size=options.batch_size,
        workers=options.workers,
    )
    return seconds(compute) - started


def seconds(compute: Compute) -> float:
    return time.perf_counter() if compute.device.startswith("cuda") else time.process_time()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="auto")
    parser.add_argument("--architecture", default="resnet18")
    parser.add_argument("--side", type=int, default=112)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--batches", type=int, default=16)
    parser.add_argument("--workers", type=int, default=0)
    options = parser.parse_args()
    compute = choose(options.device, "auto", threads=1)
    encoder = build(options.architecture).freeze()
    encoder.to(compute.torch_device, memory_format=compute.memory_format)
    source = InMemory(options.batches * options.batch_size, options.side)
    images = torch.rand(options.batch_size, 3, options.side, options.side)
    images = images.to(compute.torch_device, memory_format=compute.memory_format)
    rounds = []
    for number in range(ROUNDS + 1):
        bare = bare_seconds(encoder, images, options.batches, compute)
        loop = loop_seconds(encoder, source, options, compute)
        if number:
            rounds.append((len(source) / bare, len(source) / loop, bare / loop))
    bares, loops, shares = zip(*rounds, strict=True)
    result = {
        "architecture": options.architecture,
        "side": options.side,
        "batch_size": options.batch_size,
        "workers": options.workers,
        "rounds": ROUNDS,
        "bare_images_per_second": round(statistics.median(bares), 1),
        "loop_images_per_second": round(statistics.median(loops), 1),
        "share": round(statistics.median(shares), 4),
        "share_range": [round(min(shares), 4), round(max(shares), 4)],
        "device": compute.reason,
        "precision": compute.precision,
        "threads": compute.threads,
        "machine": platform.processor() or platform.machine(),
        "versions": versions(),
    }
    files.write_json(RESULT, result)
    console.say(
        f"{result['loop_images_per_second']} of {result['bare_images_per_second']} images/s:"
        f" share {result['share']} {result['share_range']}, written to {RESULT}"
    )


if __name__ == "__main__":
    main()
