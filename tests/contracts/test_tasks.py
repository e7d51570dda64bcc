"""What every task of the catalogue promises, tested the moment it is listed."""

import dataclasses

import numpy as np
import pytest
import torch

from vireo.data import dataset_card, find_dataset, open_split
from vireo.digest import digest
from vireo.encoders.encoder import Features
from vireo.probe.outcomes import raw_value, score_of
from vireo.records import EncoderCard
from vireo.tasks import TASKS, find_task
from vireo.tasks.checks import head_of, metric_of, mistakes
from vireo.tasks.geometry import map_size
from vireo.tasks.heads import initialised

CARD = EncoderCard(
    name="net",
    method="random",
    pretraining_set="none",
    architecture="net",
    parameters=1,
    flops=1,
    input_size=(32, 32),
    mean=(0.5, 0.5, 0.5),
    std=(0.5, 0.5, 0.5),
    strides=(1, 1, 2, 4, 4),
    channels=(4, 4, 6, 8, 8),
    features=8,
    source="random:net",
    weights="0" * 16,
)
FEW = 12


@pytest.fixture(params=sorted(TASKS))
def task(request):
    return find_task(request.param)


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("rooms")


@pytest.fixture
def spec(task, cache):
    """The task's dataset with few images, so that a world is rendered in a moment."""
    spec = find_dataset(task.dataset)
    if spec.source != "rooms":
        return spec
    splits = {name: {**options, "images": FEW} for name, options in spec.splits.items()}
    options = {**spec.options, "root": str(cache)}
    return dataclasses.replace(spec, options=options, splits=splits)


def truth_of(task, source) -> tuple[torch.Tensor, torch.Tensor | None]:
    values = [np.asarray(source.target(i, task.target)) for i in range(min(FEW, len(source)))]
    truth = np.stack(values)
    if not metric_of(task).classes:
        depth = torch.from_numpy(truth.astype(np.float32))[:, None]
        return depth.nan_to_num(), depth.isfinite()
    codes = torch.from_numpy(truth.astype(np.int64))
    return codes, codes != task.ignore_index if metric_of(task).dense else None


def score(task, answer, truth, valid) -> float:
    found = metric_of(task).outcomes(answer, truth, valid)
    return score_of(task, raw_value(task, {name: t.numpy() for name, t in found.items()}))


def test_its_facts_go_together_and_its_card_says_what_is_there(task, spec):
    assert mistakes(task) == []
    assert task.summary
    card = dataset_card(task.dataset)
    assert {"train", "test"} <= {*spec.splits, *spec.carve} <= set(card.splits)


def test_its_head_fits_the_features_of_an_encoder(task):
    height, width = task.input_size
    maps = tuple(
        torch.randn(2, channels, *map_size((height, width), stride))
        for channels, stride in zip(CARD.channels, CARD.strides, strict=True)
    )
    head = initialised(head_of(task), CARD, task.outputs, 0)
    out = head((Features(torch.randn(2, CARD.features), maps),), (height, width))
    dense = (height, width) if metric_of(task).dense else ()
    assert out.shape == (2, task.outputs, *dense)


def test_perfect_answers_score_best_and_constant_ones_score_the_floor(task, spec):
    truth, valid = truth_of(task, open_split(spec, "test"))
    metric = metric_of(task)
    perfect = score(task, truth, truth, valid)
    assert perfect == (1.0 if task.higher_is_better else 0.0)
    counted = truth[valid] if valid is not None else truth
    best = metric.constant(counted.numpy().ravel())
    floor = score(task, torch.full_like(truth, best), truth, valid)
    assert floor < perfect
    others = range(task.outputs) if metric.classes else np.linspace(0, 10, 21)
    assert all(score(task, torch.full_like(truth, c), truth, valid) <= floor for c in others)
    if task.floor is not None:
        assert floor == pytest.approx(task.floor, abs=0.02)


def test_its_classes_are_within_its_outputs(task, spec):
    if metric_of(task).classes:
        for split in ("train", "test"):
            truth, _ = truth_of(task, open_split(spec, split))
            assert truth.min() >= 0
            assert truth.max() < task.outputs


def test_its_splits_are_disjoint(spec):
    """No image of a split is in another: compared by their pixels."""
    seen: dict[str, str] = {}
    for split in (*spec.splits, *spec.carve):
        source = open_split(spec, split)
        for index in range(0, len(source), max(1, len(source) // 200)):
            key = digest(source.frames(index)[0].tobytes().hex())
            assert seen.setdefault(key, split) == split
