"""What an engine offers: work done in loader workers, and work done on the device.

`prepare` runs where images are decoded, once a batch, and may not touch a GPU; what it returns
travels to the main process. `finish` runs there and gives the normalised views.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from vireo.data.views.draws import Draws

ViewGroups = tuple[Float[Tensor, "_views batch 3 _side _side"], ...]
"""Views by side; where the recipe has a jigsaw, a last group of its patches: nine views."""


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A batch on its way from a worker.

    Attributes:
        tensors: the pixels, as the engine arranged them.
        sizes: height and width of the decoded images.
        draws: what remains to be applied.
    """

    tensors: tuple[UInt8[Tensor, "..."], ...]
    sizes: Int64[np.ndarray, "batch 2"]
    draws: Draws

    def pin_memory(self) -> "Prepared":
        """Return a copy in page-locked memory, from which copies to a GPU do not block."""
        return replace(self, tensors=tuple(tensor.pin_memory() for tensor in self.tensors))


class Engine(ABC):
    """Makes views from decoded images by one recipe. Final classes only, one a file."""

    @abstractmethod
    def start_worker(self) -> None:
        """Settle a fresh worker process: one thread, as there are many workers."""

    @abstractmethod
    def prepare(
        self, images: Sequence[UInt8[np.ndarray, "_height _width 3"]], draws: Draws
    ) -> Prepared:
        """Do the worker's share."""

    @abstractmethod
    def finish(self, prepared: Prepared, device: torch.device) -> ViewGroups:
        """Do the device's share: float32, normalised, grouped by side."""


def image_sizes(
    images: Sequence[UInt8[np.ndarray, "_height _width 3"]],
) -> Int64[np.ndarray, "batch 2"]:
    """Return height and width of each image."""
    return np.array([image.shape[:2] for image in images], dtype=np.int64)
