"""A training step of a dense head never waits for the device: torch itself would say so."""

import contextlib
import dataclasses

import numpy as np
import pytest
import torch

from vireo import devices
from vireo.data import Source
from vireo.probe import dense, finetune
from vireo.probe.examples import Examples, Part
from vireo.probe.frozen import Frozen, loss_of
from vireo.probe.grid import Configuration
from vireo.probe.maps import Recomputed
from vireo.probe.pixel_level import first_head
from vireo.probe.pixels import Draws
from vireo.records import ProbeSettings
from vireo.tasks import LOSSES

MASKS = {"target": "mask", "outputs": 3, "class_weights": (1.0, 0.1, 1.0)}
DEPTHS = {"target": "depth", "head": "unet", "loss": "l1", "metric": "l1"} | {
    "outputs": 1,
    "higher_is_better": False,
}


class Noise(Source):
    """Noise of two sizes, with codes or depths of noise."""

    name, digest, targets, class_names = "noise", "noise", ("mask", "depth"), ()

    def __len__(self):
        return 8

    def _drawn(self, index):
        return np.random.default_rng(index), (40 + index % 2 * 8, 56)

    def frames(self, index):
        rng, size = self._drawn(index)
        return (rng.integers(0, 256, size=(*size, 3)).astype(np.uint8),)

    def target(self, index, name):
        rng, size = self._drawn(index)
        codes = rng.integers(0, 3, size=size)
        return codes if name == "mask" else codes.astype(np.float32)

    def label(self, index):
        return f"{index}.png"


@contextlib.contextmanager
def no_waiting():
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


def frozen_on(device, encoder, mask_task, changes):
    task = dataclasses.replace(
        mask_task,
        **{"crop": (32, 48), "scale": (0.5, 2.0), "mirror": 0.5, "batch_size": 4} | changes,
    )
    compute = devices.choose(device)
    return Frozen(
        encoder=encoder.freeze().to(compute.torch_device),
        task=task,
        settings=ProbeSettings(protocol="paper"),
        store=None,
        compute=compute,
        workers=0,
    )


@pytest.mark.gpu
@pytest.mark.parametrize("changes", [MASKS, DEPTHS], ids=["mask", "depth"])
def test_a_step_of_a_dense_head_does_not_wait_for_the_device(encoder, mask_task, changes):
    frozen = frozen_on("cuda", encoder, mask_task, changes)
    maps = Recomputed(frozen, Part(source=Noise(), split="train", rows=np.arange(8)))
    head = first_head(frozen, 0, "t").cuda().train()
    loss, optimizer = loss_of(frozen), dense._optimizer(head, Configuration(rate=1e-3))
    for epoch in range(2):  # what is made at the first use may wait
        with no_waiting() if epoch else contextlib.nullcontext():
            draws = Draws(digest="d", epoch=epoch, recolour=True)
            for batch in maps.batches(np.arange(8), draws):
                dense._step(frozen, head, batch, optimizer, loss=loss)
    assert dense.is_finite(head)


@pytest.mark.gpu
def test_a_step_of_fine_tuning_does_not_wait_either(encoder, mask_task):
    frozen = frozen_on("cuda", encoder, mask_task, MASKS)
    frozen.encoder.requires_grad_(True)
    part = Part(source=Noise(), split="train", rows=np.arange(8))
    examples = Examples(fit=part, validation=None, test=part, extra={})
    head, loss = first_head(frozen, 0, "t").cuda().train(), loss_of(frozen)
    optimizer, plan = finetune._optimizer(frozen, head), finetune._plan(frozen, 0, "d")
    for epoch in range(2):
        with no_waiting() if epoch else contextlib.nullcontext():
            for batch in finetune._epoch(frozen, examples, plan, 0):
                prediction = finetune._predict(frozen, head, batch)
                optimizer.zero_grad()
                loss(prediction, batch.target, batch.valid).backward()
                optimizer.step()
    assert dense.is_finite(head)


class WaitError(AssertionError):
    """Something asked the device for a number."""


@pytest.mark.parametrize("changes", [MASKS, DEPTHS], ids=["mask", "depth"])
def test_a_step_reads_no_number_of_a_tensor(encoder, mask_task, changes, monkeypatch):
    """What can be told without a GPU: nothing after the loader calls `item`, `tolist`, `numpy`."""
    frozen = frozen_on("cpu", encoder, mask_task, changes)
    part = Part(source=Noise(), split="train", rows=np.arange(8))
    head = first_head(frozen, 0, "t").train()
    loss, optimizer = loss_of(frozen), torch.optim.SGD(head.parameters(), lr=0.1)
    batches = Recomputed(frozen, part).batches(
        np.arange(8), Draws(digest="d", epoch=0, recolour=True)
    )

    def asked(*_):
        raise WaitError

    assert frozen.task.loss in LOSSES
    import vireo.probe.pixels as pixels

    loaded = list(pixels.load(frozen, part.source, part.rows, resize=False))
    monkeypatch.setattr(pixels, "load", lambda *a, **k: iter(loaded))
    monkeypatch.setattr(pixels, "_sizes", lambda batch: np.array([[40, 56]] * len(batch.index)))
    for name in ("item", "tolist", "__bool__", "__float__", "__int__", "nonzero", "cpu"):
        monkeypatch.setattr(torch.Tensor, name, asked)
    for batch in batches:
        dense._step(frozen, head, batch, optimizer, loss=loss)
    with pytest.raises(WaitError):
        bool(loaded[0].images.sum() > 0)
