"""Images in memory, so that a benchmark does not measure the disk or decoding."""

import numpy as np

from vireo.data.sources.source import Source


class InMemory(Source):
    """Random images, already decoded."""

    def __init__(self, count: int, side: int) -> None:
        self.name, self.targets, self.class_names = "memory", (), ()
        self.digest = f"memory-{count}-{side}"
        shape = (count, side, side, 3)
        self._images = np.random.default_rng(0).integers(256, size=shape, dtype=np.uint8)

    def __len__(self) -> int:
        return len(self._images)

    def frames(self, index: int) -> tuple[np.ndarray, ...]:
        """Return the image."""
        return (self._images[index],)

    def target(self, index: int, name: str) -> int:
        """Refuse: there are no targets."""
        raise NotImplementedError

    def label(self, index: int) -> str:
        """Return the example's number."""
        return str(index)
