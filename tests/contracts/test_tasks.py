"""What every task of the catalogue promises, tested the moment it is listed.

Images are those that come with the package, few of them, or a miniature in the published layout.
"""

import dataclasses
import functools
import math

import numpy as np
import pytest
import torch
from tests import miniatures, miniatures_pixels
from tests.tiny import card_of

from vireo.data import dataset_card, find_dataset, load_batches, open_split
from vireo.data.datasets.egohands import VIDEOS
from vireo.data.roots import is_named, variable
from vireo.encoders.encoder import Features
from vireo.encoders.pyramid import map_size
from vireo.probe.examples import check_label
from vireo.probe.outcomes import raw_value, score_of
from vireo.tasks import HEADS, TASKS, find_task
from vireo.tasks.checks import head_of, metric_of, mistakes
from vireo.tasks.metrics import constant_like, counted

FEW = 12
ROOMS = 6
"""Examples of a split that are rendered: a clip has six frames."""
SIZE = (32, 32)
MAKERS = {
    **miniatures.MAKERS,
    "cityscapes": miniatures_pixels.cityscapes,
    "egohands": lambda root: miniatures_pixels.egohands(root, VIDEOS),
    "kinetics-action": miniatures.kinetics_frames,
    "kitti-flow": miniatures_pixels.kitti_flow,
    "nyu": miniatures_pixels.nyu,
    "taskonomy-depth": miniatures_pixels.taskonomy,
    "thor-depth": miniatures_pixels.thor_depth,
}
NEEDS = {"imagenet-v2": ("imagenet",)}
"""Datasets that read another one too."""
WITHOUT_IMAGES: dict[str, str] = {}
"""Named datasets that have no miniature, and why."""


CARDS = {
    "resnet50": card_of((64, 256, 512, 1024, 2048)),
    "vit_base": card_of((768,) * 5),
    "resnet20": card_of((16, 16, 32, 64, 64), (1, 1, 2, 4, 4)),
}


@pytest.fixture(params=sorted(TASKS))
def task(request):
    return find_task(request.param)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("datasets")


@functools.cache
def make(folder, name):
    for each in (name, *NEEDS.get(name, ())):
        if not (folder / each).exists():
            MAKERS[each](folder / each)


@pytest.fixture
def few(folder, monkeypatch):
    """A dataset with few images: rendered in a moment, or in miniature."""

    def place(dataset):
        spec = find_dataset(dataset)
        if spec.source == "rooms":
            splits = {name: {**options, "images": ROOMS} for name, options in spec.splits.items()}
            options = {**spec.options, "root": str(folder / "rooms"), "size": 32}
            return dataclasses.replace(spec, options=options, splits=splits)
        if is_named(spec.options.get("root")):
            if spec.name in WITHOUT_IMAGES:
                pytest.skip(WITHOUT_IMAGES[spec.name])
            make(folder, spec.name)
            monkeypatch.setenv("VIREO_DATASETS", str(folder))
            monkeypatch.delenv(variable(spec.name), raising=False)
        if spec.name == "cifar-100":
            miniatures.trust_cifar_100(monkeypatch, folder / spec.name)
        return spec

    return place


@pytest.fixture
def spec(task, few):
    return few(task.dataset)


def truth_of(task, source) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Targets as a probe gets them, all of one size."""
    (batch,) = load_batches(
        source,
        size=SIZE,
        target=task.target,
        batch_size=FEW,
        indices=range(min(FEW, len(source))),
        ignore_index=task.ignore_index,
    )
    return batch.target, batch.valid


def score(task, answer, truth, valid) -> float:
    found = metric_of(task).outcomes(answer, truth, valid)
    return score_of(task, raw_value(task, {name: t.numpy() for name, t in found.items()}))


def test_its_facts_go_together_and_its_card_says_what_is_there(task):
    assert mistakes(task) == []
    assert task.summary
    spec, card = find_dataset(task.dataset), dataset_card(task.dataset)
    assert {"train", "test"} <= {*spec.splits, *spec.carve} <= set(card.splits)


def test_its_images_are_there_in_full_or_in_miniature_or_it_is_said_why_not(task):
    spec = find_dataset(task.dataset)
    if is_named(spec.options.get("root")):
        assert (spec.name in MAKERS) != (spec.name in WITHOUT_IMAGES)
        assert all(len(reason) > 20 for reason in WITHOUT_IMAGES.values())


@pytest.mark.parametrize("name", sorted(CARDS))
def test_its_head_fits_the_features_of_an_encoder(task, name):
    card, size = CARDS[name], task.crop or task.input_size
    with torch.device("meta"):
        features = Features(
            torch.empty(2, card.features),
            tuple(
                torch.empty(2, channels, *map_size(size, stride))
                for channels, stride in zip(card.channels, card.strides, strict=True)
            ),
        )
        head = head_of(task)(card, task.outputs, task.frames)
        out = head((features,) * task.frames, size)
    assert out.shape == (2, task.outputs, *(size if metric_of(task).dense else ()))


def test_its_examples_have_its_frames_and_targets_it_can_ask_for(task, spec):
    for split in ("train", "test"):
        source = open_split(spec, split)
        assert len(source.frames(0)) == task.frames
        for index in range(min(FEW, len(source))):
            check_label(task, source, index, np.asarray(source.target(index, task.target)))


def test_perfect_answers_score_best_and_constant_ones_score_the_floor(task, spec):
    truth, valid = truth_of(task, open_split(spec, "test"))
    metric = metric_of(task)
    answer = truth if valid is None or not metric.classes else truth.where(valid, 0)
    perfect = score(task, answer, truth, valid)
    assert perfect == (1.0 if task.higher_is_better else 0.0)
    best = metric.constant(counted(truth, valid).numpy())
    floor = score(task, constant_like(best, truth), truth, valid)
    assert math.isfinite(floor)
    assert floor < perfect
    if metric.classes or task.outputs == 1:
        others = range(task.outputs) if metric.classes else np.linspace(0, 10, 21)
        assert all(score(task, torch.full_like(truth, c), truth, valid) <= floor for c in others)
    if task.floor is not None:
        assert floor == pytest.approx(task.floor, abs=0.02)


@pytest.mark.parametrize("dataset", sorted({find_task(name).dataset for name in TASKS}))
def test_splits_of_its_dataset_are_disjoint(dataset, few):
    """No example of a split is in another: compared by the pixels of its frames."""
    seen: dict[bytes, str] = {}
    spec = few(dataset)
    for split in (*spec.splits, *spec.carve):
        source = open_split(spec, split)
        for index in range(0, len(source), max(1, len(source) // 200)):
            pixels = b"".join(frame.tobytes() for frame in source.frames(index))
            assert seen.setdefault(pixels, split) == split


def test_the_catalogue_uses_every_head():
    assert {find_task(name).head for name in TASKS} == set(HEADS)
