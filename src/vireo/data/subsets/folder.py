"""A subset on disk: `subset.json` (recipe, counts, digests), `indices.npz`, `histogram.png`."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int64

from vireo import files
from vireo.data.sources import SOURCES
from vireo.data.subsets.draw import Drawn
from vireo.data.subsets.recipe import SubsetRecipe
from vireo.digest import digest, plain
from vireo.errors import DataError, StoreError
from vireo.records.reading import read_record

MANIFEST, INDICES = "subset.json", "indices.npz"
_FORMAT = 1


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What was drawn.

    Attributes:
        sources: digest of each set as it was when the subset was drawn.
        indices: of the chosen examples in each set, sorted.
        balance: how the classes are balanced, as an encoder's card says it.
    """

    recipe: SubsetRecipe
    sources: tuple[str, ...]
    indices: tuple[Int64[np.ndarray, " _"], ...]
    balance: str


def write_subset(folder: Path, recipe: SubsetRecipe, parts: Sequence[tuple[str, Drawn]]) -> str:
    """Write a subset; `parts` are the digest of each set and what was drawn of it.

    Returns:
        The subset's digest.

    Raises:
        DataError: the folder holds another subset.
    """
    content = _content(recipe, parts)
    path = folder / MANIFEST
    if path.is_file() and read_json(path).get("digest") != content["digest"]:
        raise DataError(f"{folder} holds another subset; give another folder.")
    with files.atomic_writer(folder / INDICES) as file:
        np.savez(file, *(drawn.indices for _, drawn in parts))
    files.write_json(path, content)
    return str(content["digest"])


def _content(recipe: SubsetRecipe, parts: Sequence[tuple[str, Drawn]]) -> dict[str, Any]:
    sources = [source for source, _ in parts]
    drawn = [part for _, part in parts]
    indices = [part.indices.tolist() for part in drawn]
    return {
        "format": _FORMAT,
        "digest": digest("subset", sources, indices),
        "images": sum(map(len, indices)),
        "balance": drawn[0].balance if len(drawn) == 1 else "mixed",
        "recipe": plain(recipe),
        "sources": sources,
        "groups": [
            {"names": part.groups, "there": part.sizes.tolist(), "taken": part.taken.tolist()}
            for part in drawn
        ],
    }


def read_subset(folder: Path) -> Manifest:
    """Read a subset's folder; no image is looked at.

    Raises:
        DataError: it is none, or it was changed after it was written; or its sets are read by code
            outside vireo: opening the folder of a stranger must not import it.
    """
    content = read_json(folder / MANIFEST)
    if content.get("format") != _FORMAT:
        raise DataError(f"{folder / MANIFEST} is not of format {_FORMAT}; draw the subset again.")
    recipe, mistakes = read_record(SubsetRecipe, content.get("recipe", {}))
    if recipe is None:
        raise DataError(f"{folder / MANIFEST}: {'; '.join(mistakes)}; draw the subset again.")
    for spec in recipe.data:
        if spec.source not in SOURCES:
            raise DataError(
                f"{folder / MANIFEST} asks to import '{spec.source}', which is code outside vireo, "
                "so it was not done; draw the subset again on this machine."
            )
    indices = _read_indices(folder / INDICES)
    if content.get("digest") != digest("subset", content["sources"], [i.tolist() for i in indices]):
        raise DataError(f"{folder} was changed after it was written; draw the subset again.")
    return Manifest(
        recipe=recipe,
        sources=tuple(content["sources"]),
        indices=indices,
        balance=str(content.get("balance")),
    )


def read_json(path: Path) -> dict[str, Any]:
    """Read a manifest as plain values.

    Raises:
        DataError: there is none, or it is no JSON table with a list of sources.
    """
    try:
        content = files.read_json(path)
    except StoreError as error:
        raise DataError(f"{error} 'vireo subset' makes such a folder.") from error
    if not isinstance(content, dict) or not isinstance(content.get("sources"), list):
        raise DataError(f"{path} is no subset; 'vireo subset' makes one.")
    return content


def _read_indices(path: Path) -> tuple[Int64[np.ndarray, " _"], ...]:
    try:
        with np.load(path, allow_pickle=False) as stored:
            return tuple(stored[f"arr_{part}"] for part in range(len(stored.files)))
    except (OSError, ValueError, LookupError, EOFError) as error:
        raise DataError(f"{path} cannot be read ({error}); draw the subset again.") from error
