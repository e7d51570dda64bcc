"""Rendered splits on disk: one `.npy` a kind of fact, and a manifest with their hashes.

A split is written to a temporary folder that takes its name when it is complete, so there are only
whole splits, and two processes that make the same one are no danger to each other.
"""

import contextlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch

from vireo import console, files
from vireo.data.rooms.facts import batch_size, facts_of, layout
from vireo.data.rooms.render import VERSION
from vireo.data.rooms.world import RoomsSettings
from vireo.digest import digest_file, plain
from vireo.errors import DataError, StoreError

_MANIFEST = "split.json"


def identity(settings: RoomsSettings, split: str, images: int) -> dict[str, object]:
    """Return everything that decides the frames of a split; its digest names them."""
    return {
        "renderer": VERSION,
        "settings": plain(settings),
        "split": split,
        "images": images,
    }


def ensure_split(
    folder: Path, settings: RoomsSettings, split: str, images: int, *, device: str = "cpu"
) -> None:
    """Render a split into `folder`, unless it is there.

    Raises:
        DataError: the folder holds something else.
    """
    if not folder.exists():
        with files.atomic_folder(folder) as inner:
            _render_split(inner, settings, split, images, device=device)
            hashes = {name: digest_file(inner / f"{name}.npy") for name in layout(settings)}
            facts = {**identity(settings, split, images), "xxh3": hashes}
            files.write_json(inner / _MANIFEST, facts)
    manifest = _read_manifest(folder)
    wanted = identity(settings, split, images)
    different = sorted(name for name in wanted if manifest.get(name) != wanted[name])
    if different:
        raise DataError(
            f"{folder} holds other rooms than asked for ({', '.join(different)} differ); "
            "name another folder or delete this one."
        )


def open_frames(
    folder: Path, settings: RoomsSettings, *, verify: bool = True
) -> dict[str, np.ndarray]:
    """Map the arrays of a split into memory.

    Args:
        folder: of `ensure_split`.
        settings: it was rendered with.
        verify: compare the files with the manifest's hashes.

    Raises:
        DataError: a file is missing or changed.
    """
    hashes = _read_manifest(folder).get("xxh3")
    arrays = {}
    for name in layout(settings):
        path = folder / f"{name}.npy"
        known = hashes.get(name) if isinstance(hashes, dict) else None
        if not path.is_file() or (verify and digest_file(path) != known):
            raise DataError(
                f"{path} is missing or not as it was written; delete {folder} to render it again."
            )
        arrays[name] = np.load(path, mmap_mode="r", allow_pickle=False)
    return arrays


def _read_manifest(folder: Path) -> dict[str, object]:
    try:
        manifest = files.read_json(folder / _MANIFEST)
    except StoreError as error:
        raise DataError(f"{folder} is no split of rooms: {error}") from error
    if not isinstance(manifest, dict):
        raise DataError(f"{folder / _MANIFEST} is not a manifest; delete {folder} to render again.")
    return manifest


def _render_split(
    folder: Path, settings: RoomsSettings, split: str, images: int, *, device: str
) -> None:
    """Render batch after batch into files, one batch a core at a time.

    Whole batches go to threads, with torch on one thread each: torch's own split of every small
    operation over cores nearly stands still when other processes want the cores too.
    """
    arrays = {
        name: np.lib.format.open_memmap(folder / f"{name}.npy", "w+", kind, (images, *shape))
        for name, (kind, shape) in layout(settings).items()
    }

    def work(indices: range) -> int:
        for name, values in facts_of(settings, split, indices, device).items():
            arrays[name][indices.start : indices.stop] = values
        return len(indices)

    size = batch_size(settings, device)
    batches = [range(start, min(start + size, images)) for start in range(0, images, size)]
    with console.progress(f"Rendering rooms ({split})", images) as bar, _threads(device) as pool:
        for count in pool.map(work, batches):
            bar.advance(count)
    for array in arrays.values():
        array.flush()


@contextlib.contextmanager
def _threads(device: str) -> Iterator[ThreadPoolExecutor]:
    """Give as many threads as torch has, each with torch on one thread; one for a GPU."""
    number = torch.get_num_threads()
    pool = ThreadPoolExecutor(number if device == "cpu" else 1, initializer=_one_thread)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(number)  # torch's count is of the process for threads yet to come


def _one_thread() -> None:
    torch.set_num_threads(1)
