"""Many linear heads at once against each trained alone by torch's own optimisers."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from vireo.probe import linear


def plan(**changes) -> linear.Plan:
    facts = {
        "rates": (1e-3, 1e-2, 1e-2),
        "decays": (0.0, 0.0, 0.3),
        "seeds": (3, 8),
        "epochs": 4,
        "batch_size": 10,
        "digest": "task",
        "cosine": True,
    }
    return linear.Plan(**(facts | changes))


def starts(classes=4, dim=5, seeds=2):
    draw = torch.Generator().manual_seed(1)
    heads = [torch.randn(classes, dim + 1, generator=draw) for _ in range(seeds)]
    return torch.stack([torch.nn.functional.pad(h, (0, 2)) for h in heads]), heads


def alone(features, labels, head, p, seed, config):
    """The same head by nn.Linear, autograd and torch.optim, one batch after the other."""
    layer = nn.Linear(5, 4)
    layer.weight.data, layer.bias.data = head[:, :5].clone(), head[:, 5].clone()
    decay = p.decays[config]
    kind = torch.optim.AdamW if decay else torch.optim.Adam
    optimizer = kind(layer.parameters(), lr=p.rates[config], weight_decay=decay)
    weights = torch.tensor(p.class_weights) if p.class_weights else None
    loss_of = nn.CrossEntropyLoss(weights)
    steps = p.epochs * math.ceil(len(labels) / p.batch_size)
    if p.cosine:
        scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for epoch in range(p.epochs):
        order = torch.from_numpy(linear.permutation(p.digest, seed, epoch, len(labels)))
        for chosen in order.split(p.batch_size):
            optimizer.zero_grad()
            loss_of(layer(features[chosen]), labels[chosen]).backward()
            optimizer.step()
            if p.cosine:
                scheduler.step()
    return torch.cat([layer.weight.detach(), layer.bias.detach()[:, None]], dim=1)


@pytest.mark.parametrize("cosine", [True, False])
@pytest.mark.parametrize("class_weights", [(), (0.1, 1.0, 2.0, 1.0)])
def test_heads_together_equal_each_head_alone(some_features, cosine, class_weights):
    features, labels = some_features
    p = plan(cosine=cosine, class_weights=class_weights)
    start, heads = starts()
    together = linear.train(linear.pad(features), labels, start, p)
    for place, seed in enumerate(p.seeds):
        for config in range(3):
            expected = alone(features, labels, heads[place], p, seed, config)
            torch.testing.assert_close(
                together[place, config, :, :6], expected, rtol=1e-4, atol=1e-5
            )
    assert not together[..., 6:].any()


def test_a_seed_does_not_depend_on_which_others_are_trained(some_features):
    features, labels = some_features
    start, _ = starts()
    both = linear.train(linear.pad(features), labels, start, plan())
    second = linear.train(linear.pad(features), labels, start[1:], plan(seeds=(8,)))
    torch.testing.assert_close(both[1:], second, rtol=1e-5, atol=1e-6)
    assert not torch.equal(both[0], both[1])


def test_gradient_equals_autograd(some_features):
    features, labels = some_features
    x = linear.pad(features).view(2, 24, 8)
    y, weight = labels.view(2, 24), torch.rand(2, 24)
    weights = torch.randn(2, 4, 3, 8, requires_grad=True)  # seeds classes configs padded
    logits = torch.einsum("sbd,skgd->sgkb", x, weights)
    losses = nn.functional.cross_entropy(
        logits.flatten(0, 1), y.repeat_interleave(3, 0), reduction="none"
    ).view(2, 3, 24)
    (losses * (weight / weight.sum(1, keepdim=True))[:, None]).sum().backward()
    torch.testing.assert_close(
        linear.gradient_of(weights.detach(), x, y, weight), weights.grad, rtol=1e-4, atol=1e-6
    )
    nothing = linear.gradient_of(weights.detach(), x, y, torch.zeros(2, 24))
    assert not nothing.any()


def test_scores_equal_a_loop(some_features):
    features, labels = some_features
    heads = torch.randn(2, 3, 4, 8, generator=torch.Generator().manual_seed(4))
    accuracy, loss = linear.scores(heads, linear.pad(features), labels)
    for seed in range(2):
        for config in range(3):
            logits = linear.pad(features) @ heads[seed, config].T
            right = sum(int(row.argmax()) == int(y) for row, y in zip(logits, labels, strict=True))
            assert accuracy[seed, config] == pytest.approx(right / 48)
            assert loss[seed, config] == pytest.approx(
                float(nn.functional.cross_entropy(logits, labels)), rel=1e-5
            )


def test_standardised_features_have_mean_0_and_deviation_1_and_dead_ones_are_0():
    draw = torch.Generator().manual_seed(0)
    features = torch.randn(100, 3, generator=draw) * torch.tensor([1e-2, 1.0, 1e3]) + 7
    features[:, 1] = 0.1
    scaled = linear.Standardiser.fit(features)(features).numpy()
    np.testing.assert_allclose(scaled.mean(0), 0, atol=1e-3)
    np.testing.assert_allclose(scaled.std(0), [1, 0, 1], atol=1e-3)
    same = linear.Standardiser.identity(features)(features)
    torch.testing.assert_close(same, features, rtol=0, atol=0)


def test_padding_holds_one_one_and_whole_lanes():
    for dim in (1, 7, 8, 9, 64):
        padded = linear.pad(torch.full((2, dim), 3.0))
        assert padded.shape[1] % 8 == 0
        assert padded.shape[1] - dim in range(1, 9)
        assert padded.sum().item() == 2 * (3 * dim + 1)


def test_the_grid_is_every_pair():
    rates, decays = linear.configurations(1e-3, (0.1, 10.0), (0.0, 0.5, 1.0))
    assert len(set(zip(rates, decays, strict=True))) == 6
    assert rates == pytest.approx((1e-4,) * 3 + (1e-2,) * 3)


def test_thread_count_is_left_as_it_was(some_features):
    features, labels = some_features
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        linear.train(linear.pad(features), labels, starts()[0], plan(epochs=1))
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_groups_that_fit_the_cache_train_the_same_heads(some_features, monkeypatch):
    features, labels = linear.pad(some_features[0]), some_features[1]
    start, whole = starts()[0], plan()
    together = linear.train(features, labels, start, whole)
    monkeypatch.setattr(linear, "_CACHE_BYTES", 1)
    assert len(linear._groups(whole, start.numel(), on_gpu=False)) == len(whole.rates) == 3
    assert linear._groups(whole, start.numel(), on_gpu=True) == [whole]
    one_by_one = linear.train(features, labels, start, whole)
    torch.testing.assert_close(one_by_one, together, rtol=1e-4, atol=1e-5)
