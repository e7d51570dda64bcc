"""Where the files of named datasets lie, and what to say of those that are not there.

The spec of such a dataset has the root "$VIREO_DATASETS/NAME", the same on every machine. Its own
variable, VIREO_NAME, comes before that folder: datasets seldom lie on one disk.
"""

import dataclasses
import functools
import importlib
import os
from collections.abc import Mapping
from pathlib import Path

from vireo import console, files
from vireo.data.datasets import DATASETS
from vireo.errors import DataError, SettingError, StoreError
from vireo.records import DatasetCard, DatasetSpec

ALL = "VIREO_DATASETS"
_START = f"${ALL}/"


def variable(name: str) -> str:
    """Return the variable that names the folder of one dataset.

    Example:
        >>> variable("caltech-101")
        'VIREO_CALTECH_101'
    """
    return f"VIREO_{name.upper().replace('-', '_')}"


def is_named(root: object) -> bool:
    """Whether a root is a named dataset's, to be looked up.

    Example:
        >>> is_named("$VIREO_DATASETS/pets"), is_named("/disk/pets"), is_named(None)
        (True, False, False)
    """
    return isinstance(root, str) and root.startswith(_START)


def located(root: str) -> str:
    """Return a root as its variables have it: the dataset's own before the common one."""
    if not is_named(root):
        return root
    name, _, rest = root.removeprefix(_START).partition("/")
    own = os.environ.get(variable(name))
    return str(Path(own or _START + name) / rest)


def look_up(root: str, name: str) -> str:
    """Return the folder of a named dataset.

    Args:
        root: of its spec.
        name: of the dataset, for the message.

    Raises:
        DataError: it is not there; the message says what belongs there and how to get it.
    """
    found = _folder(root)
    if found is None or not found.is_dir():
        raise DataError(_absence(root, name))
    return str(found)


def placed(spec: DatasetSpec, root: Path | None) -> DatasetSpec:
    """Return the spec with its files in `root`, as `--root` states it; None leaves it.

    Raises:
        SettingError: the dataset has no folder of its own.
        StoreError: the root begins with a home or a variable that is not here.
    """
    if root is None:
        return spec
    if not is_named(spec.options.get("root")):
        raise SettingError(
            f"--root is for datasets that lie in a folder; '{spec.name}' does not. Leave it out."
        )
    folder = str(files.expand(str(root)).absolute())
    return dataclasses.replace(spec, options={**spec.options, "root": folder})


def absence(spec: DatasetSpec) -> str:
    """Return why a named dataset cannot be read here, and what to do; "" where it can.

    Datasets that are made, that come with a library or that are a person's own have no such reason.
    """
    options = [spec.options, *spec.splits.values()]
    roots = dict.fromkeys(str(option["root"]) for option in options if "root" in option)
    named = [root for root in roots if is_named(root) or spec.name in DATASETS]
    return next(filter(None, (_absence(root, spec.name) for root in named)), "")


def missing_parts(card: DatasetCard, folder: Path) -> Mapping[str, str]:
    """Return the parts of a dataset's layout that `folder` has not."""
    return {
        pattern: what
        for pattern, what in card.layout.items()
        if next(folder.glob(pattern), None) is None
    }


def warn_if_partial(spec: DatasetSpec, split: str, found: int) -> None:
    """Say it where a split of a named dataset is not of the published size."""
    card = card_of(spec.name) if is_named(spec.options.get("root")) else None
    stated = card.splits.get(split, 0) if card else 0
    if stated and found != stated and split not in spec.limit:
        _warn_of_size(spec.name, split, found, stated)


@functools.cache
def _warn_of_size(name: str, split: str, found: int, stated: int) -> None:
    """Warn once in a process: a split is opened many times."""
    console.warn(
        f"'{name}' has {found:,} examples in '{split}', and {stated:,} are published; look at it "
        f"with 'vireo data check {name}'."
    )


def instructions(card: DatasetCard) -> str:
    """Say what belongs in a named dataset's folder, how to get it, and on what terms."""
    return (
        f"{card.how_to_get} The folder then holds {', '.join(card.layout)}; name it by "
        f"{variable(card.name)}, or call it '{card.name}' in the folder of {ALL}. "
        f"Licence: {card.licence}. See {card.homepage}"
    )


def card_of(name: str) -> DatasetCard | None:
    """Return the card of a dataset of the catalogue, without importing torch."""
    if name not in DATASETS:
        return None
    card: DatasetCard = importlib.import_module(DATASETS[name].partition(":")[0]).CARD
    return card


def _folder(root: str) -> Path | None:
    try:
        return files.expand(located(root))
    except StoreError:
        return None


def _absence(root: str, name: str) -> str:
    """Return why the files of one root are not there.

    A dataset may lie in the folder of another (masks beside classes): the root says whose it is.
    """
    owner = root.removeprefix(_START).partition("/")[0] if is_named(root) else name
    card = card_of(owner) or card_of(name)
    advice = instructions(card) if card else "Set it to the folder of the files."
    folder = _folder(root)
    if folder is None:
        return f"'{name}' is not here: neither {variable(owner)} nor {ALL} is set. {advice}"
    if not folder.is_dir():
        return f"'{name}' is not here: there is no folder {folder}. {advice}"
    missing = missing_parts(card, folder) if card else {}
    if missing:
        return f"'{name}' is not whole: {folder} has no {', '.join(missing)}. {advice}"
    return ""
