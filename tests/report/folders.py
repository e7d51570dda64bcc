"""Study folders with made-up rows and galleries of every kind of task."""

from dataclasses import replace

import numpy as np

from vireo.digest import digest
from vireo.files import write_json
from vireo.records import Cost, ResultRow, RowKey
from vireo.store.folder import StudyFolder
from vireo.store.results import ResultStore

TASKS = {
    "digits": ("semantic-image", "top-1", "share"),
    "rooms-count": ("structural-image", "top-1", "share"),
    "rooms-foreground": ("semantic-pixel", "miou", "share"),
    "rooms-depth": ("structural-pixel", "l1", "m"),
}
ENCODERS = ("random-resnet20", "moco-v2-rooms", "swav-digits", "supervised-digits")


def make_row(encoder, task, seed, score):
    family, metric, unit = TASKS.get(task, TASKS["digits"])
    method = "random" if encoder.startswith("random") else "moco-v2"
    floor = 0.1 if unit == "share" else -1.4
    key = RowKey(encoder=encoder, task=task, protocol="p", scoring="standard", seed=seed)
    cost = Cost(
        seconds=3.25,
        images_per_second=400.0,
        flops=1000,
        peak_memory_bytes=2**30,
        device="cpu",
        threads=2,
    )
    return ResultRow(
        key=key,
        encoder=encoder,
        method=method,
        pretraining_set="rooms",
        images=None,
        epochs=None,
        steps=None,
        balance="unknown",
        recipe="",
        architecture="resnet20",
        parameters=272474,
        encoder_flops=81_000_000,
        task=task,
        dataset=task,
        family=family,
        metric=metric,
        unit=unit,
        protocol="tuned",
        score=score,
        raw=abs(score),
        low=score - 0.03,
        high=score + 0.02,
        n=360,
        floor=floor,
        cost=cost,
        versions={"torch": "2.14.1", "python": "3.11.2"},
        time="2026-01-01T00:00:00Z",
    )


def make_outcomes(metric, score, generator, n=40):
    """What happened to `n` made-up test examples, about as often right as `score` says."""
    index = np.arange(n)
    share = min(max(score, 0.05), 0.95)
    right = generator.uniform(size=n) < share
    if metric in ("top-1", "count"):
        return {"index": index, "correct": right}
    if metric in ("l1", "mae"):
        error = np.abs(score) * generator.uniform(0.8, 1.2, n)
        return {"index": index, "error": error, "weight": np.ones(n)}
    if metric == "fl":
        inliers = np.rint(100 * share * generator.uniform(0.9, 1.1, n))
        return {"index": index, "inliers": inliers, "weight": np.full(n, 100.0)}
    counts = np.array([[45, 5], [5, 45]]) + generator.integers(0, 5, (n, 2, 2))
    return {"index": index, "confusion": counts}


def make_gallery(task, generator):
    """Six examples; the images depend on the task alone, as they do in a store."""
    fixed = np.random.default_rng(len(task))
    image = fixed.integers(0, 255, (6, 24, 32, 3), dtype=np.uint8)
    kind = TASKS.get(task, TASKS["digits"])[1]
    if kind == "top-1":
        truth = fixed.integers(0, 10, 6)
        guess = np.where(generator.uniform(size=6) < 0.6, truth, (truth + 1) % 10)
        return {"image": image, "truth": truth, "prediction": guess}
    ramp = np.linspace(0.5, 5.0, 32, dtype=np.float32) * np.ones((6, 24, 1), dtype=np.float32)
    if kind == "l1":
        truth = ramp.copy()
        truth[:, :3] = np.nan
        noise = generator.normal(0, 0.4, ramp.shape).astype(np.float32)
        return {"image": image, "truth": truth, "prediction": ramp + noise}
    truth = (ramp > 2.5).astype(np.int64)
    truth[:, -2:] = 255
    return {"image": image, "truth": truth, "prediction": np.roll(truth, 3, axis=2)}


def fill(root, encoders=ENCODERS, tasks=tuple(TASKS), seeds=2, *, baseline=ENCODERS[0], skip=()):
    """Write a study folder as `run_study` leaves it."""
    folder, store = StudyFolder(root), ResultStore(StudyFolder(root).results)
    generator, cells = np.random.default_rng(3), []
    for rank, encoder in enumerate(encoders):
        for place, task in enumerate(tasks):
            rows = []
            for seed in range(seeds):
                score = 0.35 + 0.1 * ((rank * (place + 1)) % 5) + 0.01 * generator.normal()
                score -= 1.5 * (TASKS.get(task, TASKS["digits"])[2] != "share")
                row = make_row(encoder, task, seed, float(score))
                rows.append(digest(row.key))
                if (encoder, task) not in skip:
                    outcomes = make_outcomes(row.metric, score, generator)
                    store.write(row, outcomes, make_gallery(task, generator))
            cells.append({"encoder": encoder, "task": task, "identity": "i", "rows": rows})
    plan = {"name": "test study", "summary": "made up", "baseline": baseline}
    write_json(folder.plan, plan | {"probe": {"level": 0.95}})
    write_json(folder.cells, cells)
    return root


def fill_protocols(root, **options):
    """Write rows of "tuned", and of "few-shot" that score .1 less, as two probes leave them."""
    folder, store = StudyFolder(fill(root, **options)), ResultStore(StudyFolder(root).results)
    for row in store.rows():
        key, few = replace(row.key, protocol="few"), row.score - 0.1
        other = replace(row, key=key, protocol="few-shot", score=few, low=few, high=few)
        store.write(other, store.outcomes(row.key), store.gallery(row.key))
    folder.plan.unlink()
    folder.cells.unlink()
    return root
