"""Progress and messages on the terminal, by rich; quiet when nobody watches.

Messages and bars go to stderr, so that `--json` on stdout can be piped.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

Item = TypeVar("Item")
_console = Console(stderr=True, highlight=False)


def say(message: str) -> None:
    """Print one line for the person who watches."""
    _console.print(escape(message), soft_wrap=True)


def warn(message: str) -> None:
    """Print one line that should not be missed (an ignored setting, a default taken)."""
    _console.print(f"[yellow]warning:[/yellow] {escape(message)}", soft_wrap=True)


def clear() -> None:
    """Empty the terminal, for what is printed anew; nothing where nobody watches."""
    if _console.is_terminal:
        _console.clear()


def hush(quiet: bool) -> None:
    """Print nothing more, or print again: of several processes that do the same one speaks."""
    _console.quiet = quiet


@contextmanager
def progress(title: str, total: int, start: int = 0) -> Iterator["Bar"]:
    """Show a bar with count, elapsed time, ETA and a note (throughput, loss) for the block."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("eta"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(
        *columns, console=_console, transient=True, disable=not _console.is_terminal
    ) as bars:
        task = bars.add_task(escape(title), total=total, completed=start, note="")
        yield Bar(bars, task)


def track(items: Iterable[Item], title: str, total: int) -> Iterator[Item]:
    """Yield `items` under a progress bar."""
    with progress(title, total) as bar:
        for item in items:
            yield item
            bar.advance()


class Bar:
    """One line of progress."""

    def __init__(self, bars: Progress, task: object) -> None:
        self._bars, self._task = bars, task

    def advance(self, count: int = 1, note: str | None = None) -> None:
        """Move on by `count`; `note` replaces the text at the end of the line."""
        fields = {} if note is None else {"note": escape(note)}
        self._bars.update(self._task, advance=count, **fields)  # type: ignore[arg-type]
