"""MoCo v2 against He et al. 2020 in NumPy: the loss, two whole steps, what must not happen."""

import math

import numpy as np
import pytest
import torch
from tests.oracles import losses as oracle
from tests.oracles.networks import Arrays, linear, numeric_gradient, pixel_encoder, unit
from tests.oracles.optimizers import sgd
from tests.tiny import tiny_encoder, view_batch

from vireo import seeding
from vireo.devices import Compute
from vireo.errors import SettingError
from vireo.methods.building import build_method
from vireo.methods.method import Progress
from vireo.methods.moco_v2 import MoCoV2, MoCoV2Settings, info_nce
from vireo.pretrain.loop import train_step
from vireo.pretrain.optimizers import Optimizer
from vireo.records import OptimizerSettings

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


def arrays(method: MoCoV2, encoder: str, projector: str) -> Arrays:
    found = {}
    for prefix in (encoder, projector):
        for name, parameter in method.get_submodule(prefix).named_parameters():
            key = name if prefix == encoder else f"projector.{name}"
            found[key] = parameter.detach().numpy().copy()
    return found


def embed(parameters: Arrays, images: np.ndarray) -> tuple[np.ndarray, Arrays]:
    features, statistics = pixel_encoder(parameters, images, splits=2)
    hidden = linear(features, parameters["projector.0.weight"], parameters["projector.0.bias"])
    out = linear(
        np.maximum(hidden, 0), parameters["projector.2.weight"], parameters["projector.2.bias"]
    )
    return unit(out), statistics


def oracle_step(state: dict, views: np.ndarray, step: int, *, rate: float) -> float:
    """One step of algorithm 1 on (query, key, velocities, queue, statistics), all in NumPy."""
    query, key, queue = state["query"], state["key"], state["queue"]
    x_q, x_k = views
    for name in key:
        key[name] = 0.9 * key[name] + 0.1 * query[name]
    order = seeding.generator("run", "shuffle", 0, step).permutation(N)
    shuffled, statistics = embed(key, x_k[order])
    k = np.zeros_like(shuffled)
    for place, example in enumerate(order):
        k[example] = shuffled[place]
    for name in ("mean", "var"):
        state["key_bn"][name] = 0.9 * state["key_bn"][name] + 0.1 * statistics[name]

    def loss(parameters: Arrays) -> float:
        return oracle.info_nce(embed(parameters, x_q)[0], k, queue, 0.2)

    value, gradients = loss(query), numeric_gradient(loss, query)
    sgd(query, gradients, state["velocities"], rate=rate, decay=1e-2)
    for row in k:  # oldest out, newest in, at the pointer
        queue[state["pointer"]] = row
        state["pointer"] = (state["pointer"] + 1) % K
    return value


def test_two_whole_steps_equal_the_paper_in_numpy():
    method = build().double()
    settings = OptimizerSettings(learning_rate=0.5, weight_decay=1e-2, schedule="constant")
    optimizer = Optimizer(method, settings)
    state = {
        "query": arrays(method, "encoder", "projector"),
        "key": arrays(method, "key_encoder", "key_projector"),
        "key_bn": {"mean": np.zeros(4), "var": np.ones(4)},
        "velocities": {},
        "queue": method.queue.columns.T.numpy().copy(),
        "pointer": 0,
    }
    for step in range(2):
        batch = view_batch(N, ((2, 2),), seed=step)
        views = batch.groups[0].double()
        batch = type(batch)(groups=(views,), index=batch.index)
        now = Progress(step=step, num_steps=10, epoch=0, num_epochs=1, digest="run")
        loss = train_step(method, optimizer, batch, now, compute=CPU).total.item()
        wanted = oracle_step(state, views.numpy(), step, rate=0.5)
        assert loss == pytest.approx(wanted, rel=1e-9 if step == 0 else 1e-6)
    # Finite differences are good to about 1e-8; the second step's loss saw the first's update.
    for name, array in arrays(method, "encoder", "projector").items():
        np.testing.assert_allclose(array, state["query"][name], rtol=1e-6, atol=1e-7)
    for name, array in arrays(method, "key_encoder", "key_projector").items():
        np.testing.assert_allclose(array, state["key"][name], rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(method.queue.columns.T, state["queue"], rtol=1e-6, atol=1e-7)
    assert int(method.queue.pointer) == state["pointer"] == 0
    bn = method.key_encoder.backbone.bn
    np.testing.assert_allclose(bn.running_mean, state["key_bn"]["mean"], rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(bn.running_var, state["key_bn"]["var"], rtol=1e-6, atol=1e-7)


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


def test_no_batch_sees_its_own_keys_among_the_negatives():
    """With k = q and cold negatives the loss is 0; with the own key among them, at least ln 2."""
    cold = {"temperature": 1e-3, "bn_splits": 1}
    method, batch = build(MoCoV2Settings(**{**vars(SETTINGS), **cold})), view_batch(N, ((2, 2),))
    batch.groups[0][1] = batch.groups[0][0]
    now = Progress(step=0, num_steps=9, epoch=0, num_epochs=1)
    method.before_step(now)
    method.queue.columns.copy_(-method(batch).pending["keys"].mean(0)[:, None].expand(D, K))
    losses = method(batch)
    assert losses.total < 1e-3
    method.after_step(now, losses.pending)
    assert method(batch).total > math.log(2) - 1e-3


def test_the_queue_takes_the_keys_after_the_step_and_forgets_the_oldest():
    method, now = build(), Progress(step=0, num_steps=9, epoch=0, num_epochs=1)
    pushed = [torch.randn(N, D) for _ in range(3)]
    for keys in pushed:
        method.after_step(now, {"keys": keys})
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
        ({"momentum": 1.5}, 16, "momentum must be in"),
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
    for query, key in (("encoder", "key_encoder"), ("projector", "key_projector")):
        state = method.get_submodule(key).state_dict()
        for name, value in method.get_submodule(query).state_dict().items():
            assert torch.equal(value, state[name])
    norms = method.queue.columns.norm(dim=0)
    torch.testing.assert_close(norms, torch.ones_like(norms))


def test_a_queue_longer_than_the_images_is_said(capsys):
    build_method(MoCoV2, tiny_encoder(), SETTINGS, num_examples=K, num_classes=None, seed=0)
    assert "earlier keys are among its negatives" in capsys.readouterr().err
