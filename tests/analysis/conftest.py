"""Synthetic tables of results, with the columns of the store."""

import numpy as np
import pandas as pd
import pytest

from vireo.analysis.table import with_facts

UNITS = {"digits": "share", "count": "share", "depth": "m"}


def make_table(encoders=("random", "moco", "swav", "supervised"), seeds=3, tasks=UNITS, draw=0):
    """Scores with structure: the k-th encoder is better by .1 k, seeds scatter by .02."""
    generator = np.random.default_rng(draw)
    rows = []
    for rank, encoder in enumerate(encoders):
        for task, unit in tasks.items():
            for seed in range(seeds):
                raw = 0.3 + 0.1 * rank * generator.uniform(0.5, 1) + 0.02 * generator.normal()
                score = raw if unit == "share" else raw - 1.5
                rows.append(
                    {
                        "encoder": encoder,
                        "method": encoder,
                        "pretraining_set": "none" if encoder == "random" else "rooms",
                        "images": 1000,
                        "epochs": 10.0,
                        "balance": "balanced",
                        "recipe": "",
                        "architecture": "resnet20",
                        "task": task,
                        "family": "semantic-image",
                        "metric": "top-1" if unit == "share" else "l1",
                        "unit": unit,
                        "protocol": "tuned",
                        "scoring": "standard",
                        "seed": seed,
                        "score": score,
                        "raw": abs(score),
                        "low": score - 0.03,
                        "high": score + 0.02,
                        "n": 200,
                        "floor": 0.1 if unit == "share" else -2.0,
                        "digest": f"{encoder}-{task}-{seed}",
                    }
                )
    return with_facts(pd.DataFrame(rows), baseline="random")


@pytest.fixture
def table():
    return make_table()
