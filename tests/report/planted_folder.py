"""A whole study's folder from a planted table: rows, galleries, runs, similarities."""

import json

import numpy as np
from tests.report.folders import make_gallery, make_outcomes, make_row

from vireo.digest import digest
from vireo.files import write_bytes, write_json
from vireo.store.folder import StudyFolder
from vireo.store.results import ResultStore

FACTS = (
    *("method", "pretraining_set", "balance", "recipe", "architecture", "parameters"),
    "encoder_flops",
    *("family", "metric", "unit", "protocol", "score", "raw", "low", "high", "n", "floor"),
)
KINDS = {
    "semantic-image": "digits",
    "structural-image": "rooms-count",
    "semantic-pixel": "rooms-foreground",
    "structural-pixel": "rooms-depth",
}


def fill_planted(root, table, *, skip=(), galleries=True):
    """Write `table` (of tests.analysis.planted) as `run_study` leaves a study."""
    folder, store = StudyFolder(root), ResultStore(StudyFolder(root).results)
    generator, cells = np.random.default_rng(5), {}
    for line in table.to_dict("records"):
        row = _row(line)
        names = cells.setdefault((line["encoder"], line["task"]), [])
        names.append(digest(row.key))
        if (line["encoder"], line["task"]) in skip:
            continue
        gallery = make_gallery(KINDS[line["family"]], generator) if galleries else None
        store.write(row, make_outcomes(row.metric, row.score, generator), gallery)
    baseline = table.loc[table["baseline"], "encoder"]
    plan = {
        "name": "planted",
        "summary": "30 made-up encoders on 21 tasks, with known effects",
        "baseline": "" if baseline.empty else str(baseline.iloc[0]),
        "probe": {"level": 0.95},
    }
    write_json(folder.plan, plan)
    write_json(
        folder.cells,
        [
            {"encoder": encoder, "task": task, "identity": "i", "rows": rows}
            for (encoder, task), rows in cells.items()
        ],
    )
    return root


def add_runs(root, names, *, epochs=20):
    """Add pre-training runs with logs and bills to a folder, and to its plan."""
    folder = StudyFolder(root)
    plan = json.loads(folder.plan.read_text()) | {"pretrain": {}}
    for number, name in enumerate(names):
        settings = {"method": name.split("-")[0], "epochs": epochs, "seed": number}
        plan["pretrain"][name] = settings
        run = folder.runs / f"{name}-{number:08x}"
        write_json(run / "recipe.json", {"settings": settings})
        lines = [_log_line(step, number, epochs) for step in range(1, 10 * epochs + 1)]
        write_bytes(
            run / "metrics.jsonl", "".join(json.dumps(line) + "\n" for line in lines).encode()
        )
        write_json(
            run / "cost.json",
            {
                "images": 1000 * epochs,
                "seconds": 3600.0 * (number + 1),
                "images_per_second": 300.0,
                "cpu_seconds": 7200.0,
                "gpu_seconds": 0.0,
                "flops": 10**15,
                "peak_memory_bytes": 2**30,
                "energy_joules": None,
                "device": "cpu",
                "threads": 1,
            },
        )
    write_json(folder.plan, plan)


def _log_line(step, number, epochs):
    epoch = step / 10
    line = {
        "step": step,
        "epoch": epoch,
        "loss": 6.0 / (1 + 0.1 * epoch) + 0.3 * number,
        "loss_level": 1 / (1 + (0.05 + 0.02 * number) * epoch),
        "learning_rate": 0.03 * (1 + np.cos(np.pi * epoch / epochs)) / 2,
        "feature_std": 0.4 + 0.02 * number,
        "feature_rank": 10 + 3 * number + epoch,
        "images_per_second": 300.0,
    }
    return line | ({"knn": 0.2 + 0.5 * (1 - 1 / (1 + 0.3 * epoch))} if step % 20 == 0 else {})


def _row(line):
    import dataclasses

    row = make_row(line["encoder"], line["task"], line["seed"], line["score"])
    facts = {name: line[name] for name in FACTS}
    whole = {
        name: None if value is None or value != value else kind(value)
        for name, kind in (("images", int), ("epochs", float), ("steps", int))
        for value in [_none(line[name])]
    }
    cost = dataclasses.replace(row.cost, seconds=line["seconds"])
    return dataclasses.replace(
        row,
        **facts,
        **whole,
        cost=cost,
        hyperparameters={"learning_rate": 3e-4, "weight_decay": 1e-4, "epochs": 100},
    )


def _none(value):
    import pandas as pd

    return None if pd.isna(value) else value
