"""Synthetic tables of results whose truth is known: effects planted into the study's own design.

Encoders are those of the study (its Table 3 and side experiments), tasks its 21. With an effect
$e$ of encoder $i$ on task $t$, a score is $level_t + scale_t (e_{it} + noise)$: effects are in
shares, and for tasks in metres of `METRE` times that. `Effects()` plants nothing: a null table.
"""

from dataclasses import dataclass
from itertools import chain

import numpy as np
import pandas as pd

from vireo.analysis.table import with_facts

METRE = 0.5
"""Metres that an effect of 1 is worth on tasks of depth."""
BATCH = {"swav": 4096}
SIMILAR = {
    "caltech-101": ("imagenet",),
    "sun397": ("places",),
    "kinetics-action": ("kinetics",),
    "taskonomy-depth": ("taskonomy",),
}
"""As the tasks' `similar_pretraining`."""
SUPERVISED, RANDOM = "supervised-resnet50", "random-resnet50"

_SEMANTIC, _STRUCTURAL = "semantic-image", "structural-image"
_MASKS, _GEOMETRY = "semantic-pixel", "structural-pixel"
TASKS = {
    "imagenet": (_SEMANTIC, "top-1"),
    "clevr-count": (_STRUCTURAL, "top-1"),
    "cityscapes": (_MASKS, "miou"),
    "nyu-depth": (_GEOMETRY, "l1"),
    "caltech-101": (_SEMANTIC, "top-1"),
    "thor-egomotion": (_STRUCTURAL, "top-1"),
    "pets-segmentation": (_MASKS, "miou"),
    "nyu-walkable": (_GEOMETRY, "iou"),
    "sun397": (_SEMANTIC, "top-1"),
    "thor-num-steps": (_STRUCTURAL, "top-1"),
    "egohands": (_MASKS, "miou"),
    "thor-depth": (_GEOMETRY, "l1"),
    "kinetics-action": (_SEMANTIC, "top-1"),
    "nuscenes-egomotion": (_STRUCTURAL, "top-1"),
    "taskonomy-depth": (_GEOMETRY, "l1"),
    "kitti-flow": (_GEOMETRY, "fl"),
    "imagenet-v2": (_SEMANTIC, "top-1"),
    "pets": (_SEMANTIC, "top-1"),
    "cifar-100": (_SEMANTIC, "top-1"),
    "eurosat": (_SEMANTIC, "top-1"),
    "dtd": (_SEMANTIC, "top-1"),
}
"""Task to family and metric; the first n hold as many families as n can."""


@dataclass(frozen=True, kw_only=True)
class Effects:
    """What is planted; zero everywhere but in the noise is the null table.

    Attributes:
        method: MoCo v2 minus SwAV, on all tasks.
        pixel: by how much more MoCo v2 leads SwAV on pixel tasks than on tasks of whole images.
        log, linear: an unbalanced subset minus the balanced one of its size.
        size, steps: of each doubling of images, of steps of pre-training.
        structural, semantic: self-supervised minus supervised, by what the task asks.
        similar: of a pre-training set that is like the task's images.
        random: random weights minus all others.
        encoder, cell, seed: standard deviations of an encoder's draw (the same on all tasks), of
            an encoder's on a task, of a row's.
    """

    method: float = 0.0
    pixel: float = 0.0
    log: float = 0.0
    linear: float = 0.0
    size: float = 0.0
    steps: float = 0.0
    structural: float = 0.0
    semantic: float = 0.0
    similar: float = 0.0
    random: float = 0.0
    encoder: float = 0.0
    cell: float = 0.01
    seed: float = 0.003


STUDY = Effects(
    method=-0.01,
    pixel=0.04,
    log=0.015,
    size=0.01,
    steps=0.01,
    structural=0.05,
    semantic=0.01,
    similar=0.03,
    random=-0.25,
    encoder=0.01,
)
"""The study's answers, roughly, as effects."""


def planted(
    encoders: int = 30,
    tasks: int = 21,
    *,
    effects: Effects = STUDY,
    seeds: int = 1,
    draw: int = 0,
    names: tuple[str, ...] = (),
) -> pd.DataFrame:
    """The tidy table of `encoders` x `tasks` x `seeds`, with the columns of the store.

    Args:
        encoders: how many of `RECIPES`: the supervised and the random one, then the study's 30
            (SwAV and MoCo v2 in turn), then those of its side experiments.
        tasks: how many of `TASKS`.
        draw: seeds the noise.
        names: encoders by name instead of by number.
    """
    chosen = [recipe for recipe in RECIPES if recipe["encoder"] in names] or RECIPES[:encoders]
    table = _crossed(chosen, list(TASKS)[:tasks], seeds)
    rng = np.random.default_rng(draw)
    effect = planted_effect(table, effects) + _noise(table, effects, rng)
    level = table["task"].map(dict(zip(TASKS, np.linspace(0.45, 0.75, len(TASKS)), strict=True)))
    metres = (table["unit"] == "m").to_numpy()
    score = np.where(metres, METRE * (effect - 1), level + effect)
    half = np.where(metres, METRE, 1) * 0.02
    table = table.assign(score=score, raw=np.abs(score), low=score - half, high=score + half)
    table["floor"] = np.where(metres, -2 * METRE, 0.05)
    return with_facts(table, baseline=RANDOM if RANDOM in set(table["encoder"]) else "")


def planted_effect(table: pd.DataFrame, effects: Effects) -> np.ndarray:
    """The effect of every row without its noise, in shares."""
    pixel = np.where(table["family"].str.endswith("pixel"), 0.5, -0.5)
    moco = np.where(table["method"] == "moco-v2", 0.5, np.where(table["method"] == "swav", -0.5, 0))
    found = moco * (effects.method + effects.pixel * pixel)
    found += (table["balance"] == "log") * effects.log
    found += (table["balance"] == "linear") * effects.linear
    for column, effect, one in (("images", effects.size, 1.3e6), ("steps", effects.steps, 1e6)):
        found += effect * np.log2(table[column].astype(float) / one).fillna(0)
    own = ~table["method"].isin(["supervised", "random"])
    structural = table["family"].str.startswith("structural")
    found += own * np.where(structural, effects.structural, effects.semantic)
    pairs = zip(table["pretraining_set"], table["task"], strict=True)
    found += np.array([name in SIMILAR.get(task, ()) for name, task in pairs]) * effects.similar
    return (found + (table["method"] == "random") * effects.random).to_numpy(float)


def planted_outcomes(table: pd.DataFrame, images: int = 200, draw: int = 0):
    """What happened to each test example of every row: a `Context.outcomes`.

    An image is as hard for all encoders of a task, so that their outcomes are dependent, as on real
    images. The mean over images is near the row's score, not equal to it.
    """
    rows = {row.digest: row for row in table.itertuples()}

    def outcomes(digest: str) -> dict[str, np.ndarray]:
        row = rows[digest]
        own = np.random.default_rng([draw, *digest.encode()])
        hard = np.random.default_rng([draw, *row.task.encode()]).normal(size=images)
        index = np.arange(images) * 2
        if row.metric == "l1":
            error = -row.score * np.exp(0.2 * hard + 0.1 * own.normal(size=images))
            return {"index": index, "error": error, "weight": np.full(images, 50)}
        easy = np.clip(row.score - 0.1 * hard, 0.02, 0.98)
        if row.metric == "top-1":
            return {"index": index, "correct": own.uniform(size=images) < easy}
        if row.metric == "fl":
            return {
                "index": index,
                "inliers": own.binomial(100, easy),
                "weight": np.full(images, 100),
            }
        right = own.binomial(50, np.stack([easy, easy], 1))
        confusion = np.stack([np.stack([right[:, 0], 50 - right[:, 0]], 1)] * 2, 1)
        confusion[:, 1] = np.stack([50 - right[:, 1], right[:, 1]], 1)
        return {"index": index, "confusion": confusion}

    return outcomes


def factorial(extra_draws: bool = False) -> tuple[str, ...]:
    """Names of the 8 encoders of the study's analysis of variance; 10 with its Log draws."""
    subsets = ("half-200", "linear-200", "quarter-200", "log-200")
    names = tuple(f"{method}-{subset}" for method in ("swav", "moco-v2") for subset in subsets)
    return names + (("swav-log-200-draw2", "swav-log-200-draw3") if extra_draws else ())


def without(table: pd.DataFrame, *cells: tuple[str, str]) -> pd.DataFrame:
    """`table` with the (encoder, task) `cells` left out."""
    pairs = list(zip(table["encoder"], table["task"], strict=True))
    return table[[pair not in cells for pair in pairs]].reset_index(drop=True)


def _noise(table: pd.DataFrame, effects: Effects, rng: np.random.Generator) -> np.ndarray:
    """Draws of encoders, cells and rows, one of each kind a name."""
    cells = table["encoder"] + "\n" + table["task"]
    noise = effects.seed * rng.normal(size=len(table))
    for names, deviation in ((table["encoder"], effects.encoder), (cells, effects.cell)):
        codes, distinct = pd.factorize(names)
        noise += deviation * rng.normal(size=len(distinct))[codes]
    return noise


def _crossed(recipes: list[dict], tasks: list[str], seeds: int) -> pd.DataFrame:
    rows = []
    for recipe in recipes:
        for task in tasks:
            family, metric = TASKS[task]
            facts = {
                "task": task,
                "dataset": task,
                "family": family,
                "metric": metric,
                "unit": "m" if metric == "l1" else "share",
                "protocol": "tuned",
                "n": 2000,
                "scoring": "standard",
                "encoder_digest": f"{recipe['encoder']}-digest",
                "task_digest": f"{task}-digest",
                "protocol_digest": "tuned-digest",
                "seconds": 10.0,
                "images_per_second": 700.0,
            }
            for seed in range(seeds):
                digest = f"{recipe['encoder']}-{task}-{seed}"
                rows.append(recipe | facts | {"seed": seed, "digest": digest})
    table = pd.DataFrame(rows).astype({"epochs": "float64"})
    return table.astype({"images": "Int64", "steps": "Int64"})


def _recipe(name: str, method: str, subset: tuple, epochs: int | None) -> dict:
    pretraining_set, images, balance = subset
    steps = images and epochs and epochs * (images // BATCH.get(method, 256))
    return {
        "encoder": name,
        "method": method,
        "pretraining_set": pretraining_set,
        "images": images,
        "epochs": epochs,
        "steps": steps or None,
        "balance": balance,
        "recipe": "",
        "architecture": "resnet50",
        "parameters": 23_508_032,
        "encoder_flops": 8_174_000_000,
    }


_IMAGENET = ("imagenet", 1_281_167, "balanced")
_LOG = ("imagenet-quarter-log", 250_000, "log")
_SUBSETS = {
    "half": ("imagenet-half", 500_000, "balanced"),
    "quarter": ("imagenet-quarter", 250_000, "balanced"),
    "linear": ("imagenet-half-linear", 500_000, "linear"),
    "log": _LOG,
    "places": ("places", 1_300_000, "uniform-per-group"),
    "kinetics": ("kinetics", 1_300_000, "constant-rate"),
    "taskonomy": ("taskonomy", 1_300_000, "uniform-per-group"),
    "combination": ("combination", 1_300_000, "balanced"),
}


def _of_subset(subset: str, epochs: int) -> list[dict]:
    return [
        _recipe(f"{method}-{subset}-{epochs}", method, _SUBSETS[subset], epochs)
        for method in ("swav", "moco-v2")
    ]


RECIPES = [
    _recipe(SUPERVISED, "supervised", _IMAGENET, 90),
    _recipe(RANDOM, "random", ("none", None, "unknown"), None),
    *(
        _recipe(f"{method}-{epochs}", method, _IMAGENET, epochs)
        for epochs in (200, 800, 100, 50)
        for method in ("swav", "moco-v2")
    ),
    *chain.from_iterable(_of_subset(subset, 200) for subset in _SUBSETS),
    *_of_subset("half", 100),
    *_of_subset("linear", 100),
    _recipe("moco-v1-200", "moco-v1", _IMAGENET, 200),
    _recipe("pirl-800", "pirl", _IMAGENET, 800),
    *(_recipe(f"swav-log-200-draw{draw}", "swav", _LOG, 200) for draw in (2, 3)),
    *(_recipe(f"swav-200-seed{seed}", "swav", _IMAGENET, 200) for seed in (1, 2)),
    _recipe("moco-v2-multicrop", "moco-v2-multicrop", _IMAGENET, 200),
    _recipe("simsiam-200", "simsiam", _IMAGENET, 200),
    _recipe("exemplar-v2", "exemplar-v2", _IMAGENET, 200),
]
"""2 baselines, the study's 30, and 7 of its side experiments."""
