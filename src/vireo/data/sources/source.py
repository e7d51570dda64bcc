"""What every reader of a layout offers: examples by number, images and targets apart."""

from abc import ABC, abstractmethod

import numpy as np
from jaxtyping import UInt8

Target = np.ndarray | int | float


class Source(ABC):
    """An ordered set of examples on disk or in memory.

    Attributes:
        name: for messages and tables.
        targets: the targets its examples have. Their kinds: int (a class or count), float or
            float32 [numbers] (measures of the image; NaN is missing), integers [height, width]
            (label codes), float32 [height, width] or [channels, height, width] (NaN is invalid).
            Two channels are optical flow: u to the right and v down, in pixels of the first frame.
            The usual names: "class", "count", "order", "egomotion"; "mask", "instances"; "depth"
            (metres); "flow".
        class_names: names of the codes of "class", "order", "egomotion" or "mask", where known.
        balance: how the classes are balanced by design ("log", "linear", ...); mostly unknown.
        groups: the scene, building or drive of each example: examples of one are alike, so a random
            cut has none on both sides. Empty where examples are independent.
        digest: identifies the examples and their order: relative names, sizes, options, and what
            the files of labels hold; never an absolute path.
    """

    name: str
    targets: tuple[str, ...]
    class_names: tuple[str, ...]
    digest: str
    balance: str = "unknown"
    groups: tuple[str, ...] = ()

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of examples."""

    @abstractmethod
    def frames(self, index: int) -> tuple[UInt8[np.ndarray, "height width 3"], ...]:
        """Decode the images of one example.

        Raises:
            DataError: a file is missing or broken; the message names it.
        """

    @abstractmethod
    def target(self, index: int, name: str) -> Target:
        """Return one target of one example; cheap where no image has to be decoded.

        Raises:
            DataError: the source has no such target, or its file is missing or broken.
        """

    @abstractmethod
    def label(self, index: int) -> str:
        """Return what a person calls this example (a relative file name)."""
