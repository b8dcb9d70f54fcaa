"""How many calls an API may get in a while: one budget a tenant and API, shared by every thread and every read of this process."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Hashable
from typing import Final

from migrate.errors import DirectoryError

_MARGIN: Final = 1.02
"""A server measures when calls arrive, which is not exactly when they left."""


class StoppedError(Exception):
    """The read has ended meanwhile: nobody waits for this call any more."""


class Clock:
    """Seconds that pass, and waiting for them; and the budgets that are kept by it. Tests pass one that runs faster."""

    def __init__(self) -> None:
        self._budgets: dict[Hashable, Budget] = {}
        self._turn = threading.Lock()

    def now(self) -> float:
        """Seconds, from any beginning."""
        return time.monotonic()

    def wait(self, seconds: float, stop: threading.Event) -> None:
        """Waits so long. Raises StoppedError once `stop` is set."""
        if stop.wait(max(seconds, 0)):
            raise StoppedError

    def budget(self, key: Hashable, units: int, seconds: float) -> Budget:
        """The budget of that name, made when it is first asked for."""
        with self._turn:
            return self._budgets.setdefault(key, Budget(units, seconds, self))


CLOCK: Final = Clock()


class Budget:
    """At most `units` in any `seconds`; whoever asks for more waits. `pause` holds everybody back."""

    def __init__(self, units: int, seconds: float, clock: Clock) -> None:
        self.units, self.seconds = units, seconds
        self._clock = clock
        self._turn = threading.Lock()
        self._taken: deque[list[float]] = deque()
        self._paused_until = 0.0

    def take(self, stop: threading.Event, cost: int = 1) -> None:
        """Waits until `cost` units are free, and takes them. Raises StoppedError."""
        while True:
            with self._turn:
                mine = self._reserved(cost)
            self._clock.wait(mine[0] - self._clock.now(), stop)
            with self._turn:
                now = self._clock.now()
                if now >= self._paused_until:
                    mine[0] = max(mine[0], now)  # it leaves now, and counts from now
                    return
                mine[1] = 0

    def pause(self, seconds: float) -> None:
        """Lets nobody take anything for so long."""
        with self._turn:
            self._paused_until = max(self._paused_until, self._clock.now() + seconds)

    def _reserved(self, cost: int) -> list[float]:
        """The moment at which these units are free, after those that were promised before, and the units; taken."""
        window = self.seconds * _MARGIN
        at = max(self._clock.now(), self._paused_until, self._taken[-1][0] if self._taken else 0.0)
        cost = min(cost, self.units)
        while self._taken and (self._taken[0][0] <= at - window or sum(each for _, each in self._taken) + cost > self.units):
            at = max(at, self._taken.popleft()[0] + window)
        self._taken.append([at, cost])
        return self._taken[-1]


def too_long(what: str, seconds: float) -> DirectoryError:
    """The error for a server that asks for a longer wait than is worth it."""
    return DirectoryError(
        f"{what} asks to be left alone for {seconds / 60:,.0f} minutes. Nothing was changed.",
        where="[directory]",
        hint="Another program of the same application may use up its limit: run this at another hour.",
    )
