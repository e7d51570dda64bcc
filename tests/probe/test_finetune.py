"""Fine-tuning: a copy learns as a plain loop says, and the stored encoder stays as it is."""

import copy
import dataclasses

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from vireo.encoders.weights import weights_digest
from vireo.errors import TrainingError
from vireo.probe import finetune, probe
from vireo.probe.dense import permutation
from vireo.probe.examples import open_examples
from vireo.probe.frozen import Frozen
from vireo.probe.pixel_level import first_head
from vireo.records import ProbeSettings
from vireo.store.blocks import FeatureStore
from vireo.tasks.losses import masked_l1

SETTINGS = ProbeSettings(protocol="fine-tune", resamples=20, encoder_rate=0.3)


@pytest.fixture
def run(encoder, compute, tmp_path):
    def start(task, settings=SETTINGS, store="store"):
        return probe(encoder, task, settings, store=tmp_path / store, compute=compute)

    return start


@pytest.fixture
def make(encoder, compute, tmp_path):
    def frozen(task, settings=SETTINGS):
        return Frozen(
            encoder=encoder.freeze(),
            task=task,
            settings=settings,
            store=FeatureStore(tmp_path),
            compute=compute,
            workers=0,
        )

    return frozen


@pytest.mark.parametrize(
    ("name", "epochs"), [("class_task", 12), ("mask_task", 6), ("depth_task", 25)]
)
def test_a_copy_is_trained_and_the_encoder_stays_as_it_is(
    run, request, encoder, tmp_path, name, epochs
):
    task = dataclasses.replace(request.getfixturevalue(name), epochs=epochs)
    before = weights_digest(encoder)
    (row,) = run(task)
    assert weights_digest(encoder) == before
    assert not any(p.requires_grad for p in encoder.parameters())
    assert row.protocol == "fine-tune"
    assert row.score > row.floor
    assert row.n == 21
    facts = row.hyperparameters
    assert facts["encoder_learning_rate"] == pytest.approx(0.3 * facts["learning_rate"])
    assert facts["learning_rate"] == task.learning_rate
    assert facts["batch_norm"] == "statistics kept, scale and shift trained"
    assert facts["steps"] == epochs * 5
    assert facts["validation_images"] == 0
    assert not list((tmp_path / "store").rglob("block*"))
    assert run(task) == [row]


def plain_loop(frozen, task, loss_of, maps):
    """Fine-tune by hand: one pass an epoch in the probe's order, two rates, cosine."""
    encoder, head = copy.deepcopy(frozen.encoder).eval(), first_head(frozen, 3, "t").train()
    encoder.requires_grad_(True)
    source = open_examples(task, SETTINGS).fit.source
    optimizer = torch.optim.Adam(
        [
            {"params": head.parameters(), "lr": 1e-2},
            {"params": encoder.backbone.parameters(), "lr": 3e-3},
        ],
        foreach=False,
    )
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 10)
    for epoch in range(2):
        for batch in permutation("t", 3, epoch, 40).reshape(5, 8):
            images = np.stack([source.frames(i)[0] for i in batch])
            pixels = (torch.from_numpy(images).permute(0, 3, 1, 2) / 255 - 0.5) / 0.25
            targets = [torch.as_tensor(source.target(i, task.target)) for i in batch]
            optimizer.zero_grad()
            loss_of(head((encoder(pixels, maps),), (16, 16)), torch.stack(targets)).backward()
            optimizer.step()
            schedule.step()
    return encoder, head


def l1(prediction, target):
    valid = target.isfinite()[:, None]
    return masked_l1(prediction, target[:, None].nan_to_num(), valid)


@pytest.mark.parametrize(
    ("name", "loss_of", "maps"), [("class_task", F.cross_entropy, False), ("depth_task", l1, True)]
)
def test_it_equals_a_plain_loop(make, request, name, loss_of, maps):
    task = dataclasses.replace(request.getfixturevalue(name), epochs=2)
    frozen = make(task)
    encoder, head = plain_loop(frozen, task, loss_of, maps)
    own = dataclasses.replace(frozen, encoder=copy.deepcopy(frozen.encoder).requires_grad_(True))
    other = first_head(own, 3, "t")
    plan = dataclasses.replace(finetune._plan(own, 3, "t"), recolour=False)
    finetune.fine_tune(own, open_examples(task, SETTINGS), other, plan)
    for ours, theirs in ((own.encoder.backbone, encoder.backbone), (other, head)):
        for key, value in theirs.state_dict().items():
            torch.testing.assert_close(ours.state_dict()[key], value, rtol=2e-3, atol=2e-4)
    state, before = own.encoder.state_dict(), frozen.encoder.state_dict()
    kept = [name for name in before if torch.equal(state[name], before[name])]
    # statistics of batch norm, and nothing else
    assert {name.rsplit(".")[-1] for name in kept} == {
        "running_mean",
        "running_var",
        "num_batches_tracked",
    }


def test_the_rate_of_the_encoder_is_part_of_the_rows_identity_only_here(run, class_task):
    task = dataclasses.replace(class_task, epochs=1)
    (row,) = run(task)
    (other,) = run(task, dataclasses.replace(SETTINGS, encoder_rate=0.5))
    assert row.key != other.key
    paper = ProbeSettings(protocol="paper", resamples=20)
    (one,), (two,) = run(task, paper), run(task, dataclasses.replace(paper, encoder_rate=0.5))
    assert one == two


def test_a_network_that_diverges_is_said(run, class_task):
    task = dataclasses.replace(class_task, epochs=2, learning_rate=1e30)
    with pytest.raises(TrainingError, match="diverged while it was fine-tuned on 'blobs-class'"):
        run(task)


def test_max_steps_ends_fine_tuning_too(run, class_task):
    (row,) = run(dataclasses.replace(class_task, max_steps=3))
    assert row.hyperparameters["steps"] == 3
