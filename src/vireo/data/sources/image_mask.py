"""Images with a mask of label codes each, in folders or told apart by the ends of their names."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import final

import numpy as np
from jaxtyping import Integer, UInt8

from vireo.catalog import unknown
from vireo.data.decode import decode_image, decode_mask
from vireo.data.sources.codes import whole_numbers
from vireo.data.sources.listing import fingerprint, open_folder, pair, read
from vireo.data.sources.source import Source, Target
from vireo.errors import DataError

Codes = dict[int, int]


@final
class ImageMaskSource(Source):
    """An image and the codes of its pixels.

    Args:
        root: the folder; `$VARIABLES` are expanded.
        images, masks: folders or one-star patterns below the root (see `listing.pair`).
        target: what the codes are: "mask" for classes, "instances" for one number an object.
        class_names: of the codes.
        codes: stored code to the code it becomes, as texts ("11" to "255"); "*" stands for every
            other code; codes not listed stay.

    Raises:
        DataError: a folder, file or partner is missing.
    """

    def __init__(
        self,
        *,
        root: str | Path,
        images: str,
        masks: str,
        target: str = "mask",
        class_names: Sequence[str] = (),
        codes: Mapping[str, str] | None = None,
    ) -> None:
        self._folder = open_folder(root)
        self._pairs = pair(self._folder, images, masks)
        self._codes, self._other = _code_table(codes or {})
        self.name = self._folder.name
        self.targets = (target,)
        self.class_names = tuple(class_names)
        entries = [entry for _, *both in self._pairs for entry in both]
        self.digest = fingerprint(entries, "image-mask", target, self.class_names, codes or {})

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self._pairs)

    def frames(self, index: int) -> tuple[UInt8[np.ndarray, "height width 3"], ...]:
        """Decode one image."""
        path = self._folder / self._pairs[index].image.name
        return (decode_image(read(path), str(path)),)

    def target(self, index: int, name: str) -> Target:
        """Decode one mask."""
        if name not in self.targets:
            raise DataError(unknown(name, self.targets, f"target of {self._folder}"))
        path = self._folder / self._pairs[index].partner.name
        return _recode(decode_mask(read(path), str(path)), self._codes, self._other)

    def label(self, index: int) -> str:
        """Return the image file's name relative to the folder."""
        return self._pairs[index].image.name


def _recode(
    mask: Integer[np.ndarray, "height width"], codes: Codes, other: int | None
) -> Integer[np.ndarray, "height width"]:
    if not codes and other is None:
        return mask
    stored, place = np.unique(mask, return_inverse=True)
    new = [codes.get(int(code), int(code) if other is None else other) for code in stored]
    recoded: Integer[np.ndarray, "height width"] = np.array(new, dtype=np.int32)[place]
    return recoded.reshape(mask.shape)


def _code_table(codes: Mapping[str, str]) -> tuple[Codes, int | None]:
    table = dict(codes)
    other = table.pop("*", None)
    texts = [*table.keys(), *table.values(), *([] if other is None else [other])]
    numbers = whole_numbers(texts, lambda place: f"The option 'codes', entry {place}")
    keys, values = numbers[: len(table)], numbers[len(table) : 2 * len(table)]
    return dict(zip(keys.tolist(), values.tolist(), strict=True)), (
        None if other is None else int(numbers[-1])
    )
