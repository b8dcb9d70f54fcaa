"""Rate limits: how many calls an API may get in a time. One budget for each tenant and API, shared by all threads of this process."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Hashable
from typing import Final

from migrate.errors import DirectoryError

_MARGIN: Final = 1.02
"""The factor by which the period is lengthened: a server counts calls when they arrive, not when they were sent."""


class StoppedError(Exception):
    """The read has ended while the call waited."""


class Clock:
    """A clock in seconds, with its budgets. Tests use one that runs faster."""

    def __init__(self) -> None:
        self._budgets: dict[Hashable, Budget] = {}
        self._turn = threading.Lock()

    def now(self) -> float:
        """Seconds since an arbitrary instant."""
        return time.monotonic()

    def wait(self, seconds: float, stop: threading.Event) -> None:
        """Waits some seconds. Raises StoppedError as soon as `stop` is set."""
        if stop.wait(max(seconds, 0)):
            raise StoppedError

    def budget(self, key: Hashable, units: int, seconds: float) -> Budget:
        """The budget with this key; it is made at the first call."""
        with self._turn:
            return self._budgets.setdefault(key, Budget(units, seconds, self))


CLOCK: Final = Clock()


class Budget:
    """A rate limiter: at most `units` in any `seconds`. Threads that ask for more wait in a queue. `pause` makes all of them wait."""

    def __init__(self, units: int, seconds: float, clock: Clock) -> None:
        self.units, self.seconds = units, seconds
        self._clock = clock
        self._line, self._turn = threading.Lock(), threading.Lock()
        self._taken: deque[tuple[float, int]] = deque()
        self._paused_until = 0.0

    def take(self, stop: threading.Event, cost: int = 1) -> None:
        """Waits until `cost` units are free, and takes them; a cost above `units` counts as `units`. Raises StoppedError."""
        cost = min(cost, self.units)
        with self._line:  # only one thread waits for units at a time, so that none starts late and uses another one's share
            while (seconds := self._left(cost)) > 0:
                self._clock.wait(seconds, stop)
            if stop.is_set():
                raise StoppedError

    def pause(self, seconds: float) -> None:
        """Makes all calls wait for some seconds."""
        with self._turn:
            self._paused_until = max(self._paused_until, self._clock.now() + seconds)

    def _left(self, cost: int) -> float:
        """Takes `cost` units and gives 0, or gives the seconds until they are free."""
        with self._turn:
            now, window = self._clock.now(), self.seconds * _MARGIN
            while self._taken and self._taken[0][0] <= now - window:
                self._taken.popleft()
            used, free_at = sum(each for _, each in self._taken) + cost, max(now, self._paused_until)
            for at, each in self._taken:
                if used <= self.units:
                    break
                used, free_at = used - each, max(free_at, at + window)
            if free_at <= now:
                self._taken.append((now, cost))
            return free_at - now


def too_long(what: str, seconds: float) -> DirectoryError:
    """The error for a server that asks us to wait too long."""
    return DirectoryError(
        f"{what} asks to be left alone for {seconds / 60:,.0f} minutes. Nothing was changed.",
        where="[directory]",
        hint="Another program of the same application may use up its limit: run this at another hour.",
    )
