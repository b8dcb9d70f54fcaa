"""When letters may be sent: the send hours of the send days, in local time of the campaign's zone (design §7). Pure.

A send day has exactly one window: from the first moment at which the clock shows the beginning, to the last moment at which it shows the
end. If the clock is set back inside the hours, the window is longer. If the clock skips the beginning or the end, the moment of the skip
takes its place. So no window opens twice on a day, and no letter waits for a time that never comes.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import count
from typing import Final
from zoneinfo import ZoneInfo

WHOLE_DAY: Final = 24 * 60
_WEEK: Final = 7
_DAY: Final = timedelta(days=1)
_MINUTE: Final = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Window:
    """The time on one send day in which letters may be sent: from `opens` up to, not including, `closes` (UTC instants)."""

    opens: datetime
    closes: datetime


@dataclass(frozen=True, slots=True)
class Hours:
    """The send hours. `days`: weekdays, numbered as `date.weekday` does, at least one. `begins`, `ends`: minutes of the day, in local time
    of `zone`."""

    days: frozenset[int]
    begins: int
    ends: int
    zone: ZoneInfo

    @property
    def always(self) -> bool:
        """Whether letters may go at any time."""
        return len(self.days) == _WEEK and (self.begins, self.ends) == (0, WHOLE_DAY)

    def sends_on(self, day: date) -> bool:
        """Whether letters may go on a calendar day."""
        return day.weekday() in self.days

    def on_or_before(self, day: date) -> date:
        """The last send day up to this day."""
        return next(send_day for days in count() if self.sends_on(send_day := day - days * _DAY))

    def on_or_after(self, day: date) -> date:
        """The first send day from this day on."""
        return next(send_day for days in count() if self.sends_on(send_day := day + days * _DAY))

    def open_at(self, now: datetime) -> bool:
        """Whether letters may go at an instant."""
        return self.next_window(now).opens <= now

    def closed_until(self, now: datetime) -> datetime | None:
        """The instant (UTC) until which letters wait; None inside the hours. See `waits` for letters that would be too late by then."""
        window = self.next_window(now)
        return window.opens if now < window.opens else None

    def waits(self, now: datetime, ends: datetime | None) -> bool:
        """Whether a letter waits for the hours. A letter that would be too late by then (`ends`; None: never too late) does not wait: it is
        better sent at night than never (design §7)."""
        opens = self.closed_until(now)
        return opens is not None and (ends is None or opens < ends)

    def next_open(self, now: datetime) -> datetime:
        """The first instant from now on at which letters may go (UTC)."""
        return max(self.next_window(now).opens, now.astimezone(UTC))

    def next_window(self, now: datetime) -> Window:
        """The first window that has not closed yet: the one that is open, or else the next."""
        # It starts with the day before: a clock may be set back after midnight, into that day.
        first = self._day_of(now) - _DAY
        return next(window for days in count() if (window := self._window(first + days * _DAY)) and now < window.closes)

    def last_window(self, now: datetime) -> Window:
        """The latest window that has closed."""
        last = self._day_of(now) + _DAY
        return next(window for days in count() if (window := self._window(last - days * _DAY)) and window.closes <= now)

    def _day_of(self, now: datetime) -> date:
        return now.astimezone(self.zone).date()

    def _window(self, day: date) -> Window | None:
        """The window of a day; None on a day without sending, or if the clock skips all of its hours."""
        if not self.sends_on(day):
            return None
        # 24:00 is the beginning of the next day; any other end is the last moment at which the clock shows that time.
        opens, closes = self._at(day, self.begins, fold=0), self._at(day, self.ends, fold=int(self.ends < WHOLE_DAY))
        return Window(opens, closes) if opens < closes else None

    def _at(self, day: date, minutes: int, fold: int) -> datetime:
        """The instant at which the clock shows a time of day: the first (`fold` 0) or the last (1) if it shows it twice. If the clock skips
        that time, the instant of the skip."""
        wall = datetime.combine(day, time()) + minutes * _MINUTE
        at = wall.replace(tzinfo=self.zone, fold=fold).astimezone(UTC)
        if self._wall(at) == wall:
            return at
        early, late = (wall.replace(tzinfo=self.zone, fold=side).astimezone(UTC) for side in (1, 0))
        between = range((late - early) // _MINUTE + 1)
        return early + bisect_left(between, wall, key=lambda minute: self._wall(early + minute * _MINUTE)) * _MINUTE

    def _wall(self, at: datetime) -> datetime:
        return at.astimezone(self.zone).replace(tzinfo=None)
