"""Other projects' files, as their own code writes them, are read to the same features, or refused.

The features are compared with those of the original network, run by torchvision or timm itself.
Every layout also has twins that must not load: a tensor missing, renamed, of another shape, or one
too many.
"""

import dataclasses
import functools

import pytest
import torch
from tests.encoders.layouts import LAYOUTS
from tests.encoders.layouts.parts import write
from torch.testing import assert_close

from vireo.encoders import open_encoder
from vireo.encoders.inspecting import inspect
from vireo.encoders.reading.files import read_file
from vireo.errors import CheckpointError
from vireo.records import EncoderSpec

BY_NAME = {layout.name: layout for layout in LAYOUTS}
every_layout = pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.name)
with_two = pytest.mark.parametrize(
    "layout", [layout for layout in LAYOUTS if layout.take], ids=lambda layout: layout.name
)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Each layout's case, file and what the reader gives for it, made when first asked for."""
    folder = tmp_path_factory.mktemp("layouts")

    @functools.cache
    def make(layout):
        case = layout.make()
        path = write(folder / f"{layout.name}.pth", case.content, layout.legacy)
        return case, path, read_file(path)

    return lambda name: make(BY_NAME[name])


@pytest.fixture
def reads(monkeypatch):
    """Files that are not read again: their content is at hand, or was changed in memory."""
    contents = {}
    for module in ("checkpoints", "inspecting"):
        monkeypatch.setattr(f"vireo.encoders.{module}.read_file", contents.__getitem__)
    return contents


def keys_to(part, tree):
    """The keys that lead to a part of nested dictionaries; None if it is not in there."""
    if tree is part:
        return ()
    if not isinstance(tree, dict):
        return None
    found = ((key, keys_to(part, value)) for key, value in tree.items())
    return next(((key, *keys) for key, keys in found if keys is not None), None)


def changed(tree, keys, change):
    """Copy nested dictionaries along the keys; the last of them is changed by `change`."""
    copy = dict(tree)
    if keys:
        copy[keys[0]] = changed(tree[keys[0]], keys[1:], change)
    else:
        change(copy)
    return copy


def twin_of(case, content, change):
    """What the reader would give for the case's file if the backbone's dictionary were changed."""
    keys = keys_to(case.state, case.content)
    return dataclasses.replace(content, tree=changed(content.tree, keys, change))


def spec(path, layout, **options):
    return EncoderSpec(spec=f"file:{path}", architecture=layout.named, **options)


def pooled(network, layout):
    """Features of two images that no batch norm has seen, the same in every test."""
    images = torch.rand(2, 3, layout.size, layout.size, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        return network(images)


def encoded(encoder, layout):
    backbone = encoder.freeze().backbone
    return pooled(lambda images: backbone(images, False).pooled, layout)


@every_layout
def test_a_layout_is_recognised_and_read_to_the_original_features(layout, saved, reads):
    case, path, reads[path] = saved(layout.name)
    found = inspect(path, layout.named)
    assert found.accepted, found.refusal
    assert found.format in layout.formats
    assert found.epoch == layout.epoch
    assert set(layout.foreign) <= set(found.foreign)
    assert bool(layout.foreign) == bool(found.foreign)
    assert (found.missing, found.misshapen, found.too_many, found.refusal) == ((), (), (), "")
    assert layout.taken in found.taken
    assert layout.kinds <= {kind for kind, names in found.left_over.items() if names}

    encoder = open_encoder(spec(path, layout, input_size=(layout.size, layout.size)))
    assert_close(encoded(encoder, layout), pooled(case.pooled, layout), atol=2e-5, rtol=1e-4)
    assert encoder.card.weights == found.weights


@with_two
def test_the_other_network_of_a_file_is_taken_if_asked_for(layout, saved, reads):
    case, path, reads[path] = saved(layout.name)
    size = (layout.size, layout.size)
    other = open_encoder(spec(path, layout, take=layout.take, input_size=size))
    assert_close(encoded(other, layout), pooled(case.other, layout), atol=2e-5, rtol=1e-4)
    gap = pooled(case.other, layout) - pooled(case.pooled, layout)
    assert gap.abs().max() > 0.05


def lost(tensors, name):
    del tensors[name]


def renamed(tensors, name):
    tensors[name + "_"] = tensors.pop(name)


def cut(tensors, name):
    tensors[name] = tensors[name][:-1]


@every_layout
@pytest.mark.parametrize("change", [lost, renamed, cut])
def test_a_backbone_that_is_not_whole_is_refused_by_name(layout, change, saved, reads):
    case, path, content = saved(layout.name)

    def twin(tensors):
        tensors.pop(case.twin, None)
        change(tensors, case.victim)

    reads[path] = twin_of(case, content, twin)
    found = inspect(path, layout.named)
    assert (found.accepted, found.weights) == (False, "")
    texts = (*found.missing, *found.misshapen, found.refusal)
    assert any(name in text for text in texts for name in (case.victim, case.standard))
    with pytest.raises(CheckpointError) as error:
        open_encoder(spec(path, layout))
    assert any(name in str(error.value) for name in (case.victim, case.standard))


@every_layout
def test_a_tensor_that_the_backbone_has_no_place_for_is_refused(layout, saved, reads):
    case, path, content = saved(layout.name)
    stray = case.victim.replace("conv2", "conv9").replace("attn.qkv", "attn.extra")
    stray = stray.replace("net.2.", "net.9.")

    def more(tensors):
        assert stray not in tensors
        tensors[stray] = tensors[case.victim].clone()

    reads[path] = twin_of(case, content, more)
    found = inspect(path, layout.named)
    assert not found.accepted
    last = stray.split(".")[-2]
    assert any(last in text for text in (*found.too_many, found.refusal))
    with pytest.raises(CheckpointError):
        open_encoder(spec(path, layout))


def test_every_layout_is_there_once():
    assert len(BY_NAME) == len(LAYOUTS)
