"""Images with a mask of label codes each, in folders or told apart by the ends of their names."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import final

import numpy as np
from jaxtyping import Integer

from vireo.data.decode import decode_mask
from vireo.data.sources.codes import whole_numbers
from vireo.data.sources.listing import open_folder
from vireo.data.sources.matching import match
from vireo.data.sources.paired import PairedSource

Codes = dict[int, int]


@final
class ImageMaskSource(PairedSource):
    """An image and the codes of its pixels.

    Args:
        root: the folder; `$VARIABLES` are expanded.
        images, masks: folders or one-star patterns below the root (see `matching`).
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
        self._codes, self._other = _code_table(codes or {})
        names = tuple(class_names)
        facts = ("image-mask", target, names, codes or {})
        folder = open_folder(root)
        super().__init__(folder, match(folder, (images, masks)), target=target, facts=facts)
        self.class_names = names

    def decode(self, content: bytes, name: str) -> Integer[np.ndarray, "height width"]:
        """Decode one mask."""
        return _recode(decode_mask(content, name), self._codes, self._other)


def _recode(
    mask: Integer[np.ndarray, "height width"], codes: Codes, other: int | None
) -> Integer[np.ndarray, "height width"]:
    if not codes and other is None:
        return mask
    if mask.dtype == np.uint8:  # by a table: sorting two million pixels takes 25 times as long
        table = [codes.get(code, code if other is None else other) for code in range(256)]
        looked_up: Integer[np.ndarray, "height width"] = np.array(table, dtype=np.int32)[mask]
        return looked_up
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
