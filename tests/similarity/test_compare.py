"""Encoders compared on disk: against the definition, resumed, added to, with little memory."""

import shutil

import numpy as np
import pytest
import torch
from tests.oracles import similarity as oracle
from tests.tiny import ArraySource, tiny_encoder

from vireo.errors import DataError, NoSpaceError, SettingError
from vireo.similarity import exact, gram, passes, stored
from vireo.similarity.compare import compare
from vireo.similarity.costs import Form
from vireo.similarity.settings import SimilaritySettings
from vireo.store.folder import StudyFolder
from vireo.store.similarities import read_similarities

EXACT = SimilaritySettings(side=8)


@pytest.fixture(scope="module")
def root(openers, images, compute, tmp_path_factory):
    folder = tmp_path_factory.mktemp("compared")
    compare(openers, images, EXACT, root=folder, compute=compute)
    return folder


def again(root, openers, images, compute, settings=EXACT):
    rows = compare(openers, images, settings, root=root, compute=compute)
    return {(row.first, row.second, row.key.estimator): np.array(row.values) for row in rows}


def counting(openers, ran):
    """The openers, of which each forward pass of an encoder is written into `ran`."""

    def opener(name):
        def opened():
            encoder = openers[name]()
            encoder.backbone.register_forward_pre_hook(
                lambda _, inputs: None if inputs[0].is_meta else ran.append(name)
            )
            return encoder

        return opened

    return {name: opener(name) for name in openers}


@pytest.mark.parametrize("estimator", ["biased", "unbiased"])
def test_every_cell_is_that_of_the_definition(root, openers, images, compute, features, estimator):
    found = again(root, openers, images, compute)
    assert len(found) == 2 * 6
    for (first, second, which), values in found.items():
        if which == estimator:
            expected = [
                [oracle.cka(x, y, estimator) for y in features[second]] for x in features[first]
            ]
            np.testing.assert_allclose(values, expected, atol=1e-5)


def test_between_encoders_nothing_is_mirrored(root, openers, images, compute):
    found = again(root, openers, images, compute)
    between, within = found["a", "b", "biased"], found["a", "a", "biased"]
    assert np.abs(between - between.T).max() > 0.005
    np.testing.assert_allclose(within, within.T, atol=1e-12)
    np.testing.assert_allclose(within.diagonal(), 1)


def test_blocks_are_kept_in_both_ways(root, images):
    """Of 25 images: maps of 8 x 8 as Gram matrices, nothing here is narrow but pooled features."""
    shapes = {
        np.load(path, mmap_mode="r").shape
        for path in StudyFolder(root).features.glob("*/block.npy")
    }
    assert shapes == {(13, 26)}


def test_pooled_features_are_kept_as_they_are(openers, images, compute, features, tmp_path):
    """16 and 64 wide against 25 images: some blocks as features, some as Gram matrices."""
    found = again(tmp_path, openers, images, compute, SimilaritySettings(side=8, pooled=True))
    shapes = {
        np.load(path, mmap_mode="r").shape
        for path in StudyFolder(tmp_path).features.glob("*/block.npy")
    }
    assert shapes == {(13, 26), (25, 4), (25, 8)}
    pooled = [x.reshape(25, 16 << i // 3, -1).mean(2) for i, x in enumerate(features["a"])]
    expected = oracle.cka_matrix(pooled, "unbiased")
    np.testing.assert_allclose(found["a", "a", "unbiased"], expected, atol=2e-5)
    maps = [x.reshape(25, -1, 16 if i == 0 else 4).mean(2) for i, x in enumerate(features["t"])]
    between = [[oracle.cka(x, y, "biased") for y in maps] for x in pooled]
    np.testing.assert_allclose(found["a", "t", "biased"], between, atol=2e-5)


def test_narrow_features_of_many_images_take_the_feature_form(compute, tmp_path, monkeypatch):
    images = ArraySource(count=60, side=8), "train"
    openers = {"s": lambda: tiny_encoder(seed=0), "t": lambda: tiny_encoder(seed=1)}
    pooled, forms = SimilaritySettings(side=8, pooled=True), []
    chosen = exact.form_of
    monkeypatch.setattr(exact, "form_of", lambda *a: forms.append(chosen(*a)) or forms[-1])
    cheap = again(tmp_path / "cheap", openers, images, compute, pooled)
    monkeypatch.setattr(exact, "form_of", lambda *a: Form.gram)
    other = again(tmp_path / "other", openers, images, compute, pooled)
    assert forms == [Form.feature]
    for pair, values in cheap.items():
        np.testing.assert_allclose(values, other[pair], rtol=1e-9)


def test_memory_changes_passes_and_no_number(openers, images, compute, tmp_path, monkeypatch):
    monkeypatch.setattr(gram, "CHUNK", 256)
    monkeypatch.setattr(passes, "CHUNK", 256)
    ran = []
    openers = {"a": counting(openers, ran)["a"]}
    whole = again(tmp_path / "whole", openers, images, compute)
    assert len(ran) == 1
    little = SimilaritySettings(side=8, memory_gib=0.000134)
    found = again(tmp_path / "parts", openers, images, compute, little)
    assert len(ran) == 1 + 21  # 5376 columns, 256 at a time
    for pair, values in whole.items():
        np.testing.assert_array_equal(found[pair], values)


def test_a_second_time_nothing_is_computed(root, openers, images, compute):
    ran = []
    again(root, counting(openers, ran), images, compute)
    again(root, counting({name: openers[name] for name in "tba"}, ran), images, compute)
    assert ran == []


def test_the_other_order_is_the_same_comparison_turned(root, openers, images, compute):
    straight = again(root, openers, images, compute)["a", "t", "biased"]
    turned = again(root, {name: openers[name] for name in "ta"}, images, compute)
    np.testing.assert_array_equal(turned["t", "a", "biased"], straight.T)


def test_an_encoder_that_is_added_costs_itself_alone(root, openers, images, compute, tmp_path):
    again(tmp_path, {"a": openers["a"]}, images, compute)
    ran = []
    found = again(tmp_path, counting(openers, ran), images, compute)
    assert set(ran) == {"b", "t"}
    for pair, values in again(root, openers, images, compute).items():
        np.testing.assert_allclose(found[pair], values, rtol=1e-12)


def test_what_was_killed_goes_on(root, openers, images, compute, tmp_path, monkeypatch):
    add, left = stored.Keeper._add, [4]

    def dying(self, *arguments):
        left[0] -= 1
        if left[0] == 0:
            raise KeyboardInterrupt
        return add(self, *arguments)

    monkeypatch.setattr(stored.Keeper, "_add", dying)
    with pytest.raises(KeyboardInterrupt):
        again(tmp_path, openers, images, compute)
    monkeypatch.undo()
    done = sorted(path.name for path in StudyFolder(tmp_path).features.glob("[!.]*"))
    assert len(done) == 3
    assert not read_similarities(tmp_path).size
    found = again(tmp_path, openers, images, compute)
    for pair, values in again(root, openers, images, compute).items():
        np.testing.assert_array_equal(found[pair], values)


def test_a_damaged_block_is_computed_again(root, openers, images, compute, tmp_path):
    shutil.copytree(root, tmp_path / "copy")
    shutil.rmtree(StudyFolder(tmp_path / "copy").similarity)
    path = sorted(StudyFolder(tmp_path / "copy").features.glob("*/block.npy"))[0]
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)
    found = again(tmp_path / "copy", openers, images, compute)
    for pair, values in again(root, openers, images, compute).items():
        np.testing.assert_array_equal(found[pair], values)


def test_names_are_facts_and_not_identity(root, openers, images, compute):
    ran = []
    watched = counting(openers, ran)
    found = again(root, {"renamed": watched["a"], "t": watched["t"]}, images, compute)
    assert ("renamed", "t", "biased") in found
    assert ran == []
    assert "renamed" in set(read_similarities(root)["first"])
    again(root, {"a": openers["a"], "t": openers["t"]}, images, compute)
    assert "renamed" not in set(read_similarities(root)["first"])


def test_one_encoder_under_two_names_is_refused(openers, images, compute, tmp_path):
    with pytest.raises(SettingError, match="'x' and 'y' are the same encoder"):
        again(tmp_path, {"x": openers["t"], "y": openers["t"]}, images, compute)


def test_features_that_are_not_finite_are_refused(images, compute, tmp_path):
    def broken():
        encoder = tiny_encoder()
        with torch.no_grad():
            encoder.backbone.conv1.weight[0, 0] = float("nan")
        return encoder

    for settings in (EXACT, SimilaritySettings(side=8, estimator="minibatch")):
        with pytest.raises(DataError, match="'broken' gives features that are not finite"):
            again(tmp_path, {"broken": broken}, images, compute, settings)


def test_a_disk_that_is_too_small_is_said_before(openers, images, compute, tmp_path, monkeypatch):
    ran = []
    monkeypatch.setattr(stored.shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(9, 8, 1))
    with pytest.raises(NoSpaceError, match="20 blocks of 25 images need"):
        again(tmp_path, counting(openers, ran), images, compute)
    assert ran == []


def test_a_block_that_never_changes_has_no_value(images, compute, tmp_path):
    def dead():
        encoder = tiny_encoder()
        with torch.no_grad():
            encoder.backbone.bn2.bias.fill_(-1e6)
        return encoder

    rows = compare({"dead": dead}, images, EXACT, root=tmp_path, compute=compute)
    assert [list(row.values[1]) for row in rows] == [[None, None]] * 2
    table = read_similarities(tmp_path)
    assert table["value"].isna().sum() == 2 * 3
