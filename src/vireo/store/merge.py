"""Rows of several machines in one folder: copied where they are new, named where they contradict.

A row's name is the digest of everything that decides it, so the same question asked twice has the
same name, and two rows of one name should say the same. Time, cost and versions may differ, and
what an older format did not know; anything else is a contradiction, and is never settled silently.
"""

import dataclasses
import math
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from vireo.digest import digest
from vireo.errors import SettingError, StoreError
from vireo.files import atomic_writer, lock
from vireo.records import ResultRow, RowKey, SimilarityKey, SimilarityRow
from vireo.store.folder import StudyFolder
from vireo.store.results import ResultStore
from vireo.store.shared_plan import has_plan, shared_plan
from vireo.store.similarities import SimilarityStore, turned

_OF_THE_RUN = ("cost", "versions", "time")
_UNKNOWN = (None, "")
_ROUNDING = 1e-3
"""CKA of equal features on two machines agrees closer than this."""
_SHOWN = 12


class Stored(NamedTuple):
    """A row and the folder it is kept in."""

    row: ResultRow
    folder: Path

    @property
    def known(self) -> int:
        """How many of its facts are known: those of an older format are fewer."""
        facts = [getattr(self.row, field.name) for field in dataclasses.fields(self.row)]
        return sum(fact not in _UNKNOWN for fact in facts)


def merge(folders: Sequence[Path], out: Path, *, keep_first: bool = False) -> list[str]:
    """Copy the rows of `folders` that `out` has not, with what is beside them; say what was done.

    Similarities of encoders are rows too. Rows in `out` are never touched. Where the folders share
    one plan, `out` gets it too, with what each has done of it.

    Args:
        folders: of studies or probes; they stay as they are.
        out: a new folder, or one with rows.
        keep_first: where rows contradict each other, keep that of `out` or else of the first
            folder, instead of refusing.

    Raises:
        SettingError: rows contradict each other (they are named); nothing was copied.
        StoreError: a folder without rows, or a file that is broken. Rows that were copied before
            it was read are whole; the same call goes on. Or a study runs in `out`.
    """
    with lock(StudyFolder(out).lock, f"the study in {out}"):
        return _merge(folders, out, keep_first)


def _merge(folders: Sequence[Path], out: Path, keep_first: bool) -> list[str]:
    chosen, conflicts = _choose(_stored(folders, out), out)
    planned = [root for root in dict.fromkeys((out, *folders)) if root != out or has_plan(out)]
    plan = shared_plan(planned)
    pairs, differing = _choose_pairs([out, *folders])
    conflicts += [*(plan.conflicts if plan else ()), *differing]
    if conflicts and not keep_first:
        raise SettingError(_refusal(conflicts))
    new = [stored for stored in chosen.values() if stored.folder != out]
    for stored in new:
        _copy(stored.folder, out, stored.row.key)
    written = [SimilarityStore(StudyFolder(out).similarity).write(pair) for pair in pairs]
    return [
        *(f"kept the first: {conflict}" for conflict in conflicts),
        f"{len(new)} rows copied into {out}; it has {len(chosen)}.",
        *([f"{sum(written)} similarities copied; it has {len(pairs)}."] if pairs else []),
        plan.write(out) if plan else _without_plan(planned, out),
    ]


def _choose(found: Iterable[Stored], out: Path) -> tuple[dict[str, Stored], list[str]]:
    """Return the row to keep of each name, that of `out` first, and the contradictions in words."""
    chosen: dict[str, Stored] = {}
    conflicts: list[str] = []
    for stored in found:
        kept = chosen.setdefault(digest(stored.row.key), stored)
        if kept is stored:
            continue
        if difference := _difference(kept, stored):
            conflicts.append(difference)
        elif kept.folder != out and stored.known > kept.known:
            chosen[digest(stored.row.key)] = stored
    return chosen, conflicts


def _choose_pairs(roots: Sequence[Path]) -> tuple[list[SimilarityRow], list[str]]:
    """Return the similarity to keep of each pair of encoders, and the contradictions in words.

    What rounding makes of equal weights and images is no contradiction.
    """
    chosen: dict[SimilarityKey, SimilarityRow] = {}
    conflicts = []
    for root in dict.fromkeys(roots):
        for row in SimilarityStore(StudyFolder(root).similarity).rows():
            other = turned(row)
            same = other if other.key in chosen else row
            gap = _gap(chosen.setdefault(same.key, same), same)
            if gap > _ROUNDING:
                pair = f"similarity of {row.first} and {row.second}"
                conflicts.append(f"{pair}: {gap:.2g} apart ({root}, {digest(row.key)}.json)")
    return list(chosen.values()), conflicts


def _gap(first: SimilarityRow, second: SimilarityRow) -> float:
    """Return the largest difference of two comparisons of the same blocks."""
    one, other = (np.array(row.values, dtype=np.float64) for row in (first, second))
    if one.shape != other.shape or (np.isnan(one) != np.isnan(other)).any():
        return math.inf
    return float(np.nan_to_num(np.abs(one - other)).max())


def _without_plan(planned: Sequence[Path], out: Path) -> str:
    if has_plan(out):
        return f"The plans differ: {out} keeps its own, and analyses of it read that plan's rows."
    if any(map(has_plan, planned)):
        return f"The plans differ or lack: {out} has none, and analyses of it read all rows."
    return "No folder has a plan; analyses read all rows."


def _stored(folders: Sequence[Path], out: Path) -> Iterator[Stored]:
    """Yield the rows of `out`, then those of the folders in their order."""
    for folder in dict.fromkeys((out, *folders)):
        results = StudyFolder(folder).results
        if not results.is_dir() and folder != out:
            raise StoreError(f"{folder} holds no results; give folders of studies or of probes.")
        for row in ResultStore(results).rows() if results.is_dir() else []:
            yield Stored(row, folder)


def _difference(first: Stored, second: Stored) -> str:
    """Return in what two rows of one name contradict each other; empty if they do not."""
    found = [
        f"{name} {one!r} against {other!r}"
        for name, one, other in _facts(first.row, second.row)
        if one != other and one not in _UNKNOWN and other not in _UNKNOWN
    ]
    stores = [ResultStore(StudyFolder(s.folder).results) for s in (first, second)]
    if not _same(*(store.outcomes(first.row.key) for store in stores)):
        found.append("other outcomes")
    cell = f"{first.row.encoder} x {first.row.task}, seed {first.row.key.seed}"
    where = f"{first.folder} against {second.folder}, {digest(first.row.key)}.json"
    return f"{cell}: {', '.join(found)} ({where})" if found else ""


def _facts(first: ResultRow, second: ResultRow) -> Iterator[tuple[str, object, object]]:
    """Yield what both rows say, name by name; mappings entry by entry."""
    for field in dataclasses.fields(ResultRow):
        if field.name not in _OF_THE_RUN:
            one, other = getattr(first, field.name), getattr(second, field.name)
            if isinstance(one, Mapping) and one.keys() == other.keys():
                yield from ((f"{field.name} {key}", one[key], other[key]) for key in one)
            else:
                yield field.name, one, other


def _same(first: Mapping[str, np.ndarray], second: Mapping[str, np.ndarray]) -> bool:
    return first.keys() == second.keys() and all(
        first[name].dtype == second[name].dtype
        and first[name].tobytes() == second[name].tobytes()
        and first[name].shape == second[name].shape
        for name in first
    )


def _refusal(conflicts: Sequence[str]) -> str:
    more = len(conflicts) - _SHOWN
    shown = "; ".join(conflicts[:_SHOWN]) + (f"; and {more} more" if more > 0 else "")
    return (
        f"{len(conflicts)} rows contradict each other, nothing was copied: {shown}. Look why, and "
        "move the wrong files away; or keep those of the first folder with --keep-first."
    )


def _copy(source: Path, target: Path, key: RowKey) -> None:
    """Copy a row's files, each read whole before, its JSON last: a row that exists is complete."""
    store, name = ResultStore(StudyFolder(source).results), digest(key)
    store.outcomes(key)
    suffixes = [".outcomes.npz", ".json"]
    if store.gallery(key) is not None:
        suffixes.insert(0, ".gallery.npz")
    for suffix in suffixes:
        path = StudyFolder(target).results / f"{name}{suffix}"
        with (store.root / path.name).open("rb") as file, atomic_writer(path) as copy:
            shutil.copyfileobj(file, copy)
