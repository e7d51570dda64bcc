"""Datasets as torchvision.datasets reads them: its lists of files and labels, our decoding.

torchvision finds an example's files and label; the images are decoded as those of every other
source are, and nothing is decoded to list them. A part of its readers' state is not public, so each
of them has a row in `READERS` and a test on files in the published layout.
"""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, final

import numpy as np
import xxhash
from jaxtyping import UInt8

from vireo.catalog import unknown
from vireo.data.decode import decode_image, decode_mask
from vireo.data.sources.codes import digest_integers
from vireo.data.sources.contents import digest_contents
from vireo.data.sources.listing import Entry, fingerprint, open_folder, read
from vireo.data.sources.source import Source, Target
from vireo.digest import digest
from vireo.errors import DataError, SettingError

Images = Sequence[Path] | UInt8[np.ndarray, "images height width 3"]


@dataclass(frozen=True, kw_only=True)
class Listed:
    """What torchvision knows of its examples, in any order.

    Attributes:
        images: the file of each, or the pixels of all where a file holds many.
        masks: the file of each mask, if there are any.
    """

    images: Images
    labels: Sequence[int]
    masks: Sequence[Path] = ()


@dataclass(frozen=True, kw_only=True)
class Reader:
    """How one class of torchvision.datasets is asked.

    Attributes:
        argument: the keyword that a part is given by; "" where the reader has no parts.
        listed: takes what it knows of the examples out of the dataset.
        target: what its label is.
        mask_codes: stored code of a mask to the code it becomes.
    """

    listed: Callable[[Any], Listed]
    argument: str = "split"
    target: str = "class"
    mask_codes: Mapping[int, int] = field(default_factory=dict)


def _files(dataset: Any) -> Listed:
    return Listed(images=dataset._image_files, labels=dataset._labels)


def _samples(dataset: Any) -> Listed:
    return Listed(
        images=[Path(path) for path, _ in dataset.samples],
        labels=[label for _, label in dataset.samples],
    )


def _pets(dataset: Any) -> Listed:
    return Listed(images=dataset._images, labels=dataset._labels, masks=dataset._segs)


def _pixels(dataset: Any) -> Listed:
    return Listed(images=dataset.data, labels=dataset.targets)


READERS = {
    "CIFAR100": Reader(listed=_pixels, argument="train"),
    "CLEVRClassification": Reader(listed=_files, target="count"),
    "DTD": Reader(listed=_files),
    "EuroSAT": Reader(listed=_samples, argument=""),
    # of a trimap: 1 the animal, 2 what is behind it, 3 the border between them
    "OxfordIIITPet": Reader(listed=_pets, mask_codes={1: 1, 2: 0, 3: 255}),
    "SUN397": Reader(listed=_files, argument=""),
}
_TRUTHS = {"train": True, "test": False}


@final
class TorchvisionSource(Source):
    """One or several parts of a dataset that torchvision reads, sorted by file name.

    Args:
        root: the folder that torchvision takes; `$VARIABLES` are expanded.
        reader: the class of torchvision.datasets.
        parts: torchvision's names of parts ("train", "val", "trainval"), joined; empty where the
            reader has none.

    Raises:
        DataError: files are missing or differ from the published ones.
        SettingError: no such reader.
    """

    def __init__(self, *, root: str | Path, reader: str, parts: Sequence[str] = ()) -> None:
        if reader not in READERS:
            raise SettingError(unknown(reader, READERS, "reader of torchvision"))
        row = READERS[reader]
        self._folder = open_folder(root)
        datasets = [_open(self._folder, reader, row.argument, part) for part in parts or [""]]
        listed = _joined([row.listed(dataset) for dataset in datasets])
        self._images, self._labels, self._masks = listed.images, listed.labels, listed.masks
        self._codes, self._target = row.mask_codes, row.target
        self.name = reader
        self.targets = (row.target, *(["mask"] if self._masks else []))
        self.class_names = tuple(getattr(datasets[0], "classes", ()))
        masks = [path.relative_to(self._folder).as_posix() for path in self._masks]
        self.digest = digest(
            _contents(self._images, self._folder),
            _contents(self._masks, self._folder),
            digest_integers(np.asarray(self._labels, dtype=np.int64)),
            self.targets,
            self.class_names,
            *([digest_contents(self._folder, masks)] if masks else []),
        )

    def __len__(self) -> int:
        """Return the number of examples."""
        return len(self._images)

    def frames(self, index: int) -> tuple[UInt8[np.ndarray, "height width 3"], ...]:
        """Decode one image."""
        image = self._images[index]
        return (decode_image(read(image), str(image)) if isinstance(image, Path) else image,)

    def target(self, index: int, name: str) -> Target:
        """Return the class or count, or decode the mask."""
        if name not in self.targets:
            raise DataError(unknown(name, self.targets, f"target of {self.name}"))
        if name == self._target:
            return self._labels[index]
        path = self._masks[index]
        stored = decode_mask(read(path), str(path))
        wrong = np.setdiff1d(stored, list(self._codes))
        if len(wrong):
            raise DataError(
                f"{path} has the code {wrong[0]}, none of {sorted(self._codes)}; get it again."
            )
        codes: UInt8[np.ndarray, " 256"] = np.full(256, 255, dtype=np.uint8)
        codes[list(self._codes)] = list(self._codes.values())
        mask: UInt8[np.ndarray, "height width"] = codes[stored]
        return mask

    def label(self, index: int) -> str:
        """Return the file's name relative to the folder, or the place in the file of many."""
        image = self._images[index]
        return str(image.relative_to(self._folder)) if isinstance(image, Path) else f"image {index}"


def _open(folder: Path, reader: str, argument: str, part: str) -> Any:
    import torchvision.datasets

    options = {argument: _TRUTHS[part] if argument == "train" else part} if argument else {}
    try:
        with warnings.catch_warnings():
            # numpy's own old pickles make numpy warn of itself
            warnings.simplefilter("ignore", np.exceptions.VisibleDeprecationWarning)
            return getattr(torchvision.datasets, reader)(folder, **options)
    except (OSError, RuntimeError, ValueError, LookupError) as error:
        reason = str(error).removesuffix(" You can use download=True to download it")
        raise DataError(
            f"torchvision's reader {reader} finds no whole dataset in {folder}: {reason}"
        ) from error


def _joined(parts: Sequence[Listed]) -> Listed:
    """Join the parts and sort by file name: some of torchvision's readers take the disk's order."""
    labels = [int(label) for part in parts for label in part.labels]
    if isinstance(parts[0].images, np.ndarray):
        return Listed(images=np.concatenate([part.images for part in parts]), labels=labels)
    images = [Path(image) for part in parts for image in part.images]
    masks = [mask for part in parts for mask in part.masks]
    order = sorted(range(len(images)), key=lambda place: str(images[place]))
    return Listed(
        images=[images[place] for place in order],
        labels=[labels[place] for place in order],
        masks=[masks[place] for place in order] if masks else (),
    )


def _contents(images: Images, folder: Path) -> str:
    if isinstance(images, np.ndarray):
        return xxhash.xxh3_64_hexdigest(np.ascontiguousarray(images).tobytes())
    try:
        entries = [
            Entry(path.relative_to(folder).as_posix(), path.stat().st_size) for path in images
        ]
    except OSError as error:
        raise DataError(
            f"{error.filename} is listed but cannot be read ({error.strerror}); get it again."
        ) from error
    return fingerprint(entries, "torchvision")
