"""Handwritten digits that come with scikit-learn: real images without a download."""

from typing import final

import numpy as np
from jaxtyping import UInt8

from vireo.catalog import needs, unknown
from vireo.data.sources.source import Source, Target
from vireo.digest import digest
from vireo.errors import DataError, MissingExtraError

_SIDE = 32


@final
class DigitsSource(Source):
    """All 1797 digits, 8x8 enlarged to 32x32, held in memory.

    Enlarged by bilinear interpolation: nearest would draw the edges of its 4x4 blocks, which are in
    no digit and which first-layer filters answer to.
    """

    name = "digits"
    targets = ("class",)
    class_names = tuple(str(digit) for digit in range(10))

    def __init__(self) -> None:
        try:
            from sklearn.datasets import load_digits
        except ImportError as error:
            raise MissingExtraError(needs("scikit-learn", "The source 'digits'")) from error
        digits = load_digits()
        self._images = np.stack([_enlarge(image) for image in digits.images])
        self._codes: list[int] = digits.target.tolist()
        self.digest = digest("digits", self._images.tobytes().hex(), self._codes)

    def __len__(self) -> int:
        """Return the number of digits."""
        return len(self._codes)

    def frames(self, index: int) -> tuple[UInt8[np.ndarray, "height width 3"], ...]:
        """Return one digit, grey in all three channels."""
        return (np.repeat(self._images[index][:, :, None], 3, axis=2),)

    def target(self, index: int, name: str) -> Target:
        """Return the digit."""
        if name not in self.targets:
            raise DataError(unknown(name, self.targets, "target of digits"))
        return self._codes[index]

    def label(self, index: int) -> str:
        """Return the place of the digit in scikit-learn's array."""
        return f"digits[{index}]"


def _enlarge(image: np.ndarray) -> UInt8[np.ndarray, "32 32"]:
    from PIL import Image

    grey = Image.fromarray(np.round(image * (255 / 16)).astype(np.uint8))
    return np.array(grey.resize((_SIDE, _SIDE), Image.Resampling.BILINEAR))
