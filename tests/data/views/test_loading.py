"""Loading: a batch is a function of (seed, epoch, index), and errors stay one sentence."""

import multiprocessing
import os
import time

import numpy as np
import pytest
import torch
from tests.data.views.compositions import smooth_image

from vireo.data.sources.source import Source
from vireo.data.views.draws import draw_views
from vireo.data.views.engine import image_sizes
from vireo.data.views.loading import ENGINES, epoch_order, load_views, num_batches
from vireo.data.views.opencv_engine import OpenCVEngine
from vireo.data.views.published import multi_crop, two_crops
from vireo.data.views.recipe import ViewRecipe
from vireo.errors import DataError, SettingError

RECIPE = two_crops(16)


class Memory(Source):
    """Images in memory, of one size or of several, that counts what is decoded."""

    def __init__(self, images, *, classes=True, broken=()):
        self.name, self.class_names, self.digest = "memory", ("a", "b", "c"), "memory"
        self.targets = ("count", "class") if classes else ("count",)
        self.images, self.broken, self.decoded = images, broken, []

    def __len__(self):
        return len(self.images)

    def frames(self, index):
        if index in self.broken:
            raise DataError(f"The image {index} is broken; delete it.")
        self.decoded.append(index)
        return (self.images[index], self.images[0])

    def target(self, index, name):
        return index % 3 if name == "class" else 7

    def label(self, index):
        return str(index)


def of_sizes(*sizes, number=11, **options):
    images = [smooth_image(i, *sizes[i % len(sizes)]) for i in range(number)]
    return Memory(images, **options)


def load(source, recipe=RECIPE, **changes):
    keywords = {
        "seed_digest": "run",
        "epoch": 0,
        "batch_size": 4,
        "engine": "opencv",
        "device": "cpu",
        "workers": 0,
    }
    return load_views(source, recipe, **(keywords | changes))


def same(first, second):
    for one, other in zip(first, second, strict=True):
        assert torch.equal(one.index, other.index)
        assert all(torch.equal(a, b) for a, b in zip(one.groups, other.groups, strict=True))
        assert one.label is other.label is None or torch.equal(one.label, other.label)
    return True


@pytest.fixture
def mixed():
    return of_sizes((20, 30), (25, 18), (20, 20))


def test_an_epoch_is_a_permutation_without_its_rest(mixed):
    batches = list(load(mixed))
    assert len(batches) == num_batches(mixed, 4) == 2
    seen = torch.cat([batch.index for batch in batches]).tolist()
    assert len(set(seen)) == 8
    assert seen == epoch_order(11, "run", 0).tolist()[:8] == mixed.decoded


def test_orders_differ_by_epoch_and_seed_and_reach_every_example():
    orders = [epoch_order(50, seed, epoch).tolist() for seed in "ab" for epoch in range(3)]
    assert len({tuple(order) for order in orders}) == 6
    assert all(sorted(order) == list(range(50)) for order in orders)
    places = np.array([epoch_order(5, "run", epoch) for epoch in range(2000)])
    # Each example is first in a fifth of the epochs: 400 +- 18.
    assert np.abs(np.bincount(places[:, 0], minlength=5) - 400).max() < 72


@pytest.mark.parametrize("engine", ENGINES)
def test_batches_hold_the_engines_views_of_their_draws(mixed, engine):
    recipe = multi_crop(28, num_small=2)
    for batch in load(mixed, recipe, engine=engine, epoch=3):
        images = [mixed.images[i] for i in batch.index.tolist()]
        draws = draw_views(
            recipe, batch.index.numpy(), image_sizes(images), seed_digest="run", epoch=3
        )
        maker = OpenCVEngine(recipe)
        expected = maker.finish(maker.prepare(images, draws), torch.device("cpu"))
        assert [tuple(group.shape[:2]) for group in batch.groups] == [(2, 4), (2, 4)]
        for ours, theirs in zip(batch.groups, expected, strict=True):
            assert (ours - theirs).abs().mean() < (1e-9 if engine == "opencv" else 0.05)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("sizes", [((20, 30),), ((20, 30), (25, 18))], ids=["one", "several"])
def test_start_equals_skipping_and_decodes_nothing_before(engine, sizes):
    source = of_sizes(*sizes)
    everything = list(load(source, engine=engine, batch_size=3))
    source.decoded.clear()
    assert same(load(source, engine=engine, batch_size=3, start=2), everything[2:])
    assert source.decoded == everything[2].index.tolist()
    assert list(load(source, engine=engine, start=2)) == []


@pytest.mark.parametrize("engine", ENGINES)
def test_the_batch_size_does_not_change_an_examples_views(mixed, engine):
    large = next(load(mixed, engine=engine, batch_size=6))
    small = list(load(mixed, engine=engine, batch_size=2))[:3]
    joined = torch.cat([batch.groups[0] for batch in small], dim=1)
    assert torch.equal(torch.cat([batch.index for batch in small]), large.index)
    tolerance = 0 if engine == "opencv" else 1e-5
    torch.testing.assert_close(joined, large.groups[0], atol=tolerance, rtol=0)


@pytest.mark.slow
@pytest.mark.parametrize("engine", ENGINES)
def test_workers_change_nothing_and_are_gone_when_left_early(mixed, engine):
    alone = list(load(mixed, engine=engine, batch_size=2))
    assert same(load(mixed, engine=engine, batch_size=2, workers=2), alone)
    iterator = load(mixed, engine=engine, batch_size=2, workers=2)
    next(iterator)
    assert len(multiprocessing.active_children()) == 2
    iterator.close()
    waited = time.monotonic() + 10
    while multiprocessing.active_children() and time.monotonic() < waited:
        time.sleep(0.01)
    assert multiprocessing.active_children() == []
    broken = of_sizes((20, 30), broken=range(11))
    with pytest.raises(DataError, match=r"^The image \d+ is broken; delete it\.$"):
        next(load(broken, engine=engine, workers=1))
    assert multiprocessing.active_children() == []


def test_classes_are_labels_and_nothing_else_is():
    (batch, *_) = load(of_sizes((20, 30)))
    assert torch.equal(batch.label, batch.index % 3)
    assert batch.label.dtype == torch.int64
    (batch, *_) = load(of_sizes((20, 30), classes=False))
    assert batch.label is None


def test_no_global_random_state_is_read_or_written(mixed):
    torch.manual_seed(0)
    np.random.seed(0)  # noqa: NPY002 - the global state is what is tested
    first = list(load(mixed, engine="torch"))
    assert torch.initial_seed() == 0
    after = torch.rand(1), np.random.rand()  # noqa: NPY002
    torch.manual_seed(0)
    np.random.seed(0)  # noqa: NPY002
    assert after == (torch.rand(1), np.random.rand())  # noqa: NPY002
    torch.manual_seed(5)
    assert same(load(mixed, engine="torch"), first)


def test_a_broken_image_is_named_in_one_sentence():
    with pytest.raises(DataError, match=r"^The image \d+ is broken; delete it\.$"):
        list(load(of_sizes((20, 30), broken=range(11))))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"engine": "opencw"}, "Did you mean 'opencv'"),
        ({"batch_size": 12}, "between 1 and the 11 examples of 'memory'; got 12"),
        ({"batch_size": 0}, "got 0"),
        ({"recipe": ViewRecipe(views=(), mean=(0.0,) * 3, std=(1.0,) * 3)}, "at least one view"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_decoded(mixed, changes, words):
    with pytest.raises(SettingError, match=words):
        load(mixed, **changes)
    assert mixed.decoded == []


class Lazy(Memory):
    """Like a file of images that is read whole when the first is asked for."""

    def __init__(self, images, log):
        super().__init__(images)
        self.log, self.read = log, False

    def frames(self, index):
        if not self.read:
            self.read = True
            with self.log.open("a") as file:
                file.write(f"{os.getpid()}\n")
        return super().frames(index)


@pytest.mark.slow
def test_what_a_source_reads_once_is_read_before_the_fork(mixed, tmp_path):
    source = Lazy(mixed.images, tmp_path / "log")
    assert same(load(source, batch_size=2, workers=2, start=2), list(load(mixed, batch_size=2))[2:])
    assert source.log.read_text().split() == [str(os.getpid())]
    assert len(source.decoded) == 1  # one example, not those that `start` skips
    assert list(load(source, workers=2, start=2)) == []


class Fatal(Memory):
    """Ends the worker that decodes, as the system does when memory runs out."""

    def frames(self, index):
        if multiprocessing.parent_process() is not None:
            os._exit(1)
        return super().frames(index)


@pytest.mark.slow
def test_a_worker_that_dies_is_one_sentence(mixed):
    with pytest.raises(DataError, match=r"^A loader worker died .*use fewer workers\.$"):
        list(load(Fatal(mixed.images), workers=1))
    assert multiprocessing.active_children() == []
