"""Fetching a named dataset by torchvision's own downloader, where its licence permits that.

Everything is fetched and unpacked in a folder `.partial` of the dataset's, and moved out of it when
it is whole: torchvision's readers take a folder that an interrupted unpacking left for the dataset.
Archives stay there after a failure. torchvision compares them with its checksums, so that whole
ones are not fetched again and broken ones are.
"""

import http.client
import shutil
import tarfile
import urllib.error
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from vireo import console, files
from vireo.data.roots import ALL, card_of, missing_parts, variable
from vireo.errors import DataError, SettingError
from vireo.records import DatasetCard

_PARTIAL = ".partial"
_FAILURES = (
    OSError,
    RuntimeError,
    EOFError,
    ImportError,
    urllib.error.URLError,
    http.client.HTTPException,
    tarfile.TarError,
    zipfile.BadZipFile,
)


def get(name: str, root: Path | None) -> Path:
    """Fetch a dataset into a folder; one that is whole is left as it is.

    Args:
        name: of the catalogue.
        root: the dataset's folder, made if needed; None where nobody has named one.

    Raises:
        DataError: the fetching failed, something else is in the way, or what came is not the
            dataset.
        SettingError: the name is unknown, has no folder, or its licence wants steps of a person;
            it says which.
        StoreError: another process is fetching it.
    """
    card, root = _fetchable(name, root)
    if not missing_parts(card, root):
        console.say(f"'{name}' is in {root} already.")
        return root
    with files.lock(root / f"{_PARTIAL}.lock", f"fetching '{name}'"):
        partial = root / _PARTIAL
        _clear(partial, card)
        partial.mkdir(exist_ok=True)
        console.say(f"Fetching '{name}' into {root}. Licence: {card.licence}. {card.homepage}")
        try:
            _FETCHERS.get(card.downloader, _download)(card, partial, root)
        except (*_FAILURES, SettingError) as error:
            _clear(partial, card)
            if isinstance(error, SettingError):
                raise
            raise DataError(_failure(card, error, partial, root)) from error
        _move(partial, root, card)
    return root


def _failure(card: DatasetCard, error: Exception, partial: Path, root: Path) -> str:
    """Say why nothing came, what is kept, and what a person can do."""
    reason, step = str(error).rstrip("."), "Run it again"
    if isinstance(error, urllib.error.URLError) and not isinstance(error, urllib.error.HTTPError):
        reason = f"its publisher is out of reach from here ({error.reason})"
        step = "Run it again where there is a network"
    if partial.exists():
        step = f"What came is in {partial}; archives that are whole stay. {step}"
    by_hand = card.how_to_get.removeprefix(f"Run 'vireo data get {card.name}', or ")
    return (
        f"'{card.name}' could not be fetched: {reason}. {step}, or by hand: {by_hand} The homepage "
        f"is {card.homepage}, the dataset's folder {root}."
    )


def _fetchable(name: str, root: Path | None) -> tuple[DatasetCard, Path]:
    card = card_of(name)
    if card is None:
        raise SettingError(f"'{name}' is no named dataset; see 'vireo list datasets'.")
    if not card.layout:
        raise SettingError(f"'{name}' needs no fetching. {card.how_to_get}")
    if not card.downloader:
        place = f"The folder is {root}" if root else f"Name the folder by {variable(name)}"
        option = f" --root {root}" if root else ""
        raise SettingError(
            f"'{name}' cannot be fetched for you. Licence: {card.licence}. {card.how_to_get} "
            f"Homepage: {card.homepage} {place}; then run 'vireo data check {name}{option}'."
        )
    if root is None:
        raise SettingError(
            f"There is no folder for '{name}' yet: give --root DIR, or set {variable(name)} or "
            f"{ALL}."
        )
    return card, root


def _clear(partial: Path, card: DatasetCard) -> None:
    """Remove what an attempt unpacked, and the folder if it is empty then; archives stay."""
    for path in [*sorted(partial.rglob("*"), reverse=True), partial]:
        if path.is_symlink() or (path.is_file() and path.name not in card.checksums):
            path.unlink()
        elif path.is_dir() and not any(path.iterdir()):
            path.rmdir()


def _download(card: DatasetCard, partial: Path, root: Path) -> None:
    import torchvision.datasets

    getattr(torchvision.datasets, card.downloader)(partial, download=True)


def _unpack(card: DatasetCard, partial: Path, root: Path) -> None:
    """Verify and unpack ImageNet's archives, which a person has fetched."""
    absent = [name for name in card.checksums if not (root / name).is_file()]
    if absent:
        raise SettingError(
            f"'{card.name}' cannot be fetched for you: {root} has no {', '.join(absent)}. "
            f"Licence: {card.licence}. {card.how_to_get}"
        )
    import torchvision.datasets

    for name in card.checksums:
        (partial / name).symlink_to((root / name).resolve())
    for split in ("train", "val"):
        torchvision.datasets.ImageNet(partial, split=split)


def _move(partial: Path, root: Path, card: DatasetCard) -> None:
    missing = missing_parts(card, partial)
    if missing:
        raise DataError(
            f"What came of '{card.name}' has no {', '.join(missing)}; it is left in {partial}. The "
            "publisher may have changed the archive."
        )
    for path in partial.rglob("*"):
        if path.name in card.checksums:
            path.unlink()
    for path in sorted(partial.iterdir()):
        place = root / path.name
        if place.exists():
            raise DataError(
                f"{place} is there already and not whole; move it away and run this again."
            )
        path.rename(place)
    shutil.rmtree(partial)


_FETCHERS: dict[str, Callable[[DatasetCard, Path, Path], Any]] = {"ImageNet": _unpack}
