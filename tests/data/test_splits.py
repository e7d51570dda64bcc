"""Cuts are disjoint, complete, of the right sizes, stratified, and the same everywhere."""

import itertools
from collections import Counter

import numpy as np
import pytest
import xxhash
from hypothesis import given, settings
from hypothesis import strategies as st

from vireo.data.sources.source import Source
from vireo.data.splits import Subset, carve, carve_validation, limit
from vireo.digest import digest
from vireo.errors import DataError, SettingError
from vireo.records import Carve


class Labelled(Source):
    """Examples that are nothing but a label."""

    name, class_names, digest = "labelled", (), "labelled"

    def __init__(self, labels, kind="class"):
        self.labels = labels
        self.targets = () if labels is None else (kind,)

    def __len__(self):
        return len(self.labels)

    def frames(self, index):
        raise AssertionError("a cut must not decode images")

    def target(self, index, name):
        return self.labels[index]

    def label(self, index):
        return str(index)


def members(source):
    return [int(source.label(index)) for index in range(len(source))]


LABELS = st.lists(st.integers(0, 6), min_size=20, max_size=120)
CUTS = {"val": Carve(fraction=0.15, seed=1), "test": Carve(fraction=0.3, seed=2)}


@settings(max_examples=40, deadline=None)
@given(LABELS, st.sampled_from(["class", "count"]))
def test_random_cuts_are_disjoint_complete_and_stratified_within_one(labels, kind):
    source = Labelled(labels, kind)
    parts = {split: members(carve(source, CUTS, split)) for split in ("train", "val", "test")}
    assert sorted(itertools.chain(*parts.values())) == list(range(len(labels)))
    assert len(parts["val"]) == round(0.15 * len(labels))
    assert len(parts["test"]) == round(0.3 * len(labels))
    drawn = Counter(labels[index] for index in parts["val"])
    for label, size in Counter(labels).items():
        assert abs(drawn[label] - size * len(parts["val"]) / len(labels)) < 1
    assert all(part == sorted(part) for part in parts.values())


@settings(max_examples=25, deadline=None)
@given(LABELS, st.integers(1, 19))
def test_a_limit_keeps_the_order_and_the_shares(labels, count):
    kept = members(limit(Labelled(labels), count, "train"))
    assert len(kept) == count
    assert kept == sorted(set(kept))
    drawn = Counter(labels[index] for index in kept)
    for label, size in Counter(labels).items():
        assert abs(drawn[label] - size * count / len(labels)) < 1


def test_every_member_of_a_class_is_drawn_equally_often():
    source = Labelled([0] * 30 + [1] * 10)
    drawn = Counter()
    for seed in range(200):
        cut = {"val": Carve(fraction=0.25, seed=seed)}
        drawn.update(members(carve(source, cut, "val")))
    assert sum(drawn.values()) == 200 * 10
    deviation = (200 * 0.25 * 0.75) ** 0.5
    assert all(abs(drawn[index] - 50) < 4.5 * deviation for index in range(40))


def test_a_draw_takes_the_lowest_hashes_of_each_class():
    """Hashes, not NumPy's generators, whose streams may change between versions."""
    source = Labelled([0] * 12 + [1] * 8)
    key = digest("carve:test", 7)

    def rank(index):
        return xxhash.xxh3_64_intdigest(f"{key}|draw|0|{index}".encode())

    expected = sorted(range(12), key=rank)[:3] + sorted(range(12, 20), key=rank)[:2]
    cut = {"test": Carve(fraction=0.25, seed=7)}
    assert members(carve(source, cut, "test")) == sorted(expected)


def test_a_seed_or_a_split_changes_the_draw():
    source = Labelled([0] * 200)
    draws = {
        tuple(members(carve(source, {split: Carve(fraction=0.1, seed=seed)}, split)))
        for split in ("val", "test")
        for seed in (0, 1)
    }
    assert len(draws) == 4


class InScenes(Labelled):
    def __init__(self, scenes):
        super().__init__([0] * len(scenes))
        self.groups = tuple(scenes)


SCENES = st.lists(st.sampled_from("abcdefghij"), min_size=20, max_size=120).filter(
    lambda scenes: len(set(scenes)) > 4
)


@settings(max_examples=60, deadline=None)
@given(SCENES, st.integers(0, 9))
def test_no_scene_is_on_both_sides_of_a_random_cut(scenes, seed):
    cuts = {"val": Carve(fraction=0.2, seed=seed), "test": Carve(fraction=0.3, seed=seed)}
    source = InScenes(scenes)
    parts = {split: members(carve(source, cuts, split)) for split in ("train", "val", "test")}
    assert sorted(itertools.chain(*parts.values())) == list(range(len(scenes)))
    assert all(part and part == sorted(part) for part in parts.values())
    of = {split: {scenes[index] for index in part} for split, part in parts.items()}
    assert not of["train"] & of["val"]
    assert not of["train"] & of["test"]
    assert not of["val"] & of["test"]
    sizes = Counter(scenes)
    for split, fraction in (("val", 0.2), ("test", 0.3)):
        wanted, left = round(fraction * len(scenes)), {*scenes} - of[split]
        left -= of["val"] if split == "test" else set()
        got = len(parts[split])
        # at most the share, and no scene that is left would still fit; or the smallest scene alone
        fits = got <= wanted and all(got + sizes[scene] > wanted for scene in left)
        alone = len(of[split]) == 1 and all(sizes[scene] >= got > wanted for scene in left)
        assert fits or alone


def test_which_scenes_are_drawn_depends_on_the_seed_and_not_on_order():
    scenes = [name for name in "abcdefghijklmnopqrst" for _ in range(5)]
    drawn = set()
    for seed in range(20):
        cut = {"val": Carve(fraction=0.2, seed=seed)}
        part = carve(InScenes(scenes), cut, "val")
        assert len(part) == 20
        assert Counter(part.groups).most_common() == [
            (name, 5) for name in dict.fromkeys(part.groups)
        ]
        again = carve(InScenes(scenes[::-1]), cut, "val")
        assert {*again.groups} == {*part.groups}
        drawn.add(frozenset(part.groups))
    assert len(drawn) > 15


def test_a_cut_out_of_one_scene_is_refused():
    with pytest.raises(DataError, match=r"All 10 examples of 'labelled' .* one scene, 'a'.*'tail'"):
        carve_validation(InScenes("a" * 10), 0.2, 0)
    tail = {"val": Carve(fraction=0.2, rule="tail")}
    assert len(carve(InScenes("a" * 10), tail, "val")) == 2


def test_a_limit_leaves_scenes_with_their_examples():
    kept = limit(InScenes("aabbccddee" * 3), 12, "train")
    assert [kept.groups[n] for n in range(12)] == ["aabbccddee"[i % 10] for i in members(kept)]


def test_tail_cuts_leave_a_gap():
    source = Labelled(list(range(100)))
    cuts = {
        "test": Carve(fraction=0.2, rule="tail", gap=5),
        "val": Carve(fraction=0.1, rule="tail", gap=3),
    }
    assert members(carve(source, cuts, "test")) == list(range(80, 100))
    assert members(carve(source, cuts, "val")) == list(range(65, 75))
    assert members(carve(source, cuts, "train")) == list(range(62))


def test_without_labels_a_cut_is_a_plain_draw(listed):
    source = listed(20)
    rest, validation = carve_validation(source, 0.25, 3)
    assert (len(rest), len(validation)) == (15, 5)


def test_validation_depends_on_the_seed_alone():
    source = Labelled([0, 1] * 50)
    rest, validation = carve_validation(source, 0.2, 0)
    assert validation.digest == carve_validation(source, 0.2, 0)[1].digest
    assert validation.digest != carve_validation(source, 0.2, 1)[1].digest
    assert sorted(members(rest) + members(validation)) == list(range(100))


def test_a_subset_shows_its_examples_under_new_numbers(listed):
    source = listed(5, **{"class": [5, 6, 7, 8, 9]})
    subset = Subset(Subset(source, [4, 2, 0]), [2, 0])
    assert [subset.target(index, "class") for index in range(len(subset))] == [5, 9]
    assert subset.label(1) == "listed 4"
    assert np.array_equal(subset.frames(0)[0], source.images[0])
    assert subset.targets == ("class",)


def test_the_digest_of_a_subset_covers_order(listed):
    source = listed(4)
    digests = {Subset(source, order).digest for order in ([0, 1], [1, 0], [0], [0, 1, 2])}
    assert len(digests | {source.digest}) == 5


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.5, 1.5])
def test_fractions_are_between_zero_and_one(fraction):
    with pytest.raises(SettingError, match=rf"'test' must be in \(0, 1\); got {fraction}"):
        carve(Labelled([0] * 10), {"test": Carve(fraction=fraction)}, "test")


def test_cuts_that_leave_nothing_are_refused():
    with pytest.raises(DataError, match="leaves a part empty"):
        carve(Labelled([0] * 10), {"test": Carve(fraction=0.01)}, "test")
    with pytest.raises(DataError, match="leaves a part empty"):
        carve(Labelled([0] * 10), {"t": Carve(fraction=0.5, rule="tail", gap=5)}, "t")
    with pytest.raises(SettingError, match="gap"):
        carve(Labelled([0] * 10), {"t": Carve(fraction=0.5, gap=5)}, "t")
    with pytest.raises(SettingError, match="Did you mean 'test'"):
        carve(Labelled([0] * 10), {"test": Carve(fraction=0.5)}, "tests")
    with pytest.raises(SettingError, match="at least 1; got 0"):
        limit(Labelled([0] * 10), 0, "train")


def test_a_limit_above_the_size_changes_nothing():
    source = Labelled([0] * 10)
    assert limit(source, 10, "train") is source
