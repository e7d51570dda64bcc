"""Tasks on the same images: one pass of the encoder serves their heads, and no number changes."""

import dataclasses
import importlib

import pytest

from vireo.probe import maps, probe
from vireo.records import ProbeSettings

TUNED = ProbeSettings(learning_rates=(1.0,), weight_decays=(0.0,), resamples=50)


@pytest.fixture
def passes(monkeypatch):
    """Return what each pass of an encoder computed; maps are kept whatever they cost."""
    made = []
    monkeypatch.setattr(maps, "_FLOPS_A_BYTE", 0)
    encode = importlib.import_module("vireo.features.encode")  # the package has its function
    real = encode.run

    def run(encoder, batches, output, compute):
        made.append(output)
        return real(encoder, batches, output, compute)

    monkeypatch.setattr(encode, "run", run)
    return made


def test_one_pass_a_split_serves_pooled_and_dense_heads(
    encoder, compute, tmp_path, passes, class_task, mask_task, depth_task
):
    tasks = (class_task, mask_task, depth_task)
    plain = {"compute": compute, "store": tmp_path / "alone"}
    alone = [probe(encoder, task, TUNED, **plain) for task in tasks]
    one_by_one, passes[:] = list(passes), []
    shared = [
        probe(encoder, task, TUNED, store=tmp_path / "shared", compute=compute, beside=tasks)
        for task in tasks
    ]
    assert (len(one_by_one), len(passes)) == (6, 2)
    assert {name for output in passes for name in output} == {n for o in one_by_one for n in o}
    for (first,), (second,) in zip(alone, shared, strict=True):
        assert second.key == first.key
        assert (second.raw, second.low, second.high) == (first.raw, first.low, first.high)


def test_a_task_beside_whose_labels_are_broken_disturbs_nobody(
    encoder, compute, tmp_path, class_task, mask_task
):
    absent = dataclasses.replace(mask_task, dataset="nowhere-to-be-found")
    (row,) = probe(encoder, class_task, TUNED, store=tmp_path, compute=compute, beside=(absent,))
    assert row.n == 21
