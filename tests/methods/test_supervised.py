"""Supervised pre-training against a loop in NumPy, and what it asks of the images."""

import numpy as np
import pytest
import torch
from tests.oracles import losses as oracle
from tests.oracles.networks import Arrays, linear, numeric_gradient, pixel_encoder
from tests.oracles.optimizers import sgd
from tests.tiny import tiny_encoder, view_batch

from vireo.data.views.recipe import ColorJitter
from vireo.devices import Compute
from vireo.errors import SettingError
from vireo.methods.building import build_method
from vireo.methods.method import Progress
from vireo.methods.supervised import Supervised, SupervisedSettings
from vireo.pretrain.loop import train_step
from vireo.pretrain.optimizers import Optimizer
from vireo.records import OptimizerSettings

CPU = Compute(device="cpu", precision="float32", threads=1, reason="test")


def build(settings: SupervisedSettings, num_classes: int | None = 3) -> Supervised:
    encoder = tiny_encoder(4, pixel=True)
    return build_method(
        Supervised, encoder, settings, num_examples=9, num_classes=num_classes, seed=0
    ).train()


def logits(parameters: Arrays, images: np.ndarray) -> np.ndarray:
    features, _ = pixel_encoder(parameters, images)
    return linear(features, parameters["classifier.weight"], parameters["classifier.bias"])


def test_two_whole_steps_equal_the_loop_in_numpy():
    method = build(SupervisedSettings(image_size=8)).double()
    settings = OptimizerSettings(
        learning_rate=0.3, weight_decay=1e-2, nesterov=True, schedule="constant"
    )
    optimizer = Optimizer(method, settings)
    parameters = {n: p.detach().numpy().copy() for n, p in method.encoder.named_parameters()}
    velocities: Arrays = {}
    for step in range(2):
        batch = view_batch(6, ((1, 2),), classes=3, seed=step)
        views = batch.groups[0].double()
        batch = type(batch)(groups=(views,), index=batch.index, label=batch.label)
        now = Progress(step=step, num_steps=2, epoch=0, num_epochs=1)
        loss = train_step(method, optimizer, batch, now, compute=CPU)
        images, truth = views[0].numpy(), np.eye(3)[batch.label.numpy()]
        value = oracle.cross_entropy(logits(parameters, images), truth)
        assert loss.total.item() == pytest.approx(value, rel=1e-6)
        guessed = logits(parameters, images).argmax(1)
        assert loss.terms["accuracy"].item() == pytest.approx(
            (guessed == batch.label.numpy()).mean()
        )
        gradients = numeric_gradient(
            lambda at, x=images, y=truth: oracle.cross_entropy(logits(at, x), y), parameters
        )
        sgd(parameters, gradients, velocities, rate=0.3, decay=1e-2, nesterov=True)
    for name, parameter in method.encoder.named_parameters():
        np.testing.assert_allclose(
            parameter.detach().numpy(), parameters[name], rtol=1e-6, atol=1e-7
        )


@pytest.mark.parametrize("classes", [None, 1])
def test_images_without_classes_are_refused(classes):
    settings = SupervisedSettings()
    with pytest.raises(SettingError, match="needs images with at least two classes"):
        Supervised.check(settings, batch_size=4, num_examples=9, num_classes=classes)
    with pytest.raises(SettingError, match="needs images with at least two classes"):
        build(settings, classes)


def test_colours_change_only_if_asked_for():
    def jitters(settings):
        operations = build(settings).views.views[0].operations
        return [op for op in operations if isinstance(op, ColorJitter)]

    assert jitters(SupervisedSettings()) == []
    assert [op.brightness for op in jitters(SupervisedSettings(jitter=0.4))] == [0.4]
    with pytest.raises(SettingError, match="jitter must not be below 0"):
        Supervised.check(
            SupervisedSettings(jitter=-0.1), batch_size=4, num_examples=9, num_classes=3
        )


def test_published_rate_follows_the_batch():
    small, large = Supervised.published_optimizer(256), Supervised.published_optimizer(8192)
    assert (small.learning_rate, small.warmup_epochs, small.nesterov) == (0.1, 0.0, True)
    assert (large.learning_rate, large.warmup_epochs) == (pytest.approx(3.2), 5.0)


def test_loss_is_float32_under_autocast():
    method = build(SupervisedSettings(image_size=8))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert method(view_batch(6, ((1, 2),), classes=3)).total.dtype == torch.float32
