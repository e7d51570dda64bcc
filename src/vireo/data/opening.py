"""From what a person writes to examples: names and `kind:path` texts, specs, splits."""

import dataclasses
import glob
import re
from pathlib import Path
from typing import Any

from vireo import console, files
from vireo.catalog import resolve, unknown
from vireo.data import roots
from vireo.data.datasets import DATASETS
from vireo.data.sources import SOURCES
from vireo.data.sources.source import Source
from vireo.data.spec_checks import option_mistakes
from vireo.data.splits import carve, limit
from vireo.errors import DataError, SettingError, StoreError
from vireo.records import DatasetCard, DatasetSpec
from vireo.records.datasets import Option

_DOTTED = re.compile(r"\w+(\.\w+)+:\w+")
_SPLIT_NAMES = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation"),
    "test": ("test", "testing"),
}


def find_dataset(text: str) -> DatasetSpec:
    """Return the dataset that a text stands for.

    Args:
        text: a name of the catalogue, a "package.module:SPEC", or `folder:PATH`, `parquet:GLOB`,
            `webdataset:GLOB`, `rooms:DIR`, `subset:DIR`. Folders called train, val and test below
            PATH are splits, and so are parquet files and tar shards whose names begin with these
            words; otherwise all of it is "train".

    Raises:
        SettingError: none of these.
        DataError: there is no such folder, or a variable is not set.
    """
    kind, colon, path = text.partition(":")
    if colon and kind in _KINDS:
        return _KINDS[kind](path)
    if text in DATASETS or _DOTTED.fullmatch(text):
        spec: DatasetSpec = resolve(DATASETS, text, "dataset")
        return spec
    known = [*DATASETS, *(f"{kind}:..." for kind in _KINDS)]
    hint = f" For a folder of images write 'folder:{text}'." if Path(text).exists() else ""
    raise SettingError(unknown(text, known, "dataset") + hint)


def dataset_card(name: str) -> DatasetCard:
    """Return the card of a dataset of the catalogue.

    Raises:
        SettingError: no such name.
    """
    module = DATASETS.get(name, name).partition(":")[0]
    card: DatasetCard = resolve(
        {key: f"{module}:CARD" for key in DATASETS if key == name} or DATASETS, name, "dataset"
    )
    return card


def open_split(dataset: DatasetSpec | str, split: str) -> Source:
    """Open one split: read the source, cut it as `carve` says, then apply `limit`.

    Raises:
        SettingError: no such split, or options that the source does not take.
        DataError: files that are missing or broken, or classes that differ from those of "train".
    """
    spec = find_dataset(dataset) if isinstance(dataset, str) else dataset
    _check_splits(spec, split)
    if split in spec.splits:
        source = _open(spec, split)
        _check_classes(spec, split, source)
        parts = carve(source, spec.carve if split == "train" else {}, "train")
    else:
        parts = carve(_open(spec, "train"), spec.carve, split)
    found = limit(parts, spec.limit[split], split) if split in spec.limit else parts
    roots.warn_if_partial(spec, split, len(found))
    return found


def _check_splits(spec: DatasetSpec, split: str) -> None:
    known = [*spec.splits, *spec.carve]
    if split not in known:
        advice = "" if spec.carve else " A dataset file can cut one out of 'train' by 'carve'."
        raise SettingError(unknown(split, known, f"split of '{spec.name}'") + advice)
    for name in spec.carve:
        if name in spec.splits or "train" not in spec.splits:
            raise SettingError(
                f"'{spec.name}' carves '{name}' out of 'train', so 'splits' must have 'train' and "
                f"not '{name}'; it has {', '.join(spec.splits)}."
            )
    for name in spec.limit:
        if name not in known:
            raise SettingError(unknown(name, known, f"split of '{spec.name}' in 'limit'"))


def _open(spec: DatasetSpec, split: str) -> Source:
    kind = resolve(SOURCES, spec.source, "source", Source)
    options: dict[str, Any] = {**spec.options, **spec.splits[split]}
    if roots.is_named(options.get("root")):
        options["root"] = roots.look_up(options["root"], spec.name)
    subfolder = options.pop("subfolder", None)
    if subfolder is not None:
        options["root"] = str(Path(str(options.get("root", ""))) / str(subfolder))
    for _, mistake in option_mistakes(kind, options, f"source '{spec.source}' of '{spec.name}'"):
        raise SettingError(mistake)
    source: Source = kind(**options)
    source.name = spec.name
    return source


def _check_classes(spec: DatasetSpec, split: str, source: Source) -> None:
    """Refuse a split whose codes mean other classes than those of "train"."""
    fixed = "class_names" in {**spec.options, **spec.splits[split]}
    if split == "train" or fixed or "train" not in spec.splits or "class" not in source.targets:
        return
    trained = _open(spec, "train").class_names
    if trained != source.class_names:
        only = sorted(set(trained) ^ set(source.class_names))
        raise DataError(
            f"The classes of '{spec.name}' differ between 'train' and '{split}' "
            f"({', '.join(only[:5]) or 'in order'}), so their codes do too; list them in the "
            "option 'class_names'."
        )


def _folder(path: str) -> DatasetSpec:
    root = _expand(path).resolve()
    if not root.is_dir():
        raise DataError(f"There is no folder {root}; check the path '{path}'.")
    options: dict[str, Option] = {"root": path}
    found = {
        split: {"subfolder": name}
        for split, names in _SPLIT_NAMES.items()
        for name in names
        if (root / name).is_dir()
    }
    splits = found if "train" in found else {"train": {}}
    if "train" in found:
        _warn_of_others(root, [str(options["subfolder"]) for options in found.values()])
    return DatasetSpec(name=root.name, source="image-folder", options=options, splits=splits)


def _warn_of_others(root: Path, used: list[str]) -> None:
    others = sorted(
        path.name
        for path in root.iterdir()
        if path.is_dir() and path.name not in used and not path.name.startswith(".")
    )
    if others:
        console.warn(
            f"'folder:{root}' reads only its folders {', '.join(used)} as splits and leaves out "
            f"{', '.join(others[:5])}. If these are all classes, write a dataset of the source "
            "'image-folder' with this root."
        )


def _parquet(pattern: str) -> DatasetSpec:
    everything = pattern == "*.parquet" or pattern.endswith("/*.parquet")
    folder = pattern.removesuffix("*.parquet").rstrip("/") or "." if everything else pattern
    if glob.has_magic(folder) or not _expand(folder).is_dir():
        name = Path(pattern).parent.name
        options: dict[str, Option] = {"path": pattern}
        return DatasetSpec(name=name or "parquet", source="parquet", options=options)
    root = _expand(folder).resolve()
    found = {
        split: {"path": f"{name}-*.parquet"}
        for split, names in _SPLIT_NAMES.items()
        for name in names
        if any(root.glob(f"{name}-*.parquet"))
    }
    splits = found if "train" in found else {"train": {"path": "*.parquet"}}
    return DatasetSpec(name=root.name, source="parquet", options={"root": folder}, splits=splits)


def _webdataset(pattern: str) -> DatasetSpec:
    root = _expand(pattern)
    if not root.is_dir():
        options: dict[str, Option] = {"path": pattern}
        return DatasetSpec(
            name=root.parent.name or "webdataset", source="webdataset", options=options
        )
    found = {
        split: {"path": f"{name}-*.tar"}
        for split, names in _SPLIT_NAMES.items()
        for name in names
        if any(root.glob(f"{name}-*.tar"))
    }
    splits = found if "train" in found else {"train": {"path": "*.tar"}}
    return DatasetSpec(
        name=root.resolve().name, source="webdataset", options={"root": pattern}, splits=splits
    )


def _subset(folder: str) -> DatasetSpec:
    return DatasetSpec(
        name=_expand(folder).resolve().name, source="subset", options={"root": folder}
    )


def _rooms(folder: str) -> DatasetSpec:
    from vireo.data.rooms.source import read_card

    splits = {name: {"split": name} for name in read_card(_expand(folder)).images}
    return dataclasses.replace(find_dataset("rooms"), options={"root": folder}, splits=splits)


def _expand(path: str) -> Path:
    try:
        return files.expand(path)
    except StoreError as error:
        raise DataError(str(error)) from error


_KINDS = {
    "folder": _folder,
    "parquet": _parquet,
    "webdataset": _webdataset,
    "rooms": _rooms,
    "subset": _subset,
}
