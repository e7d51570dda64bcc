"""Checkpoints from which a run goes on exactly: written whole or not at all, the last two kept.

A checkpoint holds tensors and plain values only, so reading one executes nothing. Random state is
not in it: every draw is seeded by the run's digest and the step.
"""

import errno
import pickle
from pathlib import Path
from typing import Any

import torch

from vireo import files
from vireo.console import warn
from vireo.errors import CheckpointError, StoreError

FORMAT = 2
KEPT = 2


def save_checkpoint(folder: Path, *, recipe: str, step: int, content: dict[str, Any]) -> Path:
    """Write `content` as the state after `step` steps of the run named `recipe`.

    Older checkpoints but one are deleted after the new one is safely there.

    Raises:
        StoreError: the disk is full; the checkpoints before are untouched.
    """
    path = folder / f"checkpoint-{step:08d}.pt"
    for left in folder.glob(".checkpoint-*.tmp"):  # by a process that was killed while writing
        left.unlink(missing_ok=True)
    state = {"format": FORMAT, "recipe": recipe, "step": step, **content}
    try:
        with files.atomic_writer(path) as file:
            torch.save(state, file)
    except RuntimeError as error:  # torch wraps the system's error in its own
        if _disk_is_full(error):
            raise StoreError(
                f"No space left while writing {path}; the checkpoint before it is intact. "
                f"Free some and run again."
            ) from error
        raise
    for old in checkpoints(folder)[:-KEPT]:
        old.unlink(missing_ok=True)
    return path


def load_checkpoint(folder: Path, recipe: str) -> dict[str, Any] | None:
    """Return the newest readable state of the run named `recipe`, on the CPU, or None.

    Raises:
        CheckpointError: checkpoints are there, but none can be read, or they are another run's.
    """
    found = checkpoints(folder)
    for path in reversed(found):
        state = _read(path)
        if state is None:
            warn(f"{path.name} is damaged; going back to the checkpoint before it.")
            continue
        if state.get("format") != FORMAT or state.get("recipe") != recipe:
            raise CheckpointError(
                f"{path} belongs to another run or version; delete it or take another folder."
            )
        return state
    if found:
        raise CheckpointError(
            f"None of the {len(found)} checkpoints in {folder} can be read; delete them to start "
            f"again."
        )
    return None


def checkpoints(folder: Path) -> list[Path]:
    """Return the checkpoints of a folder, oldest first."""
    return sorted(folder.glob("checkpoint-*.pt"), key=lambda path: (len(path.name), path.name))


def _read(path: Path) -> dict[str, Any] | None:
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, OSError, ValueError, pickle.UnpicklingError):
        return None
    return state if isinstance(state, dict) else None


def _disk_is_full(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            return True
        error = error.__cause__ or error.__context__
    return False
