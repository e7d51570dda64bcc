"""What CKA costs as images, blocks and encoders grow, and what encoding each encoder once saves.

What: seconds of `similarity.compare`, images in memory as bytes, nothing stored before. Three
    series around one point: images at two encoders; blocks (ResNet-20, 32, 44, one encoder); E
    encoders in one pass, beside the same E compared pair by pair, E (E - 1) / 2 times with nothing
    kept in between. Beside them operations and bytes by `costs`, of this and of the published
    comparison (30 ResNet-50, 10,000 images at 112), which was not run.
How: `python benchmarks/similarity.py [--device auto] [--side 32] [--most 400]`. After one warm-up
    the points of a series take turns, so that other load on the machine falls on all of them. On a
    CPU: one thread and CPU seconds, so that the figures are per core; on a GPU: wall seconds.
n: 3 rounds; two minutes of one core.
Hardware: one core of an AMD EPYC (AVX-512, bfloat16) with 2, shared with other work (load 12).
Versions: Python 3.11.7, torch 2.14.1, torchvision 0.29.1, NumPy 2.4.6.
Result (n = 3): benchmarks/results/similarity.json. ResNet-20 at 32 px, CPU seconds (least to most).
    Two encoders on 100, 200, 400 images: 0.79, 1.21, 2.14. One on 200 with 9, 15, 21 blocks: 0.55,
    0.91, 1.25. On 100 images 2, 3, 5 encoders in one pass: 0.72, 1.14, 2.09; pair by pair 0.73,
    2.21, 7.59. At these sizes forward passes are most of it (16 GFLOP of 19 at 200 images). The
    published comparison needs 1.4e14 operations of Gram matrices an encoder, 29 passes in 4 GiB
    (each as deep as needed, 2.0e13 a full one), 1.2e13 for all pairs of 30 and 3.0 GiB an encoder
    on disk; it was not run, and nothing was on a GPU.
"""

import argparse
import itertools
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from in_memory import InMemory

from vireo import console, files
from vireo.devices import Compute, choose, versions
from vireo.encoders import build
from vireo.similarity.blocks import find_blocks
from vireo.similarity.compare import compare
from vireo.similarity.costs import gram_flops, stored_bytes
from vireo.similarity.passes import capacity, plan_passes
from vireo.similarity.settings import SimilaritySettings

RESULT = Path(__file__).parent / "results" / "similarity.json"
ROUNDS = 3


def seconds(compute: Compute) -> float:
    return time.perf_counter() if compute.device.startswith("cuda") else time.process_time()


def encoders(count: int, architecture: str = "resnet20") -> dict[str, Callable]:
    return {f"e{k}": lambda k=k: build(architecture, seed=k) for k in range(count)}


def together(openers: dict[str, Callable], count: int, side: int, compute: Compute) -> float:
    with tempfile.TemporaryDirectory() as folder:
        started = seconds(compute)
        settings = SimilaritySettings(side=side)
        images = InMemory(count, side), "train"
        compare(openers, images, settings, root=Path(folder), compute=compute)
        return seconds(compute) - started


def pair_by_pair(openers: dict[str, Callable], count: int, side: int, compute: Compute) -> float:
    pairs = itertools.combinations(openers, 2)
    return sum(
        together({name: openers[name] for name in pair}, count, side, compute) for pair in pairs
    )


def in_turn(points: dict[str, Callable[[], float]]) -> dict[str, dict[str, float]]:
    """Run every point once a round; the first point warms up."""
    taken: dict[str, list[float]] = {name: [] for name in points}
    next(iter(points.values()))()
    for _ in range(ROUNDS):
        for name, point in points.items():
            taken[name].append(point())
    return {
        name: {
            "seconds": round(statistics.median(values), 2),
            "least": round(min(values), 2),
            "most": round(max(values), 2),
        }
        for name, values in taken.items()
    }


def operations(architecture: str, count: int, side: int, *, members: int) -> dict[str, float]:
    """Return GFLOP and bytes of a comparison, by `costs` and the network's own count."""
    encoder = build(architecture)
    blocks = find_blocks(encoder, side, pooled=False)
    widths = [block.width for block in blocks]
    size = encoder.card.input_size
    forward = encoder.card.flops * side**2 / (size[0] * size[1]) * count
    room = capacity(count, SimilaritySettings(side=side, memory_gib=4))
    pairs = members * len(widths)
    return {
        "blocks": len(widths),
        "columns": sum(widths),
        "forward_gflop_a_pass": round(forward / 1e9),
        "passes_in_4_gib": len(plan_passes(count, blocks, room)),
        "gram_gflop_an_encoder": round(count**2 * sum(widths) / 1e9),
        "pairs_gflop": round(gram_flops(count, widths * members) / 1e9)
        - round(count**2 * sum(widths) * members / 1e9),
        "pairs_of_blocks": pairs * (pairs + 1) // 2,
        "stored_gib_an_encoder": round(sum(stored_bytes(count, w) for w in widths) / 2**30, 2),
        "features_gib_an_encoder": round(4 * count * sum(widths) / 2**30, 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="auto")
    parser.add_argument("--side", type=int, default=32)
    parser.add_argument("--most", type=int, default=400, help="images of the largest point")
    options = parser.parse_args()
    compute = choose(options.device, "float32", threads=1)
    side, most = options.side, options.most
    half = most // 2
    series = {
        "images": {
            str(n): lambda n=n: together(encoders(2), n, side, compute)
            for n in (most // 4, half, most)
        },
        "blocks": {
            name: lambda name=name: together(encoders(1, name), half, side, compute)
            for name in ("resnet20", "resnet32", "resnet44")
        },
        "encoders": {
            f"{count} {how.__name__}": lambda count=count, how=how: how(
                encoders(count), half // 2, side, compute
            )
            for count in (2, 3, 5)
            for how in (together, pair_by_pair)
        },
    }
    result = {name: in_turn(points) for name, points in series.items()}
    result |= {
        "images_of_blocks": half,
        "images_of_encoders": half // 2,
        "side": side,
        "rounds": ROUNDS,
        "resnet20": operations("resnet20", half, side, members=2),
        "published": operations("resnet50", 10_000, 112, members=30),
        "device": compute.reason,
        "threads": compute.threads,
        "versions": versions(),
    }
    files.write_json(RESULT, result)
    console.say(f"written to {RESULT}")


if __name__ == "__main__":
    main()
