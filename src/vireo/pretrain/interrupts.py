"""Ctrl-C and a cluster's SIGTERM: finish the step, write a checkpoint, then leave."""

import signal
import threading
import time
from types import FrameType
from typing import Any

SAME_SECONDS = 1.0


class Interrupts:
    """While entered, the first signal sets `asked`; a later one acts at once, as it did before.

    One within a second of the first is the same request: `timeout` signals its child and then the
    child's whole group, and a wrapper may pass on the Ctrl-C that the terminal sends to all.
    """

    SIGNALS = (signal.SIGINT, signal.SIGTERM)

    def __init__(self) -> None:
        self.asked = False
        self._at = 0.0
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "Interrupts":
        # Python lets only the main thread set handlers; elsewhere a run is stopped by its caller.
        if threading.current_thread() is threading.main_thread():
            self._before = {name: signal.signal(name, self._note) for name in self.SIGNALS}
        return self

    def __exit__(self, *error: object) -> None:
        self._restore()

    def _note(self, number: int, _frame: FrameType | None) -> None:
        now = time.monotonic()
        if not self.asked:
            self.asked, self._at = True, now
        elif now - self._at > SAME_SECONDS:
            self._restore()
            signal.raise_signal(number)

    def _restore(self) -> None:
        for name, handler in self._before.items():
            signal.signal(name, handler)
        self._before = {}
