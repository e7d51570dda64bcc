"""IoU in its three forms against loops over pixels and scikit-learn."""

import math

import pytest
import torch
from sklearn.metrics import accuracy_score, f1_score, jaccard_score
from tests.oracles.metrics import accumulate, iou, macro, mean_iou, pairs, value

from vireo.tasks.metrics import BinaryIoU, ForegroundIoU, MeanIoU


def masks(seed, classes=4, n=9):
    draw = torch.Generator().manual_seed(seed)
    answer, target = torch.randint(classes, (2, n, 5, 6), generator=draw)
    valid = torch.rand(n, 5, 6, generator=draw) < 0.8
    return answer, target.masked_fill(~valid, 255), valid


@pytest.mark.parametrize("batch_size", [1, 7])
@pytest.mark.parametrize("n", [1, 9])
@pytest.mark.parametrize("seed", range(3))
def test_miou_equals_a_loop_and_scikit_learn(seed, n, batch_size):
    answer, target, valid = masks(seed, n=n)
    outcomes = accumulate(MeanIoU(4), answer, target, valid, batch_size)
    codes = pairs(answer, target, valid)
    flat = target[valid].numpy(), answer[valid].numpy()
    assert value(MeanIoU(4), outcomes) == pytest.approx(mean_iou(codes), rel=1e-12)
    assert value(MeanIoU(4), outcomes) == pytest.approx(jaccard_score(*flat, average="macro"))
    others = MeanIoU(4).others(outcomes)
    assert others["pixel-accuracy"] == pytest.approx(accuracy_score(*flat))
    assert others["macro-accuracy"] == pytest.approx(macro(codes))
    assert [others[f"iou-{c}"] for c in range(4)] == pytest.approx(
        [iou(codes, c) for c in range(4)]
    )


def test_classes_that_are_absent_are_left_out_but_their_false_pixels_count():
    """Class 2 is never true: it has no IoU, yet answering it costs class 0 a pixel."""
    target = torch.tensor([[[0, 0, 1, 1]]])
    answer = torch.tensor([[[0, 2, 1, 1]]])
    outcomes = accumulate(MeanIoU(4), answer, target, torch.ones(1, 1, 4, dtype=torch.bool), 1)
    assert value(MeanIoU(4), outcomes) == (0.5 + 1.0) / 2
    others = MeanIoU(4).others(outcomes)
    assert others == {"pixel-accuracy": 0.75, "macro-accuracy": 0.75, "iou-0": 0.5, "iou-1": 1.0}


def test_it_is_of_the_split_and_not_of_images():
    """A class in one image only: a mean over images would differ."""
    target = torch.tensor([[[0, 0]], [[0, 1]]])
    answer = torch.tensor([[[0, 1]], [[0, 1]]])
    outcomes = accumulate(MeanIoU(2), answer, target, None, 1)
    assert value(MeanIoU(2), outcomes) == pytest.approx((2 / 3 + 1 / 2) / 2)


def test_an_answer_behind_void_counts_nowhere():
    """The only wrong pixel, and the only one of class 2, are void."""
    target = torch.tensor([[[0, 1, 255, 255]]])
    answer = torch.tensor([[[0, 1, 0, 2]]])
    outcomes = accumulate(MeanIoU(3), answer, target, target != 255, 1)
    assert value(MeanIoU(3), outcomes) == 1.0
    assert outcomes["confusion"].sum() == 2


@pytest.mark.parametrize("seed", range(3))
def test_foreground_iou_forgets_pixels_of_background_and_scores_the_others(seed):
    answer, target, valid = masks(seed)
    outcomes = accumulate(ForegroundIoU(4), answer, target, valid, 4)
    codes = [(p, t) for p, t in pairs(answer, target, valid) if t != 0]
    assert value(ForegroundIoU(4), outcomes) == pytest.approx(mean_iou(codes), rel=1e-12)
    assert "iou-0" not in ForegroundIoU(4).others(outcomes)
    forgiven = answer.where(target != 0, 1)  # whatever is said of background
    again = accumulate(ForegroundIoU(4), forgiven, target, valid, 4)
    assert value(ForegroundIoU(4), again) == value(ForegroundIoU(4), outcomes)
    refused = accumulate(ForegroundIoU(4), torch.zeros_like(answer), target, valid, 4)
    assert value(ForegroundIoU(4), refused) == 0.0


@pytest.mark.parametrize("batch_size", [1, 7])
@pytest.mark.parametrize("seed", range(3))
def test_binary_iou_and_dice_equal_scikit_learn(seed, batch_size):
    answer, target, valid = masks(seed, classes=2)
    outcomes = accumulate(BinaryIoU(2), answer, target, valid, batch_size)
    flat = target[valid].numpy(), answer[valid].numpy()
    assert value(BinaryIoU(2), outcomes) == pytest.approx(iou(pairs(answer, target, valid), 1))
    assert value(BinaryIoU(2), outcomes) == pytest.approx(jaccard_score(*flat))
    others = BinaryIoU(2).others(outcomes)
    assert others["dice"] == pytest.approx(f1_score(*flat))
    assert others["pixel-accuracy"] == pytest.approx(accuracy_score(*flat))


def test_binary_iou_where_the_class_is_absent():
    nothing = torch.zeros(2, 3, 3, dtype=torch.int64)
    found = accumulate(BinaryIoU(2), nothing, nothing, None, 1)
    assert math.isnan(value(BinaryIoU(2), found))
    assert "dice" not in BinaryIoU(2).others(found)
    imagined = accumulate(BinaryIoU(2), nothing + 1, nothing, None, 1)
    assert value(BinaryIoU(2), imagined) == 0.0
    assert BinaryIoU(2).others(imagined)["dice"] == 0.0
