"""What the tests of sources share: miniature files in the real formats."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vireo.data.sources.source import Source


def _pixels(seed: int, height: int = 6, width: int = 8) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def _encode(array: np.ndarray, kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, kind)
    return buffer.getvalue()


def _write(path: Path, array: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)
    return path


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    """Keep indices of shards out of the person's own cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def pixels():
    """Colour noise of a seed: pixels(seed, height, width)."""
    return _pixels


@pytest.fixture
def encode():
    """Compress an array: encode(array, kind)."""
    return _encode


@pytest.fixture
def write():
    """Save an array as an image file, with its folders: write(path, array)."""
    return _write


class Listed(Source):
    """A source in memory: images of one size and the targets that a test gives it."""

    def __init__(self, num_images=6, size=(6, 8), **values):
        self.name, self.class_names, self.digest = "listed", (), f"listed {num_images}"
        self.targets = tuple(values)
        self.values = values
        self.images = [_pixels(seed, *size) for seed in range(num_images)]

    def __len__(self):
        return len(self.images)

    def frames(self, index):
        return (self.images[index],)

    def target(self, index, name):
        return self.values[name][index]

    def label(self, index):
        return f"listed {index}"


@pytest.fixture
def listed():
    """Make a source in memory: listed(num_images, size, target=values)."""
    return Listed
