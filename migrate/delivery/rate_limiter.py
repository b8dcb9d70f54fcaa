"""The rate limiter: one for all workers of a ledger that use the same mail server (design §11)."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from migrate.delivery.shutdown import Shutdown, patiently
from migrate.ledger.engine import Ledger
from migrate.mail.rates import Rates
from migrate.outbox import rates as kept

_SLICE: Final = timedelta(seconds=0.5)
"""How much of the future a process reserves at once: long enough to cost the ledger little, short enough that what a process leaves
unused does not show in a minute."""
_PART: Final = 100
"""The part of a day's letters that a process counts at once. If it is killed, what it had not sent yet is lost for a day."""


def _now() -> datetime:
    return datetime.now(UTC)


class Counted(NamedTuple):
    """So many letters may go: they are counted as sent in the minute."""

    letters: int
    minute: datetime


class RateLimiter:
    """Keeps the rates of a mail server, whoever sends to it. Any thread may ask.

    Slots are the real clock's, whatever a run's `as_of`. A slot whose time has passed may still be used: a process that is slower than its
    slots then goes as fast as it can, and what all of them send stays what was handed out. A day is the last 24 hours of `day_clock`.
    """

    def __init__(
        self,
        ledger: Ledger,
        server: str,
        rates: Rates,
        clock: Callable[[], datetime] = _now,
        *,
        day_clock: Callable[[], datetime] | None = None,
        stop: Shutdown | None = None,
    ) -> None:
        self._ledger, self._server, self._clock = ledger, server, clock
        self._day_clock = day_clock or clock
        self._per_day = rates.per_day
        self._stop = stop or Shutdown()
        self._retrying = patiently(self._stop)
        self._interval = timedelta(seconds=1 / rates.per_second)
        self._at_once = max(1, _SLICE // self._interval)
        self._next, self._left = self._clock(), 0
        self._turn = threading.Lock()
        self._spare = Counted(0, self._next)
        self._unsent: Counter[datetime] = Counter()  # less than nothing for a minute in which letters went that were counted before
        self._counting = threading.Lock()

    @property
    def limits_day(self) -> bool:
        """Whether a day's letters are limited."""
        return self._per_day is not None

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
        return kept.reserve(self._ledger, self._server, self._interval, self._at_once, self._clock())

    def seconds_until(self, slot: datetime) -> float:
        """How long it is to a slot; 0 if it has come."""
        return max(0.0, (slot - self._clock()).total_seconds())

    def count(self, wanted: int) -> Counted:
        """Counts up to `wanted` letters that are about to go; none if the day's are used up, or `stop` was asked."""
        now = self._day_clock()
        if self._per_day is None:
            return Counted(wanted, now)
        with self._counting:
            if not self._spare.letters or self._spare.minute != kept.minute_of(now):
                self._spare = self._retrying(self._count, max(wanted, min(self._at_once, self._per_day // _PART)), now)
            given = min(wanted, self._spare.letters)
            self._spare = self._spare._replace(letters=self._spare.letters - given)
            return Counted(given, self._spare.minute)

    def give_back(self, letters: int, minute: datetime) -> None:
        """So many of the letters that were counted in a minute did not go."""
        if self._per_day is not None and letters:
            with self._counting:
                self._unsent[minute] += letters

    def went(self, minute: datetime) -> None:
        """A letter that was counted in a minute has gone by now, and counts in this one: the server took it no earlier than it says so."""
        if self._per_day is not None and (now := kept.minute_of(self._day_clock())) > minute:
            with self._counting:
                self._unsent[minute] += 1
                self._unsent[now] -= 1

    def room_at(self) -> datetime | None:
        """When the day has room for one letter more, by its clock; None if it has room now."""
        if self._per_day is None:
            return None
        self.close()
        with self._ledger.read() as connection:
            return kept.room_at(kept.sent_lately(connection, self._server, self._day_clock()), self._per_day)

    def seconds_until_room(self) -> float:
        """How long it is until the day has room for one letter more; 0 if it has."""
        at = self.room_at()
        return max(0.0, (at - self._day_clock()).total_seconds()) if at else 0.0

    def close(self) -> None:
        """Gives back what was counted and not sent."""
        with self._counting:
            self._put_aside()
            if self._unsent:
                self._retrying(lambda: kept.give_back(self._ledger, self._server, self._unsent))
                self._unsent.clear()

    def _count(self, wanted: int, now: datetime) -> Counted:
        assert self._per_day is not None  # asked where a day has a limit
        self._put_aside()
        minute = kept.minute_of(now)
        if self._stop.asked:
            return Counted(0, minute)
        forget = min(now, self._clock()) - kept.DAY - kept.MINUTE
        letters = kept.count_in(self._ledger, self._server, self._per_day, wanted, now, forget=forget, back=self._unsent)
        self._unsent.clear()
        return Counted(letters, minute)

    def _put_aside(self) -> None:
        """What is left of what was counted does not go in its minute."""
        if self._spare.letters:
            self._unsent[self._spare.minute] += self._spare.letters
            self._spare = self._spare._replace(letters=0)
