"""Made-up rows, with names that break careless code too, and what exports should hold of them."""

import json

import numpy as np

from vireo.digest import digest
from vireo.records import Cost, ResultRow, RowKey

OUTCOMES = {"index": np.arange(4), "correct": np.array([True, False, True, True])}
GALLERY = {"image": np.zeros((2, 3, 3, 3), np.uint8), "truth": np.array([1, 2])}


def make_row(seed: int = 0, **changes) -> ResultRow:
    key = RowKey(encoder="e", task="t", protocol="p", scoring="standard", seed=seed)
    cost = Cost(
        seconds=1.5,
        images_per_second=10.0,
        flops=3,
        peak_memory_bytes=4,
        device="cpu",
        threads=1,
    )
    facts = {
        "key": key,
        "encoder": "resnet20",
        "method": "supervised",
        "pretraining_set": "cifar10",
        "images": 50000,
        "epochs": None,
        "steps": 78200,
        "balance": "balanced",
        "recipe": "0123456789abcdef",
        "architecture": "resnet20",
        "parameters": 7,
        "encoder_flops": 11,
        "task": "digits",
        "dataset": "digits",
        "family": "semantic-image",
        "metric": "top-1",
        "unit": "share",
        "protocol": "paper",
        "score": 0.1 + 0.2,
        "raw": 0.1 + 0.2,
        "low": 0.1,
        "high": 0.4,
        "n": 10,
        "floor": 0.1,
        "metrics": {"macro-accuracy": 1 / 3},
        "hyperparameters": {"epochs": 3, "features": "cached", "learning_rate": 3e-4},
        "cost": cost,
        "versions": {"torch": "2"},
        "time": "2026-01-01T00:00:00+00:00",
    }
    return ResultRow(**(facts | changes))


HOSTILE = (
    "resnet20",
    "Robert'); DROP TABLE vireo_results;--",
    '=1+1,"quoted"',
    "two\r\nlines and\ttabs",
    "return\ralone",
    "NA",
    "%(encoder)s :encoder ?",
    "größer 网络 \U0001f426",
    "<img onerror=alert(1)>",
)


def hostile_rows():
    """One row a name, with and without the facts that may be unknown."""
    for number, name in enumerate(HOSTILE):
        key = RowKey(encoder=f"e{number}", task="t", protocol="p", scoring="standard", seed=number)
        unknown = dict.fromkeys(("images", "steps", "encoder_flops", "epochs")) | {"recipe": ""}
        facts = unknown if number % 2 else {"images": 2**53 + 1, "epochs": 0.1 + 0.2}
        yield make_row(**{**facts, "key": key, "encoder": name, "metrics": {name: 1 / 3}})


def facts_of(row):
    """Every column by hand, from the row's own attributes."""
    plain = (
        "encoder method pretraining_set images epochs steps balance recipe architecture parameters "
        "encoder_flops task dataset family metric unit protocol score raw low high n floor time"
    )
    return {
        **{name: getattr(row, name) for name in plain.split()},
        "scoring": row.key.scoring,
        "seed": row.key.seed,
        "digest": digest(row.key),
        "encoder_digest": row.key.encoder,
        "task_digest": row.key.task,
        "protocol_digest": row.key.protocol,
        "seconds": row.cost.seconds,
        "images_per_second": row.cost.images_per_second,
        "flops": float(row.cost.flops),
        "peak_memory_bytes": row.cost.peak_memory_bytes,
        "device": row.cost.device,
        "threads": row.cost.threads,
        "metrics": dict(row.metrics),
        "hyperparameters": dict(row.hyperparameters),
        "versions": dict(row.versions),
    }


def expected():
    return sorted(map(facts_of, hostile_rows()), key=lambda line: line["digest"])


def parsed(line):
    return line | {
        name: json.loads(line[name]) for name in ("metrics", "hyperparameters", "versions")
    }
