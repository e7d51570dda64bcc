"""Exemplar-v2 against Zhao et al. 2021 in NumPy: MoCo whose negatives are of other classes."""

import math

import numpy as np
import pytest
import torch
from tests.oracles.momentum_contrast import embed, state_of
from tests.tiny import tiny_encoder, view_batch

from vireo.devices import Compute
from vireo.errors import SettingError
from vireo.methods.building import build_method
from vireo.methods.exemplar_v2 import ExemplarV2, ExemplarV2Settings
from vireo.methods.method import Progress
from vireo.pretrain.loop import train_step
from vireo.pretrain.optimizers import Optimizer

N, K, D, CLASSES = 4, 8, 3, 2
SETTINGS = ExemplarV2Settings(
    image_size=8, queue_size=K, momentum=0.9, dimension=D, hidden_size=5, bn_splits=2
)
CPU = Compute(device="cpu", precision="float32", threads=1, reason="test")


def build(settings=SETTINGS) -> ExemplarV2:
    encoder = tiny_encoder(4, pixel=True)
    return build_method(
        ExemplarV2, encoder, settings, num_examples=1000, num_classes=CLASSES, seed=0
    ).train()


def labelled(step: int):
    batch = view_batch(N, ((2, 2),), classes=CLASSES, seed=step)
    groups = (batch.groups[0].double(),)
    return type(batch)(groups=groups, index=batch.index, label=batch.label)


def exemplar_loss(q, k, label, queue, queue_labels) -> float:
    """The formula by a double loop: a key counts if its label is another, or none."""
    total = 0.0
    for i in range(len(q)):
        positive = np.exp(q[i] @ k[i] / 0.2)
        others = [j for j in range(len(queue)) if queue_labels[j] != label[i]]
        negatives = sum(np.exp(q[i] @ queue[j] / 0.2) for j in others)
        total -= np.log(positive / (positive + negatives))
    return total / len(q)


def test_three_whole_steps_equal_the_formula_in_numpy():
    """In the third the queue holds labelled keys alone; the first sees random columns."""
    method = build().double()
    optimizer = Optimizer(method, ExemplarV2.published_optimizer(256))
    state = state_of(method, momentum=0.9)
    state.labels = [-1] * K
    for step in range(3):
        batch = labelled(step)
        now = Progress(step=step, num_steps=8, epoch=0, num_epochs=2, digest="run")
        loss = train_step(method, optimizer, batch, now, compute=CPU).total.item()
        x_q, x_k = batch.groups[0].numpy()
        y = batch.label.tolist()
        (k,) = state.keys([x_k], step)
        queue, labels = list(state.queue), list(state.labels)
        wanted = state.learn(
            lambda at, x=x_q, k=k, y=y, queue=queue, labels=labels: exemplar_loss(
                embed(at, x)[0], k, y, queue, labels
            ),
            rate=0.03,
            decay=1e-4,
        )
        assert loss == pytest.approx(wanted, rel=1e-9 if step == 0 else 1e-6)
        state.enqueue(k, y)
    state.compare(method)
    assert method.labels.tolist() == state.labels
    assert set(state.labels) == {0, 1}, "the test has keys to leave out"


def test_random_columns_are_of_no_class_and_labels_go_where_their_keys_go():
    method, now = build(), Progress(step=0, num_steps=9, epoch=0, num_epochs=1)
    assert method.labels.tolist() == [-1] * K
    method.after_step(now, {"keys": torch.randn(N, D), "labels": torch.tensor([0, 1, 1, 0])})
    assert method.labels.tolist() == [0, 1, 1, 0, -1, -1, -1, -1]


def test_a_queue_of_the_queries_own_class_has_no_negatives():
    method, batch = build().double(), labelled(0)
    method.labels.fill_(1)
    batch.label.fill_(1)
    losses = method(batch)
    assert losses.total.item() == 0
    losses.total.backward()
    gradients = [p.grad for p in method.encoder.parameters()]
    assert all(torch.equal(g, torch.zeros_like(g)) for g in gradients)
    assert losses.terms["negative_similarity"].item() == 0


def test_negative_similarity_is_of_other_classes_alone():
    method, batch = build().double(), labelled(0)
    method.labels.copy_(torch.tensor([0, 1] * 4))
    with torch.no_grad():
        losses = method(batch)
        features = method.encoder(batch.groups[0][0]).pooled
        q = torch.nn.functional.normalize(method.projector(features), dim=1)
    pairs = [(i, j) for i in range(N) for j in range(K) if batch.label[i] != method.labels[j]]
    wanted = sum((q[i] @ method.queue.columns[:, j]).item() for i, j in pairs) / len(pairs)
    assert losses.terms["negative_similarity"].item() == pytest.approx(wanted)


def test_the_level_of_no_information_counts_other_classes_alone():
    assert build().no_information == pytest.approx(math.log(1 + K / 2))


@pytest.mark.parametrize("classes", [None, 1])
def test_images_without_classes_are_refused(classes):
    settings = ExemplarV2Settings()
    with pytest.raises(SettingError, match="needs images with at least two classes"):
        ExemplarV2.check(settings, batch_size=256, num_examples=10**6, num_classes=classes)


def test_a_queue_that_the_batch_does_not_divide_is_refused():
    with pytest.raises(SettingError, match="Set queue_size = 64"):
        ExemplarV2.check(
            ExemplarV2Settings(queue_size=100), batch_size=64, num_examples=999, num_classes=2
        )
