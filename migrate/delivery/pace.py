"""The pace of sending: one for all workers of a ledger that use the same mail server (design §11)."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

from migrate.delivery.desk import patiently
from migrate.delivery.stop import Stop
from migrate.ledger.engine import Ledger
from migrate.ledger.pace import reserve

_SLICE: Final = timedelta(seconds=0.5)
"""How much of the future a process reserves at once: long enough to cost the ledger little, short enough that what a process leaves
unused does not show in a minute."""


def _now() -> datetime:
    return datetime.now(UTC)


class Pace:
    """At most `per_second` letters a second to `server`, whoever sends them. Instants are the real clock's, whatever a run's `as_of`.

    A slot whose time has passed may still be used: a process that is slower than its slots then goes as fast as it can, and what
    all of them send stays what was handed out. Any thread may take.
    """

    def __init__(
        self, ledger: Ledger, server: str, per_second: float, clock: Callable[[], datetime] = _now, *, stop: Stop | None = None
    ) -> None:
        self._ledger, self._server, self._clock = ledger, server, clock
        self._stop = stop or Stop()
        self._retrying = patiently(self._stop)
        self._interval = timedelta(seconds=1 / per_second)
        self._at_once = max(1, _SLICE // self._interval)
        self._next, self._left = self._clock(), 0
        self._turn = threading.Lock()

    def take(self) -> datetime | None:
        """A slot of one's own, for one letter; None if `stop` was asked before there was one."""
        with self._turn:
            if not self._left:
                first = self._retrying(self._reserve)
                if first is None:
                    return None
                self._next, self._left = first, self._at_once
            slot, self._next, self._left = self._next, self._next + self._interval, self._left - 1
            return slot

    def _reserve(self) -> datetime | None:
        if self._stop.asked:
            return None
        return reserve(self._ledger, self._server, self._interval, self._at_once, self._clock())

    def seconds_until(self, slot: datetime) -> float:
        """How long it is to a slot; 0 if it has come."""
        return max(0.0, (slot - self._clock()).total_seconds())
