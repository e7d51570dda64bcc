"""The digits of scikit-learn."""

import sys

import numpy as np
import pytest
from sklearn.datasets import load_digits

from vireo.data import dataset_card, open_split
from vireo.data.sources.digits import DigitsSource
from vireo.errors import MissingExtraError


def test_all_digits_enlarged_by_a_tent_filter():
    source, digits = DigitsSource(), load_digits()
    assert len(source) == 1797
    assert [source.target(index, "class") for index in range(1797)] == digits.target.tolist()
    centre = (np.arange(32) + 0.5) / 4 - 0.5
    tent = np.maximum(0, 1 - np.abs(centre[:, None] - np.arange(8)[None, :]))
    tent /= tent.sum(axis=1, keepdims=True)
    image = source.frames(17)[0]
    expected = tent @ np.round(digits.images[17] * 255 / 16) @ tent.T
    assert np.abs(image[:, :, 0] - expected).max() <= 1
    assert (image == image[:, :, :1]).all()


def test_the_card_is_true_and_the_cut_stratified():
    card = dataset_card("digits")
    parts = {split: open_split("digits", split) for split in card.splits}
    assert {split: len(part) for split, part in parts.items()} == dict(card.splits)
    assert parts["train"].class_names == card.class_names
    labels = [parts["test"].target(index, "class") for index in range(len(parts["test"]))]
    assert np.bincount(labels).min() >= 34


def test_a_missing_library_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(MissingExtraError, match="pip install scikit-learn"):
        DigitsSource()
