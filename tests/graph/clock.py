"""A clock on which waiting takes no time."""

from __future__ import annotations

import threading
import time

from migrate.directory.web.budget import Clock, StoppedError


class VirtualClock(Clock):
    """Seconds pass while somebody waits, and at no other time."""

    def __init__(self) -> None:
        super().__init__()
        self._seconds = 1000.0
        self._moving = threading.Lock()

    def now(self) -> float:
        return self._seconds

    def wait(self, seconds: float, stop: threading.Event) -> None:
        if stop.is_set():
            raise StoppedError
        with self._moving:
            if seconds > 0:
                time.sleep(0.003)  # what is on its way arrives before time passes
                self._seconds += seconds
