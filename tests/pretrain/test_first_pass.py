"""The pass over the images before the first step: once, of views of its own, repeated if lost."""

import pytest
import torch
from tests.pretrain.test_running import broken_at, same_run

from vireo.methods.deepcluster_v2 import DeepClusterV2
from vireo.pretrain import loop, pretrain
from vireo.pretrain.state import checkpoints


@pytest.fixture
def passes(monkeypatch):
    """The batches that methods are shown before their first step."""
    seen, original = [], DeepClusterV2.first_pass

    def counted(self, batch):
        assert not torch.is_grad_enabled()
        seen.append(batch)
        original(self, batch)

    monkeypatch.setattr(DeepClusterV2, "first_pass", counted)
    return seen


def test_it_shows_each_image_once_before_the_first_step_alone(
    tmp_path, make_settings, compute, passes
):
    pretrain(make_settings("deepcluster-v2"), tmp_path / "r", compute=compute, workers=0)
    assert len(passes) == 3
    indices = torch.cat([batch.index for batch in passes]).tolist()
    assert len(set(indices)) == len(indices) == 24


def test_its_views_are_not_those_of_the_first_epoch(
    tmp_path, make_settings, compute, passes, monkeypatch
):
    trained, original = [], loop.train_step

    def noted(method, optimizer, batch, now, **rest):
        trained.append(batch)
        return original(method, optimizer, batch, now, **rest)

    monkeypatch.setattr(loop, "train_step", noted)
    pretrain(make_settings("deepcluster-v2"), tmp_path / "r", compute=compute, workers=0)
    before = {int(i): view for batch in passes for i, view in views_of(batch)}
    first = {int(i): view for batch in trained[:3] for i, view in views_of(batch)}
    shared = before.keys() & first.keys()
    assert shared
    assert not any(torch.equal(before[i], first[i]) for i in shared)


def views_of(batch):
    return zip(batch.index, batch.groups[0][0], strict=True)


@pytest.mark.parametrize(("interval", "shown"), [(0.0, 3), (1e9, 6)])
def test_a_run_that_goes_on_shows_nothing_again_unless_it_starts_anew(
    tmp_path, make_settings, compute, passes, monkeypatch, interval, shown
):
    settings, whole, parts = make_settings("deepcluster-v2"), tmp_path / "a/r", tmp_path / "b/r"
    with broken_at(4, monkeypatch):
        pretrain(settings, parts, compute=compute, workers=0, save_every_seconds=interval)
    pretrain(settings, parts, compute=compute, workers=0)
    assert len(passes) == shown
    pretrain(settings, whole, compute=compute, workers=0)
    same_run(whole, parts)


def test_a_signal_ends_it_at_once_and_the_run_begins_anew(
    tmp_path, make_settings, compute, passes, monkeypatch
):
    settings, whole, parts = make_settings("deepcluster-v2"), tmp_path / "a/r", tmp_path / "b/r"

    class Asked(loop.Interrupts):
        def __enter__(self):
            self.asked = True
            return self

    with monkeypatch.context() as patch:
        patch.setattr(loop, "Interrupts", Asked)
        with pytest.raises(KeyboardInterrupt):
            pretrain(settings, parts, compute=compute, workers=0)
    assert len(passes) == 1
    assert checkpoints(parts) == []
    pretrain(settings, parts, compute=compute, workers=0)
    pretrain(settings, whole, compute=compute, workers=0)
    same_run(whole, parts)
