"""Looking at a dataset: what of it is there, how many examples, the first and the last of them."""

import contextlib
from dataclasses import dataclass
from pathlib import Path, PurePath

import numpy as np

from vireo import files
from vireo.data.opening import find_dataset, open_split
from vireo.data.roots import absence, card_of, located, missing_parts, placed
from vireo.data.sources.source import Source, Target
from vireo.errors import DataError, StoreError
from vireo.records import DatasetCard, DatasetSpec


@dataclass(frozen=True, kw_only=True)
class SplitFound:
    """What there is of a split.

    Attributes:
        examples: how many are there; None where they cannot be read.
        expected: how many the card states; None where it states none.
        size: height and width of the first image, after the number of images where there are more.
        targets: what can be asked of an example.
        first, last: names of these examples, and first_label, last_label: their targets.
        problem: why it cannot be read, or how it differs from the card; "" if neither.
    """

    name: str
    examples: int | None = None
    expected: int | None = None
    size: str = ""
    targets: str = ""
    first: str = ""
    first_label: str = ""
    last: str = ""
    last_label: str = ""
    problem: str = ""


def check(data: str, root: Path | None = None) -> list[SplitFound]:
    """Open every split of a dataset, count it, and read its first and last example.

    Args:
        data: what `find_dataset` takes.
        root: the folder of a named dataset, in place of its variables.

    Raises:
        SettingError: no such dataset, or a root for one that lies in no folder.
        DataError: a dataset that is not of the catalogue cannot be read.
    """
    spec = placed(find_dataset(data), root)
    names = dict.fromkeys([*spec.splits, *spec.carve])
    return [_split(spec, name, card_of(data)) for name in names]


def folder_of(name: str, root: Path | None = None) -> Path | None:
    """Return where a named dataset lies; None where it has no folder or no variable names one."""
    place = placed(find_dataset(name), root).options.get("root")
    try:
        return files.expand(located(place)) if isinstance(place, str) else None
    except StoreError:
        return None


def parts_found(card: DatasetCard, folder: Path | None) -> dict[str, bool]:
    """Return for each part of a named dataset's layout whether it is in `folder`."""
    missing = missing_parts(card, folder) if folder else card.layout
    return {part: part not in missing for part in card.layout}


def whole_near(card: DatasetCard, folder: Path | None) -> Path | None:
    """Return where a named dataset is whole, if that is just above or below `folder`, not in it.

    Its archive may lie in a folder more than the layout has, or `folder` may be a part of the
    layout itself: "dtd/dtd" of the dataset's "dtd/dtd/images".

    Args:
        card: of the dataset.
        folder: where a person looks for it.
    """
    if folder is None or not folder.is_dir() or not missing_parts(card, folder):
        return None
    near = [above for above in folder.absolute().parents if _is_part(card, folder, above)]
    with contextlib.suppress(PermissionError):
        near += sorted(below for below in folder.iterdir() if below.is_dir())
    return next((place for place in near if not missing_parts(card, place)), None)


def _is_part(card: DatasetCard, folder: Path, above: Path) -> bool:
    """Whether a pattern of the layout leads from `above` through `folder`."""
    within = folder.absolute().relative_to(above).parts
    starts = (PurePath(pattern).parts[: len(within)] for pattern in card.layout)
    return any(
        "**" not in start and len(start) == len(within) and PurePath(*within).match("/".join(start))
        for start in starts
    )


def _split(spec: DatasetSpec, name: str, card: DatasetCard | None) -> SplitFound:
    expected = (card.splits.get(name) or None) if card else None
    try:
        return _described(open_split(spec, name), name, expected)
    except DataError as error:
        if card is None:
            raise
        reason = absence(spec).partition(". ")[0] or str(error)
        return SplitFound(name=name, expected=expected, problem=reason)


def _described(source: Source, name: str, expected: int | None) -> SplitFound:
    last = len(source) - 1
    images = source.frames(0)
    source.frames(last)
    height, width = images[0].shape[:2]
    several = f"{len(images)} x " if len(images) > 1 else ""
    differs = expected is not None and len(source) != expected
    return SplitFound(
        name=name,
        examples=len(source),
        expected=expected,
        size=f"{several}{height} x {width}",
        targets=", ".join(source.targets),
        first=source.label(0),
        first_label=_label(source, 0),
        last=source.label(last),
        last_label=_label(source, last),
        problem=f"{len(source):,} examples, not {expected:,}" if differs else "",
    )


def _label(source: Source, index: int) -> str:
    values = {name: source.target(index, name) for name in source.targets}
    return ", ".join(f"{name} {_text(source, name, value)}" for name, value in values.items())


def _text(source: Source, name: str, value: Target) -> str:
    if isinstance(value, np.ndarray):
        return " x ".join(map(str, value.shape))
    if name == "class" and value < len(source.class_names):
        return f"{value} ({source.class_names[int(value)]})"
    return f"{value}"
