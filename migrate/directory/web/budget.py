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
    """At most `units` in any `seconds`; whoever asks for more waits, one after another. `pause` holds everybody back."""

    def __init__(self, units: int, seconds: float, clock: Clock) -> None:
        self.units, self.seconds = units, seconds
        self._clock = clock
        self._line, self._turn = threading.Lock(), threading.Lock()
        self._taken: deque[tuple[float, int]] = deque()
        self._paused_until = 0.0

    def take(self, stop: threading.Event, cost: int = 1) -> None:
        """Waits until `cost` units are free, and takes them; more than there are count as all of them. Raises StoppedError."""
        cost = min(cost, self.units)
        with self._line:  # only the first of those who wait looks at the clock, so that nobody leaves late into somebody else's time
            while (seconds := self._left(cost)) > 0:
                self._clock.wait(seconds, stop)
            if stop.is_set():
                raise StoppedError

    def pause(self, seconds: float) -> None:
        """Lets nobody take anything for so long."""
        with self._turn:
            self._paused_until = max(self._paused_until, self._clock.now() + seconds)

    def _left(self, cost: int) -> float:
        """The seconds until so many units are free; if they are, they are taken."""
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
    """The error for a server that asks for a longer wait than is worth it."""
    return DirectoryError(
        f"{what} asks to be left alone for {seconds / 60:,.0f} minutes. Nothing was changed.",
        where="[directory]",
        hint="Another program of the same application may use up its limit: run this at another hour.",
    )
