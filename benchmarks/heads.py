"""Many linear heads together, or one after the other.

What: the tuned protocol's grid of linear heads (18 rates and decays) on one matrix of features,
trained as one batched matrix product with one optimiser, against the same heads trained one after
the other by nn.Linear and torch.optim.AdamW. Same batches, rates and steps; results agree to 1e-3.
How: .venv/bin/python benchmarks/heads.py   (under a minute; trials of both kinds are interleaved,
after a warm-up of each; one thread, process time, so that other work on the machine counts less)
Result: benchmarks/results/heads.json, written with hardware, versions and every trial.
"""

import json
import platform
import statistics
import time
from pathlib import Path

import torch
from torch import nn

from vireo.devices import choose, versions
from vireo.probe import linear

HEADS, CLASSES, DIM, EXAMPLES, EPOCHS, BATCH, TRIALS = 18, 10, 64, 1150, 2, 32, 7


def main() -> None:
    choose(device="cpu", precision="float32", threads=1)
    draw = torch.Generator().manual_seed(0)
    labels = torch.randint(CLASSES, (EXAMPLES,), generator=draw)
    features = torch.randn(EXAMPLES, DIM, generator=draw)
    features[:, :CLASSES] += 2 * nn.functional.one_hot(labels, CLASSES)
    rates, decays = linear.configurations(3e-4, (0.1, 0.3, 1.0, 3.0, 10.0, 30.0), (0.0, 1e-4, 1e-2))
    plan = linear.Plan(
        rates=rates,
        decays=decays,
        seeds=(0,),
        epochs=EPOCHS,
        batch_size=BATCH,
        digest="benchmark",
        cosine=False,
    )
    first = nn.Linear(DIM, CLASSES)
    kinds = {"together": together, "one after the other": one_after_the_other}
    results = {name: kind(features, labels, first, plan) for name, kind in kinds.items()}
    torch.testing.assert_close(*results.values(), rtol=1e-3, atol=1e-3)
    seconds: dict[str, list[float]] = {name: [] for name in kinds}
    for _ in range(TRIALS):
        for name, kind in kinds.items():
            start = time.process_time()
            kind(features, labels, first, plan)
            seconds[name].append(time.process_time() - start)
    report(seconds)


def together(features, labels, first, plan):
    """All heads in one product; returns weights [heads, classes, dim + 1]."""
    start = torch.zeros_like(linear.pad(first.weight.detach()))
    start[:, :DIM], start[:, DIM] = first.weight.detach(), first.bias.detach()
    return linear.train(linear.pad(features), labels, start[None], plan)[0, ..., : DIM + 1]


def one_after_the_other(features, labels, first, plan):
    """The plain way, with torch's fused optimiser."""
    trained = []
    for rate, decay in zip(plan.rates, plan.decays, strict=True):
        layer = nn.Linear(DIM, CLASSES)
        layer.load_state_dict(first.state_dict())
        optimizer = torch.optim.AdamW(layer.parameters(), lr=rate, weight_decay=decay, fused=True)
        for epoch in range(plan.epochs):
            order = torch.from_numpy(linear.permutation(plan.digest, 0, epoch, len(labels)))
            for chosen in torch.split(order, plan.batch_size):
                optimizer.zero_grad()
                loss = nn.functional.cross_entropy(layer(features[chosen]), labels[chosen])
                loss.backward()
                optimizer.step()
        trained.append(torch.cat([layer.weight.detach(), layer.bias.detach()[:, None]], dim=1))
    return torch.stack(trained)


def report(seconds):
    medians = {name: statistics.median(trials) for name, trials in seconds.items()}
    ratio = medians["one after the other"] / medians["together"]
    result = {
        "what": "18 linear heads together, and one after the other",
        "setting": {"heads": HEADS, "classes": CLASSES, "dim": DIM, "examples": EXAMPLES}
        | {"epochs": EPOCHS, "batch_size": BATCH, "threads": 1, "clock": "process time"},
        "seconds": seconds,
        "median_seconds": medians,
        "ratio": ratio,
        "hardware": f"{platform.machine()}, {processor()}",
        "versions": versions(),
    }
    path = Path(__file__).parent / "results" / "heads.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(result, indent=2) + "\n")
    print(f"{medians}: {ratio:.1f} times; written to {path}")


def processor():
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


if __name__ == "__main__":
    main()
