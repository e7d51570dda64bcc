"""Many heads at once against each trained alone by torch's own modules and optimisers."""

import copy
import dataclasses
import math

import numpy as np
import pytest
import torch

from vireo.encoders.encoder import Features
from vireo.errors import SettingError
from vireo.probe import many_heads, training
from vireo.probe.deltas import delta_of
from vireo.probe.grid import Configuration, grid_of, product
from vireo.probe.many_heads import ManyFusion, ManyLinear, pad
from vireo.probe.scaling import Scales, Standardiser
from vireo.records import HeadOptimizer, ProbeSettings
from vireo.tasks.heads import FusionHead, LinearHead, UNet, initialised
from vireo.tasks.losses import cross_entropy, masked_huber, masked_l1

GRID = (
    Configuration(rate=1e-3),
    Configuration(rate=1e-2),
    Configuration(optimizer="sgd", rate=1e-2),
    Configuration(rate=1e-2, decay=0.3),
)
LOSSES = {"cross-entropy": cross_entropy, "l1": masked_l1, "huber": masked_huber}
N, DIM, OUTPUTS, FRAMES = 37, 5, 4, 3


def plan(**changes) -> training.Plan:
    facts = {
        "configurations": GRID,
        "seeds": (3, 8),
        "loss": "cross-entropy",
        "epochs": 3,
        "batch_size": 10,
        "digest": "task",
        "cosine": True,
    }
    return training.Plan(**(facts | changes))


@pytest.fixture
def card(encoder):
    return dataclasses.replace(encoder.card, features=DIM)


@pytest.fixture(autouse=True)
def narrow(monkeypatch):
    monkeypatch.setattr(FusionHead, "width", 6)


def data(loss, frames=1):
    draw = torch.Generator().manual_seed(0)
    features = torch.randn(N, frames, DIM, generator=draw) * torch.tensor([1.0, 5, 0.1, 1, 1]) + 1
    if loss == "cross-entropy":
        targets = torch.randint(OUTPUTS, (N,), generator=draw)
        features[:, 0, 0] += targets
    else:
        targets = torch.randn(N, OUTPUTS, generator=draw) + features[:, 0, :OUTPUTS]
    return features, targets


def heads_of(card, frames):
    kind = FusionHead if frames > 1 else LinearHead
    arithmetic = ManyFusion() if frames > 1 else ManyLinear()
    heads = [initialised(kind, card, OUTPUTS, seed, frames=frames) for seed in (3, 8)]
    first = zip(*[arithmetic.first(head) for head in heads], strict=True)
    return arithmetic, heads, tuple(map(torch.stack, first))


def frames_of(x):
    return tuple(Features(x[:, frame], ()) for frame in range(x.shape[1]))


def alone(head, features, targets, p, seed, configuration):
    """One head by nn.Module, autograd and torch.optim, one batch after the other, in float32."""
    head = copy.deepcopy(head)
    if configuration.optimizer == "sgd":
        optimizer = torch.optim.SGD(head.parameters(), lr=configuration.rate, momentum=0.9)
    elif configuration.decay:
        optimizer = torch.optim.AdamW(
            head.parameters(), lr=configuration.rate, weight_decay=configuration.decay
        )
    else:
        optimizer = torch.optim.Adam(head.parameters(), lr=configuration.rate)
    weights = torch.tensor(p.class_weights) if p.class_weights else None
    if p.cosine:
        steps = p.epochs * math.ceil(len(features) / p.batch_size)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for epoch in range(p.epochs):
        order = torch.from_numpy(training.permutation(p.digest, seed, epoch, len(features)))
        for chosen in order.split(p.batch_size):
            optimizer.zero_grad()
            answer = head(frames_of(features[chosen]), (1, 1))
            LOSSES[p.loss](answer, targets[chosen], None, weights).backward()
            optimizer.step()
            if p.cosine:
                schedule.step()
    return head


CASES = [
    ("cross-entropy", 1, ()),
    ("cross-entropy", 1, (0.1, 1.0, 2.0, 1.0)),
    ("cross-entropy", FRAMES, ()),
    ("cross-entropy", FRAMES, (0.1, 1.0, 2.0, 1.0)),
    ("l1", 1, ()),
    ("huber", 1, ()),
    ("huber", FRAMES, ()),
]


@pytest.mark.parametrize("cosine", [True, False])
@pytest.mark.parametrize(("loss", "frames", "class_weights"), CASES)
def test_heads_together_equal_each_head_alone(card, loss, frames, class_weights, cosine):
    features, targets = data(loss, frames)
    p = plan(loss=loss, class_weights=class_weights, cosine=cosine)
    arithmetic, heads, first = heads_of(card, frames)
    together = training.train(arithmetic, training.Fit(pad(features), targets), first, p)
    for place, seed in enumerate(p.seeds):
        for config, configuration in enumerate(GRID):
            expected = arithmetic.first(
                alone(heads[place], features, targets, p, seed, configuration)
            )
            for found, wanted in zip(together, expected, strict=True):
                torch.testing.assert_close(found[place, :, config], wanted, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("frames", [1, FRAMES])
def test_answers_equal_those_of_the_head(card, frames):
    features, _ = data("l1", frames)
    arithmetic, heads, first = heads_of(card, frames)
    weights = tuple(w.unsqueeze(2).repeat(1, 1, 2, 1) for w in first)
    answers = arithmetic.answer(weights, pad(features).expand(2, -1, -1, -1)).answers
    for place, head in enumerate(heads):
        expected = head(frames_of(features), (1, 1))
        for config in range(2):
            torch.testing.assert_close(answers[place, :, :, config], expected)


@pytest.mark.parametrize("frames", [1, FRAMES])
def test_a_gradient_equals_autograd_in_float64(card, frames):
    features, _ = data("l1", frames)
    arithmetic, _, first = heads_of(card, frames)
    draw = torch.Generator().manual_seed(5)
    weights = tuple(
        torch.randn(2, w.shape[1], 3, w.shape[2], generator=draw, dtype=torch.float64)
        for w in first
    )
    x = pad(features.double())[:20].view(2, 10, frames, -1)
    delta = torch.randn(2, 10, OUTPUTS, 3, generator=draw, dtype=torch.float64)
    asked = tuple(w.clone().requires_grad_() for w in weights)
    one_by_one = naive_answers(asked, x)
    (one_by_one * delta).sum().backward()
    answers, hidden = arithmetic.answer(weights, x)
    torch.testing.assert_close(answers, one_by_one.detach())
    for found, w in zip(arithmetic.gradient(weights, x, hidden, delta), asked, strict=True):
        torch.testing.assert_close(found, w.grad)


def naive_answers(weights, x):
    """Every seed, configuration and example by itself, from the layers' formulas."""
    seeds, batch, frames, padded = x.shape
    configs = weights[0].shape[2]
    answers = []
    for s in range(seeds):
        for b in range(batch):
            for c in range(configs):
                if len(weights) == 1:
                    answers.append(weights[0][s, :, c] @ x[s, b, 0])
                    continue
                modules = weights[0][s, :, c].view(frames, -1, padded)
                found = [(modules[f] @ x[s, b, f]).relu() for f in range(frames)]
                joined = torch.cat([*found, x.new_ones(1)])
                answers.append(weights[1][s, :, c, : len(joined)] @ joined)
    outputs = len(answers[0])
    return torch.stack(answers).view(seeds, batch, configs, outputs).transpose(2, 3)


@pytest.mark.parametrize("loss", ["cross-entropy", "l1", "huber"])
@pytest.mark.parametrize("weighted", [False, True])
def test_a_loss_by_answers_equals_autograd(loss, weighted):
    draw = torch.Generator().manual_seed(2)
    p = torch.randn(2, 7, OUTPUTS, 3, generator=draw) * 2
    if loss == "cross-entropy":
        y = torch.randint(OUTPUTS, (2, 7), generator=draw)
    else:
        y, weighted = torch.randn(2, 7, OUTPUTS, generator=draw), False
    weights = torch.tensor([0.1, 1.0, 0.0, 2.0]) if weighted else None
    asked = p.clone().requires_grad_()
    for seed in range(2):
        for config in range(3):
            LOSSES[loss](asked[seed, :, :, config], y[seed], None, weights).backward()
    torch.testing.assert_close(delta_of(loss, weights)(p, y), asked.grad, rtol=1e-5, atol=1e-7)
    own = "vireo.tasks.losses:" + LOSSES[loss].__name__
    torch.testing.assert_close(delta_of(own, weights)(p, y), asked.grad, rtol=1e-5, atol=1e-7)


def test_a_batch_of_classes_that_weigh_nothing_moves_nothing():
    p, y = torch.randn(1, 5, 3, 2), torch.zeros(1, 5, dtype=torch.int64)
    assert not delta_of("cross-entropy", torch.tensor([0.0, 1.0, 1.0]))(p, y).any()


@pytest.mark.parametrize("frames", [1, FRAMES])
def test_a_seed_does_not_depend_on_which_others_are_trained(card, frames):
    features, targets = data("cross-entropy", frames)
    arithmetic, _, first = heads_of(card, frames)
    fit = training.Fit(pad(features), targets)
    both = training.train(arithmetic, fit, first, plan())
    second = training.train(arithmetic, fit, tuple(w[1:] for w in first), plan(seeds=(8,)))
    for found, expected in zip(both, second, strict=True):
        torch.testing.assert_close(found[1:], expected, rtol=1e-5, atol=1e-6)
        assert not torch.equal(found[0], found[1])


def test_each_seed_is_trained_on_its_own_rows(card):
    """As if the rows of the second seed were all that there is."""
    features, targets = data("cross-entropy")
    arithmetic, _, first = heads_of(card, 1)
    rows = torch.stack([torch.arange(12), torch.tensor([30, 2, 2, 7, 9, 11, 35, 36, 1, 0, 5, 20])])
    found = training.train(arithmetic, training.Fit(pad(features), targets, rows), first, plan())
    few = training.Fit(pad(features[rows[1]]), targets[rows[1]])
    expected = training.train(arithmetic, few, tuple(w[1:] for w in first), plan(seeds=(8,)))
    torch.testing.assert_close(found[0][1:], expected[0], rtol=1e-5, atol=1e-6)
    assert training.num_steps(plan(), training.Fit(features, targets, rows)) == 3 * 2


def test_groups_that_fit_the_cache_train_the_same_heads(card, monkeypatch):
    features, targets = data("cross-entropy")
    arithmetic, _, first = heads_of(card, 1)
    fit = training.Fit(pad(features), targets)
    together = training.train(arithmetic, fit, first, plan())
    numbers = first[0].numel()
    assert [len(g.configurations) for g in training._groups(plan(), numbers, False)] == [2, 1, 1]
    monkeypatch.setattr(training, "_CACHE_BYTES", 1)
    assert [len(g.configurations) for g in training._groups(plan(), numbers, False)] == [1] * 4
    assert len(training._groups(plan(), numbers, on_gpu=True)) == 3  # one of each run of optimiser
    one_by_one = training.train(arithmetic, fit, first, plan())
    torch.testing.assert_close(one_by_one[0], together[0], rtol=1e-4, atol=1e-5)


def test_thread_count_is_left_as_it_was(card):
    features, targets = data("cross-entropy")
    arithmetic, _, first = heads_of(card, 1)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        training.train(arithmetic, training.Fit(pad(features), targets), first, plan(epochs=1))
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_a_head_is_taken_out_of_many(card):
    arithmetic, heads, first = heads_of(card, FRAMES)
    weights = tuple(torch.stack([w, w + 1, w + 2], dim=2) for w in first)
    alone = many_heads.take(weights, 1, 2)
    for found, w in zip(alone, arithmetic.first(heads[1]), strict=True):
        torch.testing.assert_close(found[0, :, 0], w + 2)


def test_there_is_arithmetic_for_image_level_heads_only():
    assert isinstance(many_heads.many(LinearHead), ManyLinear)
    with pytest.raises(SettingError, match=r"'linear' and 'fusion'.*got UNet"):
        many_heads.many(UNet)


def test_standardised_features_have_mean_0_and_deviation_1_and_dead_ones_are_0():
    draw = torch.Generator().manual_seed(0)
    features = torch.randn(100, 2, 3, generator=draw) * torch.tensor([1e-2, 1.0, 1e3]) + 7
    features[..., 1] = 0.1
    scale = Standardiser.fit(features)
    scaled = scale(features).numpy()
    np.testing.assert_allclose(scaled.mean(0), 0, atol=1e-3)
    np.testing.assert_allclose(scaled.std(0), [[1, 0, 1]] * 2, atol=1e-3)
    torch.testing.assert_close(scale.undo(scale(features)), features, rtol=1e-4, atol=1e-4)
    same = Standardiser.identity(features)(features)
    torch.testing.assert_close(same, features, rtol=0, atol=0)


def test_classes_have_no_scale_and_numbers_get_theirs_back():
    features, numbers = data("l1")
    scales = Scales.of(features, numbers * 50 + 7, standardise=True)
    trained_on = scales.scaled(numbers * 50 + 7)
    np.testing.assert_allclose(trained_on.std(0, correction=0).numpy(), 1, rtol=1e-4)
    torch.testing.assert_close(scales.answered(trained_on), numbers * 50 + 7, rtol=1e-4, atol=1e-3)
    classes = torch.tensor([2, 0, 1])
    scales = Scales.of(features[:3], classes, standardise=True)
    assert scales.scaled(classes) is classes
    assert scales.answered(torch.eye(3)[classes]).tolist() == [2, 0, 1]


def test_padding_holds_one_one_and_whole_lanes():
    for dim in (1, 7, 8, 9, 64):
        padded = pad(torch.full((2, 3, dim), 3.0))
        assert padded.shape[2] % 8 == 0
        assert padded.shape[2] - dim in range(1, 9)
        assert padded.shape[2] == many_heads.padded_length(dim)
        assert padded.sum().item() == 6 * (3 * dim + 1)


def test_the_grid_is_every_pair(class_task):
    grid = product(1e-3, (0.1, 10.0), (0.0, 0.5, 1.0))
    assert len(set(grid)) == 6
    assert [c.rate for c in grid] == pytest.approx([1e-4] * 3 + [1e-2] * 3)
    assert grid_of(class_task, ProbeSettings(protocol="paper")) == (Configuration(rate=1e-2),)
    sets = (HeadOptimizer(optimizer="sgd", learning_rate=0.5),)
    reference = ProbeSettings(protocol="reference", sets=sets)
    assert grid_of(class_task, reference) == (Configuration(optimizer="sgd", rate=0.5),)
