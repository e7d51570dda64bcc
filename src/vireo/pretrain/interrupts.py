"""Ctrl-C and a cluster's SIGTERM: finish the step, write a checkpoint, then leave."""

import signal
import threading
from types import FrameType
from typing import Any


class Interrupts:
    """While entered, the first signal sets `asked`; a second one acts at once, as it did before."""

    SIGNALS = (signal.SIGINT, signal.SIGTERM)

    def __init__(self) -> None:
        self.asked = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> "Interrupts":
        # Python lets only the main thread set handlers; elsewhere a run is stopped by its caller.
        if threading.current_thread() is threading.main_thread():
            self._before = {name: signal.signal(name, self._note) for name in self.SIGNALS}
        return self

    def __exit__(self, *error: object) -> None:
        self._restore()

    def _note(self, _number: int, _frame: FrameType | None) -> None:
        self.asked = True
        self._restore()

    def _restore(self) -> None:
        for name, handler in self._before.items():
            signal.signal(name, handler)
        self._before = {}
