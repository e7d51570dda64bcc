"""MoCo v1 against He et al. 2020 in NumPy, by its published optimiser; its views."""

import math

import pytest
from tests.oracles import losses as oracle
from tests.oracles.momentum_contrast import embed, state_of
from tests.tiny import tiny_encoder, view_batch
from torch import nn

from vireo.data.views.recipe import ColorJitter, Crop, Flip, Grayscale
from vireo.devices import Compute
from vireo.errors import SettingError
from vireo.methods.building import build_method
from vireo.methods.method import Progress
from vireo.methods.moco_v1 import MoCoV1, MoCoV1Settings
from vireo.pretrain.loop import train_step
from vireo.pretrain.optimizers import Optimizer

N, K = 4, 8
SETTINGS = MoCoV1Settings(image_size=8, queue_size=K, momentum=0.9, dimension=3, bn_splits=2)
CPU = Compute(device="cpu", precision="float32", threads=1, reason="test")


def build(settings=SETTINGS) -> MoCoV1:
    encoder = tiny_encoder(4, pixel=True)
    return build_method(
        MoCoV1, encoder, settings, num_examples=1000, num_classes=None, seed=0
    ).train()


def test_steps_before_and_after_the_rates_first_drop_equal_the_paper_in_numpy():
    method = build().double()
    optimizer = Optimizer(method, MoCoV1.published_optimizer(256))
    state = state_of(method, momentum=0.9)
    for step, epoch, rate in ((0, 119, 0.03), (1, 120, 0.003), (2, 160, 0.0003)):
        batch = view_batch(N, ((2, 2),), seed=step)
        views = batch.groups[0].double()
        batch = type(batch)(groups=(views,), index=batch.index)
        now = Progress(step=step, num_steps=200, epoch=epoch, num_epochs=200, digest="run")
        loss = train_step(method, optimizer, batch, now, compute=CPU).total.item()
        x_q, x_k = views.numpy()
        (k,) = state.keys([x_k], step)
        queue = list(state.queue)
        wanted = state.learn(
            lambda at, x=x_q, k=k, queue=queue: oracle.info_nce(embed(at, x)[0], k, queue, 0.07),
            rate=rate,
            decay=1e-4,
        )
        assert loss == pytest.approx(wanted, rel=1e-9 if step == 0 else 1e-6)
        state.enqueue(k)
    state.compare(method)


def test_the_projector_is_one_layer_and_the_temperature_the_first_papers():
    assert MoCoV1Settings().temperature == 0.07
    method = build()
    assert isinstance(method.projector, nn.Linear)
    assert method.no_information == pytest.approx(math.log(1 + K))


def test_views_are_crop_grey_jitter_flip_with_the_jitter_always():
    (view,) = build(MoCoV1Settings(queue_size=K)).views.views
    assert view.count == 2
    assert view.operations == (
        Crop(scale=(0.2, 1.0)),
        Grayscale(probability=0.2),
        ColorJitter(brightness=0.4, contrast=0.4, saturation=0.4, hue=0.4, probability=1.0),
        Flip(probability=0.5),
    )


def test_a_queue_that_the_batch_does_not_divide_is_refused():
    with pytest.raises(SettingError, match="Set queue_size = 64"):
        MoCoV1.check(
            MoCoV1Settings(queue_size=100), batch_size=64, num_examples=999, num_classes=None
        )
