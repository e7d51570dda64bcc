"""Metrics against loops over pixels and scikit-learn, on easy and on adversarial splits."""

import math

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, balanced_accuracy_score, jaccard_score

from vireo.tasks.metrics import L1, MeanIoU, Top1


def run(metric, answer, target, valid, batch_size):
    """Outcomes of a split that arrives in batches of `batch_size`."""
    parts = [
        metric.outcomes(
            answer[i : i + batch_size],
            target[i : i + batch_size],
            None if valid is None else valid[i : i + batch_size],
        )
        for i in range(0, len(target), batch_size)
    ]
    return {name: torch.cat([part[name] for part in parts]).numpy() for name in parts[0]}


def value(metric, outcomes):
    return float(metric.value(metric.statistics(outcomes).sum(0)))


def masks(seed, classes=4, n=9):
    draw = torch.Generator().manual_seed(seed)
    answer = torch.randint(classes, (n, 5, 6), generator=draw)
    target = torch.randint(classes, (n, 5, 6), generator=draw)
    valid = torch.rand(n, 5, 6, generator=draw) < 0.8
    return answer, target.masked_fill(~valid, 255), valid


def naive_miou(answer, target, valid, classes):
    ious = []
    for c in range(classes):
        both = union = present = 0
        for p, t, v in zip(
            answer.flatten().tolist(),
            target.flatten().tolist(),
            valid.flatten().tolist(),
            strict=True,
        ):
            if v:
                both += p == c and t == c
                union += p == c or t == c
                present += t == c
        if present:
            ious.append(both / union)
    return sum(ious) / len(ious)


@pytest.mark.parametrize("seed", range(3))
def test_miou_equals_a_loop_and_scikit_learn(seed):
    answer, target, valid = masks(seed)
    outcomes = run(MeanIoU(4), answer, target, valid, 4)
    flat = target[valid].numpy(), answer[valid].numpy()
    assert value(MeanIoU(4), outcomes) == pytest.approx(naive_miou(answer, target, valid, 4))
    assert value(MeanIoU(4), outcomes) == pytest.approx(jaccard_score(*flat, average="macro"))
    others = MeanIoU(4).others(outcomes)
    assert others["pixel-accuracy"] == pytest.approx(accuracy_score(*flat))
    per_class = jaccard_score(*flat, average=None)
    assert [others[f"iou-{c}"] for c in range(4)] == pytest.approx(per_class.tolist())


def test_miou_leaves_absent_classes_out_but_counts_their_false_pixels():
    """Class 2 is never true: it has no IoU, yet predicting it costs class 0 a pixel."""
    target = torch.tensor([[[0, 0, 1, 1]]])
    answer = torch.tensor([[[0, 2, 1, 1]]])
    valid = torch.ones(1, 1, 4, dtype=torch.bool)
    outcomes = run(MeanIoU(4), answer, target, valid, 1)
    assert value(MeanIoU(4), outcomes) == (0.5 + 1.0) / 2
    assert set(MeanIoU(4).others(outcomes)) == {"pixel-accuracy", "iou-0", "iou-1"}


def test_miou_is_of_the_split_not_of_images():
    """A class in one image only: a mean over images would differ."""
    target = torch.tensor([[[0, 0]], [[0, 1]]])
    answer = torch.tensor([[[0, 1]], [[0, 1]]])
    outcomes = run(MeanIoU(2), answer, target, None, 1)
    assert value(MeanIoU(2), outcomes) == pytest.approx((2 / 3 + 1 / 2) / 2)


@pytest.mark.parametrize("batch_size", [1, 4, 9])
@pytest.mark.parametrize("n", [1, 9])
def test_every_metric_is_identical_at_every_batch_size(batch_size, n):
    answer, target, valid = masks(7, n=n)
    depth = torch.rand(2, n, 1, 5, 6, generator=torch.Generator().manual_seed(n)) + 0.1
    cases = [
        (MeanIoU(4), answer, target, valid),
        (L1(1), depth[0], depth[1], valid[:, None]),
        (Top1(4), answer[:, 0, 0], answer[:, 1, 1], None),
    ]
    for metric, *split in cases:
        whole, parts = run(metric, *split, n), run(metric, *split, batch_size)
        for name in whole:
            np.testing.assert_array_equal(whole[name], parts[name])
        assert value(metric, whole) == value(metric, parts)
        assert metric.others(whole) == metric.others(parts)


@pytest.mark.parametrize("seed", range(3))
def test_top1_and_macro_accuracy_equal_scikit_learn(seed):
    rng = np.random.default_rng(seed)
    truth = torch.from_numpy(rng.choice([0, 1, 3, 7], size=50))  # classes 2, 4, 5, 6 are absent
    answer = torch.from_numpy(np.where(rng.random(50) < 0.5, truth, rng.choice([0, 1, 3], 50)))
    outcomes = run(Top1(8), answer, truth, None, 7)
    assert value(Top1(8), outcomes) == pytest.approx(accuracy_score(truth, answer))
    macro = Top1(8).others(outcomes)["macro-accuracy"]
    assert macro == pytest.approx(balanced_accuracy_score(truth, answer))


def test_l1_weighs_pixels_not_images_and_its_companions_follow_their_definitions():
    draw = torch.Generator().manual_seed(2)
    prediction = torch.randn(6, 1, 4, 5, generator=draw)
    truth = torch.rand(6, 1, 4, 5, generator=draw) * 3
    valid = torch.rand(6, 1, 4, 5, generator=draw) < torch.linspace(0.1, 1, 6).view(-1, 1, 1, 1)
    valid[2] = False  # one image without any truth
    truth[0, 0, 0, 0], valid[0, 0, 0, 0] = 0, True  # a true zero: no relative error
    outcomes = run(L1(1), prediction, truth.masked_fill(~valid, math.nan), valid, 2)
    pairs = [
        (float(p), float(t))
        for p, t, v in zip(prediction.flatten(), truth.flatten(), valid.flatten(), strict=True)
        if v
    ]
    positive = [(p, t) for p, t in pairs if t > 0]
    mean = sum(abs(p - t) for p, t in pairs) / len(pairs)
    others = L1(1).others(outcomes)
    assert value(L1(1), outcomes) == pytest.approx(mean)
    assert others["rmse"] == pytest.approx(
        math.sqrt(sum((p - t) ** 2 for p, t in pairs) / len(pairs))
    )
    assert others["abs-rel"] == pytest.approx(
        sum(abs(p - t) / t for p, t in positive) / len(positive)
    )
    within = sum(p > 0 and max(p / t, t / p) < 1.25 for p, t in positive)
    assert others["delta-1.25"] == pytest.approx(within / len(positive))
    assert outcomes["weight"][2] == 0
    assert outcomes["error"][2] == 0


@pytest.mark.parametrize("metric", [MeanIoU(2), L1(1)])
def test_a_split_in_which_nothing_counts_has_no_value(metric):
    nothing = torch.zeros(2, 1, 3, 3, dtype=torch.bool)
    if metric.classes:
        truth = torch.full((2, 3, 3), 255)
        outcomes = run(metric, torch.zeros_like(truth), truth, nothing[:, 0], 1)
    else:
        outcomes = run(metric, torch.zeros(2, 1, 3, 3), torch.zeros(2, 1, 3, 3), nothing, 1)
    assert math.isnan(value(metric, outcomes))


def test_no_other_constant_beats_the_constant_answer():
    rng = np.random.default_rng(0)
    codes = rng.choice(3, size=500, p=[0.2, 0.5, 0.3])
    truth = torch.from_numpy(codes).view(5, 10, 10)
    for metric, split in [(Top1(3), truth.flatten()), (MeanIoU(3), truth)]:
        scores = [
            value(metric, run(metric, torch.full_like(split, c), split, None, 9)) for c in range(3)
        ]
        assert metric.constant(codes) == int(np.argmax(scores))
    depth = torch.from_numpy(rng.exponential(size=(5, 1, 4, 4)))
    best = L1(1).constant(depth.numpy().ravel())
    errors = {
        c: value(L1(1), run(L1(1), torch.full_like(depth, c), depth, None, 2))
        for c in [best, *np.linspace(0, 3, 61)]
    }
    assert min(errors.values()) == errors[best]


def test_values_of_many_sums_at_once_equal_one_at_a_time():
    answer, target, valid = masks(1)
    depth = torch.rand(2, 9, 1, 5, 6, generator=torch.Generator().manual_seed(0))
    for metric, *split in [(MeanIoU(4), answer, target, valid), (L1(1), *depth, valid[:, None])]:
        statistics = metric.statistics(run(metric, *split, 9))
        many = metric.value(np.stack([statistics, 2 * statistics]))
        assert many.shape == (2, 9)
        for i in range(9):
            np.testing.assert_equal(many[0, i], metric.value(statistics[i]))
        np.testing.assert_allclose(many[0], many[1])
