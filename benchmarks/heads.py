"""Many linear heads together, or one after the other.

What: the tuned protocol's grid of linear heads (18 rates and decays) on one matrix of features,
    trained as one batched matrix product with one optimiser, against the same heads trained one
    after the other by nn.Linear and torch.optim.AdamW (fused). Same batches, rates and steps;
    the weights agree to 1e-3. Three sizes: a small encoder's, a ResNet-18's and a ResNet-50's
    feature, since the ratio falls from the cost of calls to the cost of arithmetic.
How: trials of both kinds are interleaved, after a warm-up of each; one thread, process time.
Run: python benchmarks/heads.py        (under a minute; writes benchmarks/results/heads.json)
Result (n = 5, medians, one core of an AMD EPYC, torch 2.14.1):

    classes  dim    together   one by one   ratio
    10       64     0.0097 s   0.183 s      18.8
    100      512    0.241 s    0.347 s       1.4
    100      2048   0.270 s    0.289 s       1.1

Where calls cost more than arithmetic, together wins by the number of heads; where arithmetic is
all, it cannot. Before heads were grouped by what the cache holds, the last ratio was 0.8.
"""

import json
import platform
import statistics
import time
from pathlib import Path
from typing import NamedTuple

import torch
from torch import nn

from vireo.devices import choose, versions
from vireo.probe.grid import product
from vireo.probe.many_heads import ManyLinear, pad, padded_length
from vireo.probe.training import Fit, Plan, permutation, train

TRIALS = 5


class Size(NamedTuple):
    """One setting of the comparison."""

    classes: int
    dim: int
    examples: int = 1150
    epochs: int = 2
    batch_size: int = 32


SIZES = (Size(10, 64), Size(100, 512), Size(100, 2048, 320))


def main() -> None:
    choose(device="cpu", precision="float32", threads=1)
    results = [compare(size) for size in SIZES]
    path = Path(__file__).parent / "results" / "heads.json"
    facts = {"results": results, "threads": 1, "clock": "process time", "versions": versions()}
    path.write_text(json.dumps(facts | {"hardware": platform.processor()}, indent=2) + "\n")


def compare(size):
    """Time both ways on one size, and check that they train the same heads."""
    torch.manual_seed(0)
    labels = torch.randint(size.classes, (size.examples,))
    features = torch.randn(size.examples, size.dim)
    features[:, : size.classes] += 2 * nn.functional.one_hot(labels, size.classes)[:, : size.dim]
    plan = Plan(
        configurations=product(3e-4, (0.1, 0.3, 1.0, 3.0, 10.0, 30.0), (0.0, 1e-4, 1e-2)),
        seeds=(0,),
        loss="cross-entropy",
        epochs=size.epochs,
        batch_size=size.batch_size,
        digest="benchmark",
        cosine=False,
    )
    first = nn.Linear(size.dim, size.classes)
    kinds = {"together": together, "one after the other": one_after_the_other}
    trained = {name: kind(features, labels, first, plan) for name, kind in kinds.items()}
    torch.testing.assert_close(*trained.values(), rtol=1e-3, atol=1e-3)
    seconds = {name: [] for name in kinds}
    for _ in range(TRIALS):
        for name, kind in kinds.items():
            start = time.process_time()
            kind(features, labels, first, plan)
            seconds[name].append(time.process_time() - start)
    return summary(size, len(plan.configurations), seconds)


def together(features, labels, first, plan):
    """All heads in one product; returns weights [heads, classes, dim + 1]."""
    dim = features.shape[1]
    start = torch.zeros(1, len(first.weight), padded_length(dim))
    start[0, :, :dim], start[0, :, dim] = first.weight.detach(), first.bias.detach()
    (weights,) = train(ManyLinear(), Fit(pad(features[:, None]), labels), (start,), plan)
    return weights[0].transpose(0, 1)[..., : dim + 1]


def one_after_the_other(features, labels, first, plan):
    """The plain way, with torch's fused optimiser."""
    trained = []
    for each in plan.configurations:
        layer = nn.Linear(first.in_features, first.out_features)
        layer.load_state_dict(first.state_dict())
        optimizer = torch.optim.AdamW(
            layer.parameters(), lr=each.rate, weight_decay=each.decay, fused=True
        )
        for epoch in range(plan.epochs):
            order = torch.from_numpy(permutation(plan.digest, 0, epoch, len(labels)))
            for chosen in torch.split(order, plan.batch_size):
                optimizer.zero_grad()
                loss = nn.functional.cross_entropy(layer(features[chosen]), labels[chosen])
                loss.backward()
                optimizer.step()
        trained.append(torch.cat([layer.weight.detach(), layer.bias.detach()[:, None]], dim=1))
    return torch.stack(trained)


def summary(size, heads, seconds):
    """Return one line of the results, and print it."""
    medians = {name: statistics.median(trials) for name, trials in seconds.items()}
    ratio = medians["one after the other"] / medians["together"]
    print(f"{heads} heads, {size}: {medians}, ratio {ratio:.1f}")
    return {"heads": heads, **size._asdict(), "median_seconds": medians, "seconds": seconds} | {
        "ratio": ratio
    }


if __name__ == "__main__":
    main()
