"""The metrics of a run: one JSON line a report, and TensorBoard where it is installed."""

import contextlib
import json
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from vireo import files


class MetricsLog:
    """Appends lines to a file; a run that goes on first drops the lines after its checkpoint."""

    def __init__(self, path: Path, step: int) -> None:
        kept = [line for line in _lines(path) if line["step"] <= step]
        text = "".join(json.dumps(line) + "\n" for line in kept)
        files.write_bytes(path, text.encode())
        self._file = path.open("a", encoding="utf-8")
        self._board = _tensorboard(path.parent / "tensorboard", step)

    def __enter__(self) -> "MetricsLog":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._file.close()
        if self._board is not None:
            self._board.close()

    def write(self, line: Mapping[str, int | float]) -> None:
        """Append one line, which has a "step"; it is there even if the process dies next."""
        self._file.write(json.dumps(line, allow_nan=False) + "\n")
        self._file.flush()
        if self._board is not None:
            for name, value in line.items():
                self._board.add_scalar(name, value, int(line["step"]))


class NoLog:
    """Keeps nothing: the log of a process that is not the first."""

    def write(self, line: Mapping[str, int | float]) -> None:
        """Forget the line."""


def metrics_log(
    path: Path, step: int, *, kept: bool
) -> contextlib.AbstractContextManager[MetricsLog | NoLog]:
    """Return the log at `path` after `step`, or one that keeps nothing."""
    return MetricsLog(path, step) if kept else contextlib.nullcontext(NoLog())


def _lines(path: Path) -> list[dict[str, Any]]:
    """Read the whole lines of a log; a process that died may have left half a line."""
    found = []
    for text in path.read_text(encoding="utf-8").splitlines() if path.is_file() else ():
        try:
            line = json.loads(text)
        except json.JSONDecodeError:
            break
        found.append(line)
    return found


def _tensorboard(folder: Path, step: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder), purge_step=step + 1)
