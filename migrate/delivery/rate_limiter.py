"""The rate limiter: all workers of a ledger share the limits of a mail server (design §11)."""

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
"""The time for which a process reserves slots at once. It is long enough to be cheap for the ledger, and short enough that unused slots
hardly matter in a minute."""
_PART: Final = 100
"""A process counts at most one part in so many of a day's letters in advance. If it is killed, letters that it counted and did not send
cannot be sent for a day."""


def _now() -> datetime:
    return datetime.now(UTC)


class Counted(NamedTuple):
    """Letters that may go. They are counted already, as sent in this `minute` (UTC)."""

    letters: int
    minute: datetime


class RateLimiter:
    """Keeps the rate limits of a mail server, for all workers together. Any thread may ask.

    A slot is a time at which one letter may go. Slots follow the real clock, not a run's `as_of`. A slot whose time has passed may still be
    used: a process that is slower than its slots sends as fast as it can, and all processes together send no more than was handed out.
    A day is the last 24 hours of `day_clock`.
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
        self._unsent: Counter[datetime] = Counter()  # negative for a minute that has letters counted in an earlier one
        self._counting = threading.Lock()

    @property
    def limits_day(self) -> bool:
        """Whether there is a limit for a day."""
        return self._per_day is not None

    def take(self) -> datetime | None:
        """Takes a slot for one letter; None if `stop` was asked before there was one."""
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
        """Seconds until a slot; 0 if its time has come."""
        return max(0.0, (slot - self._clock()).total_seconds())

    def count(self, wanted: int) -> Counted:
        """Counts up to `wanted` letters that are about to go; 0 if the day's limit is used up or `stop` was asked."""
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
        """Uncounts letters that were counted in a minute and did not go."""
        if self._per_day is not None and letters:
            with self._counting:
                self._unsent[minute] += letters

    def went(self, minute: datetime) -> None:
        """Moves a letter that has gone from the minute in which it was counted to the current one, which is that of the server's reply."""
        if self._per_day is not None and (now := kept.minute_of(self._day_clock())) > minute:
            with self._counting:
                self._unsent[minute] += 1
                self._unsent[now] -= 1

    def room_at(self) -> datetime | None:
        """When one more letter fits into the day's limit, by `day_clock`; None if it fits now."""
        if self._per_day is None:
            return None
        self.close()
        with self._ledger.read() as connection:
            return kept.room_at(kept.sent_lately(connection, self._server, self._day_clock()), self._per_day)

    def seconds_until_room(self) -> float:
        """Seconds until one more letter fits into the day's limit; 0 if it fits now."""
        at = self.room_at()
        return max(0.0, (at - self._day_clock()).total_seconds()) if at else 0.0

    def close(self) -> None:
        """Uncounts in the ledger the letters that were counted and not sent."""
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
        """Uncounts the letters that are counted and not given out: they will not go in their minute."""
        if self._spare.letters:
            self._unsent[self._spare.minute] += self._spare.letters
            self._spare = self._spare._replace(letters=0)
