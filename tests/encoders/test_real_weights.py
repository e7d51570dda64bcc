"""Real trained networks on real images score what they are known to score."""

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torchvision import models

from vireo.data import open_split
from vireo.devices import Compute
from vireo.encoders import open_encoder
from vireo.encoders.inspecting import inspect
from vireo.features import encode
from vireo.records import DatasetSpec, EncoderSpec

CPU = Compute(device="cpu", precision="float32", threads=1, reason="test")


def top_1(encoder, source, truth, size):
    blocks = encode(encoder, source, size=size, store=None, split="test", compute=CPU)
    with torch.no_grad():
        predicted = encoder.classifier(torch.from_numpy(blocks["pooled"][:, 0])).argmax(dim=1)
    return float((predicted.numpy() == truth).mean()), predicted


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "architecture", "tensors"),
    [
        ("resnet20-12fca82f.th", "resnet20", 95),
        ("resnet56-4bfd9763.th", "resnet56", 275),
        ("mobilenet_v2_imagenet.safetensors", "mobilenet_v2", 312),
    ],
)
def test_real_files_are_recognised(real_weights, name, architecture, tensors):
    """Tensors: 5 of a convolution and its norm, a layer; 6 where batches are counted."""
    found = inspect(real_weights / name)
    assert (found.format, found.architecture, found.accepted) == ("torchvision", architecture, True)
    assert (found.matched, found.left_over, found.missing) == (tensors, {}, ())
    assert found.weights == open_encoder(f"file:{real_weights / name}").card.weights


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "score"), [("resnet20-12fca82f.th", 0.8103), ("resnet56-4bfd9763.th", 0.8320)]
)
def test_cifar_resnets_through_the_whole_image_path(real_data, real_weights, name, score):
    path = str(real_data / "cifar10" / "test-*.parquet")
    spec = DatasetSpec(name="cifar10", source="parquet", splits={"test": {"path": path}})
    source = open_split(spec, "test")
    truth = np.array([source.target(index, "class") for index in range(len(source))])
    encoder = open_encoder(f"file:{real_weights / name}").freeze()
    assert top_1(encoder, source, truth, (32, 32))[0] == pytest.approx(score, abs=2e-4)


@pytest.mark.data
@pytest.mark.slow
def test_mobilenet_predicts_what_torchvisions_own_network_predicts(real_data, real_weights):
    root = str(real_data / "imagenet-1k-sample")
    spec = DatasetSpec(
        name="sample",
        source="image-folder",
        splits={"test": {"root": root}},
        limit={"test": 100},
    )
    source = open_split(spec, "test")
    truth = np.array([int(source.label(index).split(".")[0]) for index in range(len(source))])
    path = real_weights / "mobilenet_v2_imagenet.safetensors"
    encoder = open_encoder(EncoderSpec(spec=f"file:{path}", mean=(0.5,) * 3, std=(0.5,) * 3))
    score, predicted = top_1(encoder, source, truth, (224, 224))
    theirs = models.mobilenet_v2()
    theirs.load_state_dict(
        {k: v.to(theirs.state_dict()[k].dtype) for k, v in load_file(path).items()}
    )
    frames = np.stack([source.frames(index)[0] for index in range(len(source))])
    images = torch.from_numpy(frames).permute(0, 3, 1, 2) / 127.5 - 1
    with torch.no_grad():
        own = torch.cat([theirs.eval()(chunk).argmax(dim=1) for chunk in images.split(20)])
    assert (own == predicted).float().mean() > 0.98
    assert score > 0.65
