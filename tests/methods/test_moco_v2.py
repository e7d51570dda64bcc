"""MoCo v2 against He et al. 2020 in NumPy: the loss, two whole steps, what must not happen."""

import math

import numpy as np
import pytest
import torch
from tests.oracles import losses as oracle
from tests.oracles.momentum_contrast import Contrast, embed, state_of
from tests.oracles.networks import Arrays
from tests.tiny import tiny_encoder, view_batch

from vireo.data.views.published import multi_crop
from vireo.devices import Compute
from vireo.errors import SettingError
from vireo.methods.building import build_method
from vireo.methods.method import Progress
from vireo.methods.moco_v2 import MoCoV2, MoCoV2Settings
from vireo.methods.momentum_contrast import contrast_terms, info_nce
from vireo.pretrain.loop import train_step
from vireo.pretrain.optimizers import Optimizer

N, K, D = 4, 8, 3
SETTINGS = MoCoV2Settings(
    image_size=8, queue_size=K, momentum=0.9, dimension=D, hidden_size=5, bn_splits=2
)
CPU = Compute(device="cpu", precision="float32", threads=1, reason="test")


def build(settings=SETTINGS, *, pixel=True, seed=0) -> MoCoV2:
    encoder = tiny_encoder(4, seed=seed, pixel=pixel)
    return build_method(
        MoCoV2, encoder, settings, num_examples=1000, num_classes=None, seed=seed
    ).train()


def oracle_step(state: Contrast, groups, step: int, *, symmetric: bool, rate: float) -> float:
    """One step on the two views and any small crops; every loss reads the queue of before."""
    (x_0, x_1), small = groups[0], [crop for group in groups[1:] for crop in group]
    pairs = [(x_0, x_1), (x_1, x_0)] if symmetric else [(x_0, x_1)]
    keys, queue = state.keys([key for _, key in pairs], step), list(state.queue)

    def loss(parameters: Arrays) -> float:
        total = 0.0
        # All small crops go through one pass, whose batch norm they share.
        q_small = embed(parameters, np.concatenate(small))[0].reshape(-1, N, D) if small else []
        for (query, _), k in zip(pairs, keys, strict=True):
            q = [embed(parameters, query)[0], *q_small]
            total += sum(oracle.info_nce(each, k, queue, 0.2) for each in q) / len(q)
        return total

    value = state.learn(loss, rate=rate, decay=1e-4)
    for k in reversed(keys):  # the first view's keys, if any, stand before the second's
        state.enqueue(k)
    return value


@pytest.mark.parametrize(("symmetric", "local"), [(False, 0), (True, 0), (False, 3), (True, 2)])
def test_two_whole_steps_equal_the_paper_in_numpy(symmetric, local):
    changes = {"symmetric": symmetric, "local_crops": local}
    method = build(MoCoV2Settings(**{**vars(SETTINGS), **changes})).double()
    optimizer = Optimizer(method, MoCoV2.published_optimizer(256))
    state = state_of(method, momentum=0.9)
    shapes = ((2, 2), (local, 1)) if local else ((2, 2),)
    for step, rate in ((0, 0.03), (1, 0.015)):  # the cosine's halves
        batch = view_batch(N, shapes, seed=step)
        groups = tuple(group.double() for group in batch.groups)
        batch = type(batch)(groups=groups, index=batch.index)
        now = Progress(step=step, num_steps=2, epoch=step, num_epochs=2, digest="run")
        loss = train_step(method, optimizer, batch, now, compute=CPU).total.item()
        crops = [group.numpy() for group in groups]
        wanted = oracle_step(state, crops, step, symmetric=symmetric, rate=rate)
        assert loss == pytest.approx(wanted, rel=1e-9 if step == 0 else 1e-6)
    # The second step's loss saw the first's update.
    state.compare(method)
    assert state.pointer == 0


def test_the_shuffle_changes_which_keys_share_statistics():
    method, batch = build(pixel=False), view_batch(8)
    method.before_step(Progress(step=0, num_steps=9, epoch=0, num_epochs=1, digest="a"))
    first = method(batch).pending["keys"]
    method.before_step(Progress(step=1, num_steps=9, epoch=0, num_epochs=1, digest="a"))
    assert not torch.allclose(first, method(batch).pending["keys"], atol=1e-4)


def test_without_splits_the_shuffle_changes_nothing():
    method = build(MoCoV2Settings(image_size=8, queue_size=8, bn_splits=1), pixel=False)
    batch, keys = view_batch(8), []
    for step in range(2):
        method.before_step(Progress(step=step, num_steps=9, epoch=0, num_epochs=1, digest="a"))
        keys.append(method(batch).pending["keys"])
    torch.testing.assert_close(keys[0], keys[1])


@pytest.mark.parametrize("symmetric", [False, True])
def test_no_batch_sees_its_own_keys_among_the_negatives(symmetric):
    """With k = q and cold negatives the loss is 0; with the own key among them, at least ln 2.

    A symmetric step whose second loss found the keys of the first would have that too.
    """
    cold = {"temperature": 1e-3, "bn_splits": 1, "symmetric": symmetric}
    method, batch = build(MoCoV2Settings(**{**vars(SETTINGS), **cold})), view_batch(N, ((2, 2),))
    batch.groups[0][1] = batch.groups[0][0]
    now = Progress(step=0, num_steps=9, epoch=0, num_epochs=1)
    method.before_step(now)
    method.queue.columns.copy_(-method(batch).pending["keys"].mean((0, 1))[:, None].expand(D, K))
    losses = method(batch)
    assert losses.total < 1e-3
    method.after_step(now, losses.pending)
    assert method(batch).total > math.log(2) - 1e-3


def test_the_queue_takes_the_keys_after_the_step_and_forgets_the_oldest():
    method, now = build(), Progress(step=0, num_steps=9, epoch=0, num_epochs=1)
    pushed = [torch.randn(N, D) for _ in range(3)]
    for keys in pushed:
        method.after_step(now, {"keys": keys[:, None]})
    assert torch.equal(method.queue.columns, torch.cat([pushed[2], pushed[1]]).T)
    assert int(method.queue.pointer) == N


@pytest.mark.parametrize("T", [0.07, 0.2])
def test_loss_at_perfect_alignment_is_the_analytic_one(T):
    """q = k against many random unit keys in d dimensions: their similarities have a known law.

    E exp(s / T) for s = cosine with a random direction is 0F1(d/2; 1/(4 T^2)).
    """
    from scipy.special import hyp0f1

    K, d, draw = 65536, 128, torch.Generator().manual_seed(0)
    queue = torch.nn.functional.normalize(torch.randn(d, K, generator=draw), dim=0)
    q = torch.nn.functional.normalize(torch.randn(16, d, generator=draw), dim=1)
    loss, _ = info_nce(q, q, queue, T)
    wanted = math.log(1 + K * hyp0f1(d / 2, 1 / (4 * T**2)) * math.exp(-1 / T))
    assert loss.item() == pytest.approx(wanted, rel=0.02)


def test_loss_equals_the_loop():
    draw = torch.Generator().manual_seed(1)
    q, k = (torch.randn(5, 7, generator=draw, dtype=torch.float64) for _ in range(2))
    queue = torch.randn(7, 11, generator=draw, dtype=torch.float64)
    wanted = oracle.info_nce(q.numpy(), k.numpy(), queue.T.numpy(), 0.3)
    assert info_nce(q, k, queue, 0.3)[0].item() == pytest.approx(wanted, rel=1e-12)


@pytest.mark.parametrize(
    ("changes", "batch_size", "message"),
    [
        ({"queue_size": 100}, 64, "queue_size must be a multiple of batch_size; got 100 and 64"),
        ({"queue_size": 32}, 64, "Set queue_size = 64"),
        ({"bn_splits": 8}, 12, "bn_splits must divide"),
        ({"bn_splits": 8}, 8, "parts of at least 2"),
        ({"bn_splits": 0}, 8, "bn_splits must divide"),
        ({"symmetric": True, "queue_size": 48}, 16, "multiple of twice batch_size, as both"),
        ({"symmetric": True, "queue_size": 48}, 16, "Set queue_size = 32"),
        ({"momentum": 1.5}, 16, "momentum must be in"),
        ({"local_crops": -1}, 16, "local_crops must be 0 or more"),
        ({"local_crops": 2, "local_size": 224}, 16, "local_size below image_size"),
        ({"temperature": 0.0}, 16, "temperature above 0"),
    ],
)
def test_settings_that_cannot_work_are_refused_before_any_work(changes, batch_size, message):
    settings = MoCoV2Settings(**{"queue_size": batch_size * 4, **changes})
    with pytest.raises(SettingError, match=message):
        MoCoV2.check(settings, batch_size=batch_size, num_examples=99, num_classes=None)


def test_paper_settings_pass_at_the_papers_batch():
    settings = MoCoV2Settings()
    MoCoV2.check(settings, batch_size=256, num_examples=1281167, num_classes=None)
    optimizer = MoCoV2.published_optimizer(256)
    assert (optimizer.learning_rate, optimizer.weight_decay) == (0.03, 1e-4)
    assert MoCoV2.published_optimizer(128).learning_rate == 0.015


def test_the_key_network_starts_as_the_query_network_heads_included():
    method = build()
    for part in ("encoder", "projector"):
        state = method.key_network.get_submodule(part).state_dict()
        for name, value in method.get_submodule(part).state_dict().items():
            assert torch.equal(value, state[name])
    norms = method.queue.columns.norm(dim=0)
    torch.testing.assert_close(norms, torch.ones_like(norms))


def test_both_views_keys_enter_the_queue_once_after_both_losses():
    method = build(MoCoV2Settings(**{**vars(SETTINGS), "symmetric": True, "bn_splits": 1}))
    batch, now = view_batch(N, ((2, 2),)), Progress(step=0, num_steps=9, epoch=0, num_epochs=1)
    before = method.queue.columns.clone()
    losses = method(batch)
    assert torch.equal(method.queue.columns, before)
    with torch.no_grad():
        keys = [
            torch.nn.functional.normalize(
                method.key_network.projector(method.key_network.encoder(view).pooled), dim=1
            )
            for view in batch.groups[0]
        ]
    method.after_step(now, losses.pending)
    torch.testing.assert_close(method.queue.columns.T, torch.cat(keys))


def test_a_symmetric_loss_without_information_is_twice_that_of_one_way():
    one, two = build(), build(MoCoV2Settings(**{**vars(SETTINGS), "symmetric": True}))
    assert one.no_information == pytest.approx(math.log(1 + K))
    assert two.no_information == pytest.approx(2 * math.log(1 + K))


def test_small_crops_bring_swavs_views():
    settings = MoCoV2Settings(queue_size=K, local_crops=6, crop_scale=(0.14, 1.0))
    views = build(settings).views
    assert views.views == multi_crop(224).views
    sides = [view.side for view in build(MoCoV2Settings(local_crops=1, local_size=64)).views.views]
    assert sides == [224, 64]


def test_terms_are_of_the_positives_and_of_the_negatives():
    T, nothing = 0.5, -math.inf
    logits = torch.tensor([[2.0, 1.0, -1.0], [0.0, 1.0, nothing]])
    got = {name: value.item() for name, value in contrast_terms(logits, T).items()}
    wanted = {"accuracy": 0.5, "positive_similarity": 0.5, "negative_similarity": 1 / 3 * T}
    assert got == pytest.approx(wanted)


def test_a_queue_longer_than_the_images_is_said(capsys):
    build_method(MoCoV2, tiny_encoder(), SETTINGS, num_examples=K, num_classes=None, seed=0)
    assert "earlier keys are among its negatives" in capsys.readouterr().err
