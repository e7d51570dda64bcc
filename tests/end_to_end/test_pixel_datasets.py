"""Every pixel-level named task, from files in the published layout to a stored row."""

import dataclasses

import numpy as np
import pytest
from tests import miniatures_pixels as miniatures
from tests.tiny import tiny_encoder

from vireo.data import find_dataset, open_split
from vireo.data.datasets import egohands
from vireo.devices import Compute
from vireo.probe.run import probe
from vireo.records import ProbeSettings
from vireo.store.folder import StudyFolder
from vireo.store.results import ResultStore
from vireo.tasks import find_task

VIDEOS = (*egohands.TRAIN[:3], *egohands.VAL[:1], *egohands.TEST[:2])


def few_hands(root):
    """Six of the videos, and the dataset's own lists cut to those of them."""
    miniatures.egohands(root, VIDEOS)
    spec = find_dataset("egohands")
    kept = {
        split: {"videos": tuple(video for video in options["videos"] if video in VIDEOS)}
        for split, options in spec.splits.items()
    }
    return dataclasses.replace(spec, splits=kept)


def made(maker):
    return lambda root: maker(root) and None


MAKERS = {
    "cityscapes": made(miniatures.cityscapes),
    "pets-segmentation": made(miniatures.pets),
    "egohands": few_hands,
    "nyu-walkable": made(miniatures.nyu),
    "nyu-depth": made(miniatures.nyu),
    "thor-depth": made(miniatures.thor_depth),
    "taskonomy-depth": made(miniatures.taskonomy),
    "kitti-flow": made(miniatures.kitti_flow),
}
COMPUTE = Compute(device="cpu", precision="float32", threads=1, reason="test")


def shrunk(task, spec):
    """The task on small images for a few steps; what it asks stays as it is."""
    crop = {"crop": (24, 24), "input_size": (32, 48)} if task.crop else {"input_size": (24, 24)}
    return dataclasses.replace(task, dataset=spec, batch_size=2, epochs=2, max_steps=3, **crop)


@pytest.mark.parametrize("name", sorted(MAKERS))
def test_from_files_to_a_stored_row(name, tmp_path):
    task = find_task(name)
    spec = MAKERS[name](tmp_path / "data") or find_dataset(task.dataset)
    spec = dataclasses.replace(spec, options={**spec.options, "root": str(tmp_path / "data")})
    settings = ProbeSettings(protocol="paper", resamples=20)
    encoder = tiny_encoder(input_size=(24, 24))
    small = shrunk(task, spec)
    (row,) = probe(encoder, small, settings, store=tmp_path / "study", compute=COMPUTE)
    results = ResultStore(StudyFolder(tmp_path / "study").results)
    assert results.rows() == [row]
    test = open_split(spec, "test")
    assert (row.task, row.metric, row.unit, row.n) == (name, task.metric, task.unit, len(test))
    assert row.dataset == spec.name
    assert np.isfinite([row.score, row.raw, row.floor, row.low, row.high]).all()
    assert row.score == (row.raw if task.higher_is_better else -row.raw)
    outcomes = results.outcomes(row.key)
    assert outcomes["index"].tolist() == list(range(len(test)))
    np.testing.assert_array_equal(counted_of(outcomes), counts(task, test, small))


def counted_of(outcomes) -> np.ndarray:
    """How many pixels of each image were scored."""
    confusion = outcomes.get("confusion")
    return outcomes["weight"] if confusion is None else confusion.sum((1, 2))


def counts(task, source, small) -> list[int]:
    """How many pixels of each test image have an answer: at full size, or each resized pixel."""
    found = []
    for index in range(len(source)):
        truth = np.asarray(source.target(index, task.target))
        if truth.ndim == 3:
            truth = truth.sum(0)
        if task.crop is None:
            height, width = truth.shape
            rows = [int((place + 0.5) * height / 24) for place in range(24)]
            columns = [int((place + 0.5) * width / 24) for place in range(24)]
            truth = truth[rows][:, columns]
        scored = np.isfinite(truth) if truth.dtype.kind == "f" else truth != 255
        if task.name == "cityscapes":
            scored &= truth != 0
        found.append(int(scored.sum()))
    return found
