"""Whether a study fits on this machine: its memory, and the disk of its folder."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from vireo.store.folder import StudyFolder
from vireo.study.demand import Demand

_LIMIT = Path("/sys/fs/cgroup/memory.max")
"""Of a container's memory, where there is one."""


def shortages(demands: Sequence[Demand], folder: StudyFolder, kept: int = 0) -> list[str]:
    """Return what there is too little of, one sentence each.

    Args:
        demands: of the cells that are left.
        folder: the study's; what is stored there already is a part of what they need.
        kept: bytes of it that belong to cells that are done, and are no part of that.

    Example:
        >>> shortages([], StudyFolder(Path("runs/demo")))
        []
    """
    return [*_memory(demands), *_disk(demands, folder, kept)]


def memory_bytes() -> int:
    """Return the memory that this process may have: the machine's, or its container's."""
    there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    text = _LIMIT.read_text().strip() if _LIMIT.is_file() else "max"
    return min(there, int(text)) if text.isdecimal() else there


def free_bytes(folder: Path) -> int:
    """Return what is free on the disk of a folder that may not exist yet."""
    place = folder.absolute()
    while not place.exists():
        place = place.parent
    return shutil.disk_usage(place).free


def stored_bytes(folder: StudyFolder) -> int:
    """Return how much of a study's features and runs is there already."""
    places = (folder.features, folder.runs)
    return sum(
        path.stat().st_size for place in places for path in place.rglob("*") if path.is_file()
    )


def size(number: float | int) -> str:
    """Return bytes as a person says them.

    Example:
        >>> size(2_500), size(3_200_000_000)
        ('2.5 kB', '3.2 GB')
    """
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if number < 1000 or unit == "TB":
            return f"{number:.3g} {unit}"
        number /= 1000
    raise AssertionError


def _memory(demands: Sequence[Demand]) -> list[str]:
    there = memory_bytes()
    large = [demand for demand in demands if demand.memory_bytes > there]
    if not large:
        return []
    worst = max(large, key=lambda demand: demand.memory_bytes)
    return [
        f"memory: {worst.cell.name} holds at least {size(worst.memory_bytes)}, and this machine "
        f"has {size(there)}; {len(large)} cells are too large for it. Run them on a larger one, or "
        "give their tasks fewer images."
    ]


def _disk(demands: Sequence[Demand], folder: StudyFolder, kept: int) -> list[str]:
    needed = sum(demand.new_bytes for demand in demands)
    there, free = max(0, stored_bytes(folder) - kept), free_bytes(folder.features)
    if needed <= there + free:
        return []
    return [
        f"disk: features and runs take {size(needed)}, and {folder.features} has {size(free)} free"
        + (f" and {size(there)} of them already" if there else "")
        + ". Give --out a larger disk, or run fewer encoders at a time (--only) and delete"
        " 'features' after each."
    ]
