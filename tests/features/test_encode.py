"""The one loop: features of every example in order, from the store where they were before."""

import dataclasses
import sys

import numpy as np
import pytest
import torch
from tests.tiny import ArraySource, tiny_encoder

from vireo.data.sources.source import Source
from vireo.devices import Compute
from vireo.encoders import Encoder, Features, build, weights_digest
from vireo.errors import DataError, SettingError
from vireo.features import encode, extract
from vireo.features.encode import block_keys, preprocessing_digest
from vireo.store.blocks import FeatureStore

CPU = Compute(device="cpu", precision="float32", threads=1, reason="test")


class Counted(Source):
    """Another source's examples as pairs of frames (itself, mirrored), counting what is decoded."""

    def __init__(self, count=11, side=8, broken=None):
        self._inner = ArraySource(count=count, side=side)
        self.name, self.targets, self.class_names = "counted", ("class",), ()
        self.digest = f"counted-{count}-{side}"
        self.decoded, self.broken = 0, broken

    def __len__(self):
        return len(self._inner)

    def frames(self, index):
        if index == self.broken:
            raise DataError("3.png is broken")
        self.decoded += 1
        (image,) = self._inner.frames(index)
        return image, image[:, ::-1].copy()

    def target(self, index, name):
        return self._inner.target(index, name)

    def label(self, index):
        return self._inner.label(index)


def naive(encoder, source):
    """Encode frame by frame, with NumPy's normalisation."""
    encoder = encoder.eval()
    mean, std = np.array(encoder.card.mean), np.array(encoder.card.std)
    pooled, maps = [], []
    for index in range(len(source)):
        found = []
        for frame in source.frames(index):
            x = ((frame / 255 - mean) / std).transpose(2, 0, 1)[None]
            with torch.no_grad():
                found.append(encoder(torch.tensor(x, dtype=torch.float32), maps=True))
        pooled.append(np.stack([f.pooled[0].numpy() for f in found]))
        maps.append([np.stack([f.maps[k][0].numpy() for f in found]) for k in range(5)])
    return np.stack(pooled), [np.stack([m[k] for m in maps]) for k in range(5)]


def run(encoder, source, store=None, output=("pooled",), **options):
    options = {"size": (8, 8), "split": "test", "compute": CPU, "batch_size": 4} | options
    return encode(encoder, source, output=output, store=store, **options)


@pytest.mark.parametrize("stored", [False, True])
@pytest.mark.parametrize("batch_size", [1, 4, 64])
def test_features_are_those_of_each_frame_alone(tmp_path, stored, batch_size):
    encoder, source = tiny_encoder(), Counted()
    store = FeatureStore(tmp_path) if stored else None
    blocks = run(encoder, source, store, ("map2", "pooled", "map1"), batch_size=batch_size)
    pooled, maps = naive(encoder, source)
    assert list(blocks) == ["map2", "pooled", "map1"]
    assert blocks["pooled"].dtype == np.float32
    np.testing.assert_allclose(blocks["pooled"], pooled, rtol=1e-4, atol=1e-5)
    for number in (1, 2):
        assert blocks[f"map{number}"].dtype == np.float16
        np.testing.assert_allclose(blocks[f"map{number}"], maps[number - 1], rtol=2e-3, atol=1e-3)


def test_a_real_network_in_channels_last_gives_the_same(tmp_path):
    encoder, source = build("resnet20"), ArraySource(count=5, side=32)
    blocks = run(encoder, source, output=("pooled", "map3"), size=(32, 32))
    pooled, maps = naive(build("resnet20"), source)
    np.testing.assert_allclose(blocks["pooled"], pooled, rtol=1e-3, atol=1e-4 * pooled.std())
    np.testing.assert_allclose(blocks["map3"], maps[2], rtol=5e-3, atol=1e-2 * maps[2].std())


def test_what_is_stored_is_not_decoded_again(tmp_path):
    encoder, source, store = tiny_encoder(), Counted(), FeatureStore(tmp_path)
    first = run(encoder, source, store)
    assert source.decoded == 11
    again = run(encoder, source, store)
    assert source.decoded == 11
    np.testing.assert_array_equal(first["pooled"], again["pooled"])
    assert isinstance(again["pooled"], np.memmap)
    run(encoder, source, store, ("pooled", "map1"))
    assert source.decoded == 22
    assert len(list(tmp_path.iterdir())) == 2


def test_one_pass_stores_what_others_read_but_none_runs_for_them_alone(tmp_path):
    encoder, store = tiny_encoder(), FeatureStore(tmp_path)
    first, second = Counted(), Counted()
    alone = run(encoder, Counted(), store=None)
    blocks = run(encoder, first, store, ("pooled",), beside=("map1", "map3", "pooled"))
    assert list(blocks) == ["pooled"]
    np.testing.assert_array_equal(blocks["pooled"], alone["pooled"])
    run(encoder, second, store, ("map1", "map3"), beside=("map5",))
    run(encoder, second, store, ("pooled",), beside=("map5",))
    assert (first.decoded, second.decoded) == (11, 0)
    assert len(list(tmp_path.iterdir())) == 3


def test_keys_follow_the_weights_and_everything_else_that_matters():
    encoder, source = tiny_encoder(), Counted()

    def key(encoder=encoder, source=source, size=(8, 8), split="test", compute=CPU):
        keys = block_keys(
            encoder, source, size=size, output=("pooled",), split=split, compute=compute
        )
        return keys["pooled"]

    changed = tiny_encoder()
    with torch.no_grad():
        changed.backbone.conv1.weight[0, 0, 0, 0] += 1e-6
    other_mean = Encoder(dataclasses.replace(encoder.card, mean=(0.4, 0.5, 0.5)), encoder.backbone)
    keys = {
        key(),
        key(encoder=changed),
        key(encoder=other_mean),
        key(source=Counted(count=3)),
        key(size=(8, 16)),
        key(split="train"),
        key(compute=dataclasses.replace(CPU, precision="bfloat16")),
    }
    assert len(keys) == 7
    renamed = Encoder(dataclasses.replace(encoder.card, name="other"), encoder.backbone)
    assert key(encoder=renamed) == key()
    assert key(compute=dataclasses.replace(CPU, threads=8)) == key()


def test_the_encoder_leaves_as_it_came():
    encoder = tiny_encoder().train()
    encoder.backbone.bn1.eval()
    before = weights_digest(encoder)
    run(encoder, Counted(), output=("pooled", "map5"))
    assert weights_digest(encoder) == before
    assert encoder.training
    assert encoder.backbone.bn2.training
    assert not encoder.backbone.bn1.training
    assert all(p.requires_grad and p.grad is None for p in encoder.parameters())


def test_a_pass_that_dies_leaves_nothing_and_is_computed_again(tmp_path):
    encoder, store = tiny_encoder().train(), FeatureStore(tmp_path)
    with pytest.raises(DataError, match=r"3\.png is broken"):
        run(encoder, Counted(broken=9), store, ("pooled", "map1"))
    assert list(tmp_path.iterdir()) == []
    assert encoder.training
    assert run(encoder, Counted(), store)["pooled"].shape == (11, 2, 8)


class Scaled(torch.nn.Module):
    def __init__(self, value):
        super().__init__()
        self.value = value

    def forward(self, images, maps):
        x = images[:, :1] * 0 + self.value
        return Features(x.mean((2, 3)), (x,) * 5 if maps else ())


@pytest.mark.parametrize(("value", "output"), [(float("nan"), "pooled"), (1e5, "map1")])
def test_numbers_that_cannot_be_kept_are_refused_with_the_examples(tmp_path, value, output):
    encoder = Encoder(tiny_encoder().card, Scaled(value))
    with pytest.raises(DataError, match="not finite, or too large for float16, on examples 0 to 3"):
        run(encoder, Counted(), FeatureStore(tmp_path), (output,))
    assert list(tmp_path.iterdir()) == []


def test_large_numbers_are_kept_where_the_type_holds_them():
    blocks = run(Encoder(tiny_encoder().card, Scaled(1e5)), Counted())
    assert blocks["pooled"].max() == pytest.approx(1e5)


@pytest.mark.parametrize("output", [("map6",), ("logits", "pooled"), ()])
def test_an_unknown_output_is_refused(output):
    with pytest.raises(SettingError, match="Outputs are pooled, map1, map2, map3, map4, map5; got"):
        run(tiny_encoder(), Counted(), output=output)


def test_an_empty_source_is_refused():
    with pytest.raises(DataError, match="'counted' has no examples in 'test'"):
        run(tiny_encoder(), Counted(count=0))


def test_bfloat16_is_close_to_float32():
    source = ArraySource(count=6, side=32)
    half = dataclasses.replace(CPU, precision="bfloat16")
    exact = run(build("resnet20"), source, size=(32, 32))["pooled"]
    found = run(build("resnet20"), source, size=(32, 32), compute=half)["pooled"]
    assert found.dtype == np.float32
    assert 0 < np.abs(found - exact).max() < 0.05 * np.abs(exact).max()


def test_heads_can_be_trained_on_extracted_features():
    encoder = tiny_encoder().freeze()
    head = torch.nn.Linear(8, 2)
    images = torch.randint(256, (3, 2, 3, 8, 8), dtype=torch.uint8)
    features = extract(encoder, images, CPU, maps=True)
    assert features.pooled.shape == (6, 8)
    assert len(features.maps) == 5
    head(features.pooled).sum().backward()
    assert head.weight.grad is not None


@pytest.mark.slow
def test_workers_change_nothing(tmp_path):
    encoder, source = tiny_encoder(), Counted()
    alone = run(encoder, source)["pooled"]
    np.testing.assert_array_equal(run(encoder, source, workers=2)["pooled"], alone)


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_gpu_gives_what_the_cpu_gives(tmp_path, precision):
    source = Counted(count=50, side=32)
    gpu = Compute(device="cuda", precision=precision, threads=1, reason="test")
    outputs = ("pooled", "map1", "map5")
    expected = run(build("resnet20"), source, output=outputs, size=(32, 32))
    store = FeatureStore(tmp_path)
    found = run(build("resnet20"), source, store, outputs, size=(32, 32), compute=gpu)
    tolerance = 1e-2 if precision == "float32" else 5e-2
    for name in outputs:
        scale = np.abs(expected[name].astype(np.float32)).max()
        np.testing.assert_allclose(found[name], expected[name], atol=tolerance * scale)


def test_another_rule_for_maps_changes_their_keys_and_not_the_pooled_features(monkeypatch):
    card = build("resnet20").card
    keys = [preprocessing_digest(card, (32, 32), maps=maps) for maps in (False, True)]
    monkeypatch.setattr(sys.modules["vireo.features.encode"], "RULE", "another")
    after = [preprocessing_digest(card, (32, 32), maps=maps) for maps in (False, True)]
    assert after[0] == keys[0]
    assert after[1] not in (*keys, after[0])
