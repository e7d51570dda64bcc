"""The released code's counting against loops over its batches, images and pixels."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from tests.oracles.metrics import accumulate, mean, value

from vireo.errors import DataError, SettingError
from vireo.records import DatasetSpec, ProbeSettings, Task
from vireo.tasks import TASKS, find_task
from vireo.tasks.checks import metric_of
from vireo.tasks.released import unit_of

SEGMENTS = Task(
    name="segments",
    summary="",
    dataset="rooms",
    target="mask",
    outputs=4,
    family="semantic-pixel",
    head="deeplabv3+",
    loss="cross-entropy",
    metric="miou",
    epochs=1,
    batch_size=4,
)
DEPTH = dataclasses.replace(
    SEGMENTS, outputs=1, head="unet", loss="l1", metric="l1", higher_is_better=False, unit="m"
)
COUNTS = dataclasses.replace(SEGMENTS, head="linear", metric="count", family="structural-image")


def released(task, answer, target, valid=None, batch_size=3):
    """Value and other metrics of a split that arrives in the loader's batches, which differ."""
    metric = metric_of(task, "released")
    outcomes = accumulate(metric, answer, target, valid, batch_size)
    outcomes["index"] = np.arange(len(target))
    return value(metric, outcomes), metric.others(outcomes)


def test_992_of_1000_test_images_count_at_batch_32_in_the_order_of_the_split():
    rng = np.random.default_rng(0)
    truth = torch.from_numpy(rng.integers(4, size=1000))
    answer = torch.from_numpy(np.where(rng.random(1000) < 0.6, truth, rng.integers(4, size=1000)))
    task = dataclasses.replace(COUNTS, batch_size=32)
    found, others = released(task, answer, truth)
    assert found == (answer == truth)[:992].double().mean().item()
    assert found != (answer == truth).double().mean().item()
    assert others["count-error"] == (answer - truth)[:992].abs().double().mean().item()
    order = rng.permutation(1000)
    metric = metric_of(task, "released")
    mixed = accumulate(metric, answer[order], truth[order], None, 7) | {"index": order}
    assert value(metric, mixed) == found
    assert metric.others(mixed) == pytest.approx(others)


def batches_of_images(answer, target, scored, batch_size):
    """Ratios of each image and class, averaged over a batch, then over whole batches."""
    found = []
    for first in range(0, len(target) - batch_size + 1, batch_size):
        of_batch = []
        for a, t in zip(answer[first : first + batch_size], target[first:], strict=False):
            for code in scored:
                both = int(((a == code) & (t == code)).sum())
                either = int(((a == code) | (t == code)).sum())
                of_batch.append(both / either if either else 1.0)
        found.append(mean(of_batch))
    return mean(found)


@pytest.mark.parametrize("metric", ["miou", "miou-foreground"])
def test_iou_is_of_images_with_absent_classes_at_one_and_class_0_skipped(metric):
    draw = torch.Generator().manual_seed(0)
    answer, target = torch.randint(4, (2, 11, 3, 3), generator=draw)
    target[1], answer[1] = 0, 0  # nothing but background: the three others count 1
    target[2] = target[2].clamp(max=2)
    task = dataclasses.replace(SEGMENTS, metric=metric)
    found, others = released(task, answer, target)
    assert found == pytest.approx(batches_of_images(answer, target, (1, 2, 3), 4))
    assert set(others) == {"iou-1", "iou-2", "iou-3"}
    for code in (1, 2, 3):
        assert others[f"iou-{code}"] == pytest.approx(batches_of_images(answer, target, (code,), 4))


def test_an_image_without_the_class_counts_one_where_nothing_is_answered():
    task = dataclasses.replace(SEGMENTS, outputs=2, batch_size=1, metric="iou")
    nothing = torch.zeros(1, 2, 2, dtype=torch.int64)
    assert released(task, nothing, nothing) == (1.0, {"iou-1": 1.0})
    assert released(task, nothing + 1, nothing) == (0.0, {"iou-1": 0.0})


def test_pets_asks_for_background_and_border():
    """Codes: 1 animal, 0 background, 255 border; the released positive is what is no animal."""
    draw = torch.Generator().manual_seed(1)
    target = torch.tensor([0, 1, 255])[torch.randint(3, (8, 4, 4), generator=draw)]
    answer = torch.randint(2, (8, 4, 4), generator=draw)
    task = dataclasses.replace(SEGMENTS, name="pets-segmentation", outputs=2)
    found, _ = released(task, answer, target, target != 255)
    expected = []
    for a, t in zip(answer != 1, target != 1, strict=True):
        expected.append(int((a & t).sum()) / int((a | t).sum()))
    assert found == pytest.approx(mean(expected))
    assert metric_of(task, "released").constant(np.array([1, 1, 0])) == (1.0,)


def depths():
    draw = torch.Generator().manual_seed(2)
    answer, truth = torch.rand(2, 9, 1, 3, 4, generator=draw) * 5
    valid = torch.rand(9, 1, 3, 4, generator=draw) < 0.7
    valid[0], valid[1] = True, False
    return answer, truth.masked_fill(~valid, math.nan), valid


def naive_depth(answer, truth, missing, unit_of_image):
    """Eight of nine images, that is two batches of four, without a mask."""
    found = []
    for p, t in zip(answer[:8].double(), truth[:8].double().nan_to_num(missing), strict=True):
        unit = unit_of_image(t)
        errors = (p.flatten().tolist(), t.flatten().tolist())
        found.append(mean(abs(a / unit - b / unit) for a, b in zip(*errors, strict=True)))
    return mean(found)


@pytest.mark.parametrize(
    ("name", "missing", "unit_of_image", "unit"),
    [
        ("nyu-depth", 0.0, lambda t: 1.0, "m"),
        ("thor-depth", 0.0, lambda t: 8.0 / 4, "white / 4"),
        ("taskonomy-depth", 10_000 / 512, lambda t: float(t.max()), "share"),
    ],
)
def test_depth_has_no_mask_and_a_unit_of_its_own(name, missing, unit_of_image, unit):
    task = dataclasses.replace(
        DEPTH, name=name, dataset=DatasetSpec(name="own", source="x:Y", options={"white": 8})
    )
    found, others = released(task, *depths())
    answer, truth, _ = depths()
    assert found == pytest.approx(naive_depth(answer, truth, missing, unit_of_image), rel=1e-6)
    assert others == {}
    assert (unit_of(task, "released"), unit_of(task, "standard")) == (unit, "m")
    assert not metric_of(task, "released").higher_is_better


def test_taskonomy_is_cut_at_ten_thousand_units_of_its_files():
    """Stored 12,000, 5,000, a hole and 2,500 count as shares 1, .5, 1 and .25 of 10,000."""
    stored = torch.tensor([[[[12_000.0, 5_000.0, math.nan, 2_500.0]]]])
    answered = torch.tensor([[[[9_000.0, 6_000.0, 10_000.0, 2_500.0]]]])
    task = dataclasses.replace(DEPTH, name="taskonomy-depth", batch_size=1)
    found, _ = released(task, answered / 512, stored / 512, stored.isfinite())
    assert found == pytest.approx((0.1 + 0.1 + 0 + 0) / 4)


def test_white_must_be_known():
    task = dataclasses.replace(
        DEPTH, name="thor-depth", dataset=DatasetSpec(name="own", source="x:Y")
    )
    with pytest.raises(SettingError, match="'own' does not say how many metres white stands for"):
        metric_of(task, "released")


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"metric": "fl", "outputs": 2, "head": "siamese-unet"}, "grey level of a colour render"),
        ({"metric": "mae", "head": "linear"}, "no task of one number an image"),
        ({}, "NYU, THOR and Taskonomy"),
    ],
)
def test_what_has_no_counterpart_is_refused_with_the_reason(changed, said):
    task = dataclasses.replace(DEPTH, **changed)
    with pytest.raises(SettingError, match=f"no released scoring.*{said}.*Use scoring 'standard'"):
        metric_of(task, "released")


def test_less_than_a_batch_cannot_be_counted():
    with pytest.raises(DataError, match="3 examples are fewer than one of 4"):
        released(COUNTS, torch.zeros(3, dtype=torch.int64), torch.zeros(3, dtype=torch.int64))


@pytest.mark.parametrize("name", sorted(TASKS))
def test_every_task_has_a_released_rule_or_a_reason(name):
    task = find_task(name)
    standard = metric_of(task)
    try:
        rule = metric_of(task, "released")
    except SettingError as error:
        assert "Use scoring 'standard'" in str(error)  # noqa: PT017 - either is right
        assert task.metric in ("l1", "fl", "mae")
        return
    assert (rule.dense, rule.classes) == (standard.dense, standard.classes)
    assert (rule.losses, rule.higher_is_better) == (standard.losses, standard.higher_is_better)
    targets = np.zeros(4, dtype=np.int64) if standard.classes else np.ones((4, task.outputs))
    assert rule.constant(targets) == standard.constant(targets)


def test_it_is_never_the_default():
    assert ProbeSettings().scoring == "standard"
    assert type(metric_of(SEGMENTS)) is type(metric_of(SEGMENTS, "standard"))
    assert type(metric_of(SEGMENTS)).__name__ == "MeanIoU"
