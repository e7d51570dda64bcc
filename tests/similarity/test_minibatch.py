"""The minibatch estimator: against the definition a batch, and resumed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.oracles import similarity as oracle

from vireo.similarity import minibatch
from vireo.similarity.compare import compare
from vireo.similarity.minibatch import batch_order, even_batch_size
from vireo.similarity.settings import SimilaritySettings
from vireo.store.folder import StudyFolder

BATCHES = SimilaritySettings(side=8, estimator="minibatch", batch_size=8)


def found(openers, images, settings, root, compute):
    rows = compare(openers, images, settings, root=root, compute=compute)
    return {(row.first, row.second): np.array(row.values) for row in rows}, rows[0].key


def test_it_is_the_ratio_of_mean_hsics(openers, images, compute, features, tmp_path):
    values, key = found(openers, images, BATCHES, tmp_path, compute)
    order = batch_order(images[0])
    parts = [order[at : at + key.batch_size] for at in range(0, len(order), key.batch_size)]
    assert [len(part) for part in parts] == [9, 9, 7]

    def mean(x, y):
        return sum(len(part) * oracle.unbiased_hsic(x[part], y[part]) for part in parts) / 25

    for (first, second), cells in values.items():
        expected = [
            [mean(x, y) / np.sqrt(mean(x, x) * mean(y, y)) for y in features[second]]
            for x in features[first]
        ]
        np.testing.assert_allclose(cells, expected, atol=2e-5)


def test_one_batch_of_all_is_the_unbiased_one(openers, images, compute, features, tmp_path):
    settings = SimilaritySettings(side=8, estimator="minibatch")
    values, key = found({"a": openers["a"]}, images, settings, tmp_path, compute)
    assert key.batch_size == 25
    expected = oracle.cka_matrix(features["a"], "unbiased")
    np.testing.assert_allclose(values["a", "a"], expected, atol=2e-5)


def test_what_was_stopped_goes_on(openers, images, compute, tmp_path, monkeypatch):
    whole, _ = found(openers, images, BATCHES, tmp_path / "whole", compute)
    read, batches = minibatch._hsic, []

    def stopping(members, pixels, *rest):
        batches.append(len(pixels))
        if len(batches) == 3:
            raise KeyboardInterrupt
        return read(members, pixels, *rest)

    monkeypatch.setattr(minibatch, "_BETWEEN_NOTES", 2)
    monkeypatch.setattr(minibatch, "_hsic", stopping)
    with pytest.raises(KeyboardInterrupt):
        found(openers, images, BATCHES, tmp_path / "part", compute)
    again, _ = found(openers, images, BATCHES, tmp_path / "part", compute)
    assert batches == [9, 9, 7, 7]
    for pair, cells in whole.items():
        np.testing.assert_array_equal(again[pair], cells)
    assert not list(StudyFolder(tmp_path / "part").similarity.glob("*.npz"))


def test_batches_are_drawn_and_do_not_follow_the_folder(images):
    order = batch_order(images[0])
    assert sorted(order) == list(range(25))
    assert list(order) != sorted(order)
    np.testing.assert_array_equal(order, batch_order(images[0]))


@given(n=st.integers(8, 3000), least=st.integers(8, 300))
def test_no_batch_is_a_rest(n, least):
    size = even_batch_size(n, least)
    sizes = [min(size, n - start) for start in range(0, n, size)]
    assert sum(sizes) == n
    assert size >= min(n, least)
    assert min(sizes) >= max(4, size / 2)
