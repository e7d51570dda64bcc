"""Dense heads: trained together as alone, from kept or recomputed maps, chosen by sizes alone."""

import dataclasses

import numpy as np
import pytest
import torch

from vireo.errors import DataError
from vireo.probe import dense
from vireo.probe.augment import recolour
from vireo.probe.examples import open_examples
from vireo.probe.frozen import Frozen
from vireo.probe.grid import Configuration
from vireo.probe.maps import flops_each, map_bytes, open_maps, plan_features
from vireo.probe.pixel_level import answer_pixels
from vireo.records import HeadOptimizer, ProbeSettings
from vireo.store.blocks import FeatureStore
from vireo.tasks.checks import head_of
from vireo.tasks.heads import initialised
from vireo.tasks.losses import masked_l1

SETTINGS = ProbeSettings(protocol="tuned")


@pytest.fixture
def frozen(encoder, depth_task, compute, tmp_path):
    return Frozen(
        encoder=encoder.freeze(),
        task=depth_task,
        settings=SETTINGS,
        store=FeatureStore(tmp_path),
        compute=compute,
        workers=0,
    )


def plan(**changes):
    facts = {
        "grid": (Configuration(rate=1e-3), Configuration(rate=1e-2, decay=0.1)),
        "seed": 0,
        "digest": "t",
        "cosine": True,
        "recolour": False,
    }
    return dense.DensePlan(**(facts | changes))


def first(frozen):
    return initialised(head_of(frozen.task), frozen.encoder.card, frozen.task.outputs, 7)


def test_heads_together_equal_each_trained_alone_by_a_plain_loop(frozen):
    part = open_examples(frozen.task, SETTINGS).fit
    maps = open_maps(frozen, part, "recomputed")
    heads, p = [first(frozen), first(frozen)], plan()
    dense.train_dense(frozen, maps, heads, p)
    for place, head in enumerate(heads):
        alone = first(frozen).train()
        tried = p.grid[place]
        optimizer = torch.optim.AdamW(
            alone.parameters(), lr=tried.rate, weight_decay=tried.decay, foreach=False
        )
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 16)
        for epoch in range(4):  # 32 images to fit, batches of 8
            for batch in maps.batches(dense.permutation("t", 0, epoch, 32)):
                optimizer.zero_grad()
                loss = masked_l1(alone(batch.frames, (16, 16)), batch.target, batch.valid)
                loss.backward()
                optimizer.step()
                schedule.step()
        for name, value in alone.state_dict().items():
            torch.testing.assert_close(head.state_dict()[name], value, rtol=1e-3, atol=1e-5)
        assert not head.training


def test_kept_maps_and_recomputed_ones_agree(frozen, mask_task):
    for task in (frozen.task, mask_task):
        this = dataclasses.replace(frozen, task=task)
        part = open_examples(task, SETTINGS).validation
        order = np.array([5, 0, 3, 3, 1])
        pairs = zip(
            open_maps(this, part, "cached").batches(order),
            open_maps(this, part, "recomputed").batches(order),
            strict=True,
        )
        for kept, made in pairs:
            np.testing.assert_array_equal(kept.index, made.index)
            assert torch.equal(kept.valid, made.valid)
            assert torch.equal(kept.target[kept.valid], made.target[made.valid])
            for tap in head_of(task).taps(this.encoder.card):
                torch.testing.assert_close(
                    kept.frames[0].maps[tap], made.frames[0].maps[tap], rtol=1e-3, atol=1e-3
                )


def test_every_test_example_is_answered_once_at_any_batch_size(frozen, mask_task):
    part = open_examples(mask_task, SETTINGS).test
    head, found = None, []
    for batch_size in (1, 7, 64):
        task = dataclasses.replace(mask_task, batch_size=batch_size)
        this = dataclasses.replace(frozen, task=task)
        head = head or first(this).eval()
        (outcomes,) = dense.answer_dense(this, open_maps(this, part, "cached"), [head])
        np.testing.assert_array_equal(outcomes["index"], np.arange(21))
        found.append(outcomes["confusion"])
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])


def test_max_steps_ends_training_inside_an_epoch(frozen, depth_task):
    assert dense.num_steps(depth_task, 32) == 16
    short = dataclasses.replace(depth_task, max_steps=5)
    assert dense.num_steps(short, 32) == 5
    this = dataclasses.replace(frozen, task=short)
    maps = open_maps(this, open_examples(short, SETTINGS).fit, "recomputed")
    calls = []
    real = maps.batches
    maps.batches = lambda order, colours=None: (calls.append(len(order)), real(order, colours))[1]
    dense.train_dense(this, maps, [first(this)], plan(grid=(Configuration(rate=1e-3),)))
    assert calls == [32, 8]


def test_a_dense_head_tries_at_most_two_rates(depth_task):
    def grid(**settings):
        found = dense.dense_grid(depth_task, ProbeSettings(**settings))
        return [(each.optimizer, pytest.approx(each.rate), each.decay) for each in found]

    assert grid() == [("adam", 1e-2, 0.0), ("adam", 3e-2, 0.0)]
    assert grid(learning_rates=(0.5,), weight_decays=(0.1, 0.2)) == [("adam", 0.5e-2, 0.1)]
    assert grid(protocol="paper") == [("adam", 1e-2, 0.0)]
    sets = (HeadOptimizer(optimizer="sgd", learning_rate=0.5),)
    assert grid(protocol="reference", sets=sets) == [("sgd", 0.5, 0.0)]


def test_under_reference_the_chosen_set_is_tested_whatever_is_best_here(frozen, mask_task):
    sets = tuple(
        HeadOptimizer(optimizer=name, learning_rate=rate)
        for name, rate in (("adam", 1e-2), ("sgd", 1e-4))
    )
    task = dataclasses.replace(mask_task, max_steps=6)
    facts = []
    for chosen in (None, sets[1]):
        settings = ProbeSettings(protocol="reference", sets=sets, chosen=chosen)
        this = dataclasses.replace(frozen, task=task, settings=settings)
        (answered,) = answer_pixels(this, open_examples(task, settings), [0], "t")
        facts.append(answered.chosen)
    assert (facts[0]["optimizer"], facts[0]["learning_rate"]) == ("adam", 1e-2)
    assert (facts[1]["optimizer"], facts[1]["learning_rate"]) == ("sgd", 1e-4)
    assert facts[1]["own_set"] == facts[0]["set"]
    assert facts[1]["own_validation_score"] > facts[1]["validation_score"]


def test_the_choice_of_features_follows_from_sizes(encoder, mask_task, depth_task):
    card = dataclasses.replace(
        encoder.card, channels=(64, 256, 512, 1024, 2048), strides=(2, 4, 8, 16, 32)
    )
    card = dataclasses.replace(card, flops=8_200_000_000, input_size=(224, 224))
    big = dataclasses.replace(depth_task, input_size=(224, 224))
    expected = 64 * 112**2 + 256 * 56**2 + 512 * 28**2 + 1024 * 14**2 + 2048 * 7**2
    assert map_bytes(card, big) == 2 * expected
    fewer = dataclasses.replace(mask_task, input_size=(224, 224))
    assert map_bytes(card, fewer) == 2 * (256 * 56**2 + 2048 * 7**2)
    blocks = dataclasses.replace(card, channels=(384,) * 5, native_strides=(16,) * 5)
    assert map_bytes(blocks, big) == 2 * 5 * 384 * 14**2  # stored as the network has them
    half = dataclasses.replace(big, input_size=(112, 112))
    assert flops_each(card, half) == card.flops // 4
    assert plan_features(card, big, 100, "tuned") == "cached"
    assert plan_features(card, big, 100_000, "tuned") == "recomputed"  # does not fit
    assert plan_features(card, big, 100, "paper") == "recomputed"  # colours change
    assert plan_features(card, big, 100, "fine-tune") == "recomputed"
    mirrored = dataclasses.replace(big, mirror=0.5)
    assert plan_features(card, mirrored, 100, "tuned") == "recomputed"  # places change
    pairs = dataclasses.replace(big, frames=2, head="siamese-unet")
    fits = (2 << 30) // map_bytes(card, big)
    assert plan_features(card, big, fits, "tuned") == "cached"
    assert plan_features(card, pairs, fits // 2, "tuned") == "cached"
    assert plan_features(card, pairs, fits // 2 + 1, "tuned") == "recomputed"
    cropped = dataclasses.replace(big, crop=(448, 112))
    assert flops_each(card, cropped) == card.flops
    cheap = dataclasses.replace(card, flops=1000)
    assert plan_features(cheap, big, 100, "tuned") == "recomputed"  # quicker than reading


def test_colours_change_by_example_and_epoch_and_nothing_else_does():
    draw = torch.Generator().manual_seed(0)
    images = torch.randint(256, (4, 3, 6, 5), generator=draw).to(torch.uint8)
    index = np.array([4, 9, 2, 7])
    first_epoch = recolour(images, index, digest="d", epoch=0)
    assert first_epoch.dtype == torch.uint8
    assert (first_epoch != images).flatten(1).any(1).all()
    again = recolour(images[[2, 0]], index[[2, 0]], digest="d", epoch=0)
    assert torch.equal(again, first_epoch[[2, 0]])
    assert not torch.equal(recolour(images, index, digest="d", epoch=1), first_epoch)
    grey = torch.full((2, 3, 4, 4), 128, dtype=torch.uint8)
    changed = recolour(grey, index[:2], digest="d", epoch=0).float()
    assert (changed.amax(1) - changed.amin(1)).max() <= 1  # grey stays grey: no colour is added
    assert (changed.std((2, 3)) == 0).all()  # and flat stays flat: no pixel moves


def test_codes_that_are_no_class_are_refused_before_they_reach_a_kernel(frozen, mask_task):
    wrong = dataclasses.replace(mask_task, ignore_index=200)  # so that 255 counts
    this = dataclasses.replace(frozen, task=wrong)
    with pytest.raises(DataError, match=r"2 classes, 0 to 1, but 'mask' of '\d+\.png'.*label 255"):
        next(
            open_maps(this, open_examples(wrong, SETTINGS).test, "recomputed").batches(np.arange(4))
        )
