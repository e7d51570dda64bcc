"""Networks, views and images small enough to train in milliseconds, behind the real interfaces."""

import numpy as np
import torch
from torch import Tensor, nn

from vireo.data.batch import ViewBatch
from vireo.data.sources.source import Source
from vireo.encoders.backbones import Backbone, Network
from vireo.encoders.encoder import Encoder, Features
from vireo.records import DatasetSpec, EncoderCard, Task


def card_of(channels, strides=(2, 4, 8, 16, 32), features=None, side: int = 64) -> EncoderCard:
    """The card of a network of these shapes; there is no network."""
    return EncoderCard(
        name="net",
        method="random",
        pretraining_set="none",
        architecture="net",
        parameters=1,
        flops=1,
        input_size=(side, side),
        mean=(0.5, 0.5, 0.5),
        std=(0.5, 0.5, 0.5),
        strides=strides,
        channels=channels,
        features=features or channels[-1],
        source="random:net",
        weights="0" * 16,
    )


class TinyBackbone(nn.Module):
    """Two strided 3x3 convolutions with batch norm; the second map is repeated at taps 2 to 5."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 4, 3, stride=2, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(4)
        self.conv2 = nn.Conv2d(4, features, 3, stride=2, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(features)

    def forward(self, images: Tensor, maps: bool = False) -> Features:
        first = self.bn1(self.conv1(images)).relu()
        second = self.bn2(self.conv2(first)).relu()
        return Features(second.mean((2, 3)), (first, second, second, second, second) * maps)


class PixelBackbone(nn.Module):
    """One 1x1 convolution, batch norm, ReLU, mean: few enough numbers for finite differences."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, features, 1, bias=False)
        self.bn = nn.BatchNorm2d(features)

    def forward(self, images: Tensor, maps: bool = False) -> Features:
        out = self.bn(self.conv(images)).relu()
        return Features(out.mean((2, 3)), (out,) * 5 * maps)


def tiny_encoder(
    features: int = 8, seed: int = 0, input_size: tuple[int, int] = (8, 8), pixel: bool = False
) -> Encoder:
    """A real `Encoder` around `TinyBackbone` (or `PixelBackbone`), seeded, with an honest card."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        backbone = PixelBackbone(features) if pixel else TinyBackbone(features)
    card = EncoderCard(
        name="tiny",
        method="random",
        pretraining_set="none",
        architecture="tiny",
        parameters=sum(parameter.numel() for parameter in backbone.parameters()),
        flops=1,
        input_size=input_size,
        mean=(0.5, 0.5, 0.5),
        std=(0.25, 0.25, 0.25),
        strides=(1,) * 5 if pixel else (2, 4, 4, 4, 4),
        channels=(features,) * 5 if pixel else (4, *(features,) * 4),
        features=features,
        source="random:tiny",
        weights="0" * 16,
    )
    return Encoder(card, backbone)


class TinyNetwork(Backbone):
    """`TinyBackbone` as the builders of architectures give it."""

    def forward(self, images: Tensor, maps: bool) -> Features:
        return self.network(images, maps)


def tiny_network(name: str, input_size: tuple[int, int] | None) -> Network:
    """A builder: the architecture "tests.tiny:tiny_network"."""
    size = input_size or (8, 8)
    return Network(backbone=TinyNetwork(TinyBackbone(8)), classifier="fc", input_size=size)


def dropout_network(name: str, input_size: tuple[int, int] | None) -> Network:
    """`tiny_network` whose forward draws from torch's global generator."""
    network = tiny_network(name, input_size)
    inner = network.backbone.network
    inner.conv2 = nn.Sequential(nn.Dropout(0.5), inner.conv2)
    return network


ARCHITECTURE = "tests.tiny:tiny_network"
DATASET = DatasetSpec(name="array", source="tests.tiny:ArraySource")


def bright_task(train: int, **changes) -> Task:
    """Which channel is bright, of `train` images of `ArraySource` to learn it from."""
    splits = {"train": {"seed": 0, "count": train}, "test": {"seed": 1}}
    facts = {
        "name": "bright",
        "summary": "which channel is bright",
        "dataset": DatasetSpec(name="array", source="tests.tiny:ArraySource", splits=splits),
        "target": "class",
        "outputs": 2,
        "family": "semantic-image",
        "head": "linear",
        "loss": "cross-entropy",
        "metric": "top-1",
        "input_size": (8, 8),
    }
    return Task(**(facts | changes))


def view_batch(
    batch: int = 8,
    groups: tuple[tuple[int, int], ...] = ((2, 8),),
    classes: int | None = None,
    patches: int | None = None,
    seed: int = 0,
) -> ViewBatch:
    """Normal noise as views: `groups` lists (views, side), large first; `patches` have a side."""
    draw = torch.Generator().manual_seed(seed)
    return ViewBatch(
        groups=tuple(
            torch.randn(views, batch, 3, side, side, generator=draw) for views, side in groups
        ),
        index=torch.arange(batch),
        label=None if classes is None else torch.randint(classes, (batch,), generator=draw),
        patches=None
        if patches is None
        else torch.randn(batch, 9, 3, patches, patches, generator=draw),
    )


class ArraySource(Source):
    """Images in memory whose class is visible: class c is brighter in channel c modulo 3."""

    def __init__(
        self,
        *,
        count: int = 32,
        side: int = 8,
        classes: int = 2,
        seed: int = 0,
        labelled: bool = True,
    ) -> None:
        rng = np.random.default_rng(seed)
        self.name = "array"
        self.targets = ("class",) if labelled else ()
        self.class_names = tuple(f"class {c}" for c in range(classes)) if labelled else ()
        self.digest = f"array-{count}-{side}-{classes}-{seed}-{labelled}"
        self._labels = rng.integers(classes, size=count)
        images = rng.integers(0, 156, size=(count, side, side, 3))
        images[np.arange(count), :, :, self._labels % 3] += 100
        self._images = images.astype(np.uint8)

    def __len__(self) -> int:
        return len(self._images)

    def frames(self, index: int) -> tuple[np.ndarray, ...]:
        return (self._images[index],)

    def target(self, index: int, name: str) -> int:
        assert name in self.targets
        return int(self._labels[index])

    def label(self, index: int) -> str:
        return f"{index}.png"
