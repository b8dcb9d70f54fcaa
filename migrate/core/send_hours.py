"""When letters may go: the send hours of the send days, by the campaign's wall clock (design §7). Pure.

A send day has one window, from the first moment at which the clock shows its beginning to the last at which it shows its end. So where a
clock is set back inside the hours they are longer by that much, and where it skips a beginning or an end the moment of the skip stands
for it: nothing opens twice on a day, and nothing waits for a time that never comes.
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
    """The time on one send day in which letters may go: from `opens` up to, not including, `closes` (UTC instants)."""

    opens: datetime
    closes: datetime


@dataclass(frozen=True, slots=True)
class Hours:
    """`days` are numbered as `date.weekday` does, one at least; `begins` and `ends` are minutes of the day, by the clock of `zone`."""

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
        return next(found for days in count() if self.sends_on(found := day - days * _DAY))

    def on_or_after(self, day: date) -> date:
        """The first send day from this day on."""
        return next(found for days in count() if self.sends_on(found := day + days * _DAY))

    def open_at(self, now: datetime) -> bool:
        """Whether letters may go at an instant."""
        return self.next_window(now).opens <= now

    def closed_until(self, now: datetime) -> datetime | None:
        """Until when letters wait at an instant (UTC); None inside the hours. A letter that ends by then waits for nothing: late at night
        beats never (design §7)."""
        window = self.next_window(now)
        return window.opens if now < window.opens else None

    def waits(self, now: datetime, ends: datetime | None) -> bool:
        """Whether a letter that is too late at `ends` (None: never) waits for the hours at an instant."""
        opens = self.closed_until(now)
        return opens is not None and (ends is None or opens < ends)

    def next_open(self, now: datetime) -> datetime:
        """The first instant from now on at which letters may go (UTC)."""
        return max(self.next_window(now).opens, now.astimezone(UTC))

    def next_window(self, now: datetime) -> Window:
        """The first window that has not closed yet: the one that is open, or else the next."""
        # From the day before: after midnight a clock may be set back into it.
        first = self._day_of(now) - _DAY
        return next(found for days in count() if (found := self._window(first + days * _DAY)) and now < found.closes)

    def last_window(self, now: datetime) -> Window:
        """The latest window that has closed."""
        last = self._day_of(now) + _DAY
        return next(found for days in count() if (found := self._window(last - days * _DAY)) and found.closes <= now)

    def _day_of(self, now: datetime) -> date:
        return now.astimezone(self.zone).date()

    def _window(self, day: date) -> Window | None:
        """The window of a day; None on a day without sending, or if the clock skips all of its hours."""
        if not self.sends_on(day):
            return None
        # The end of a day is where the next one begins; any other end is the last of its name.
        opens, closes = self._at(day, self.begins, fold=0), self._at(day, self.ends, fold=int(self.ends < WHOLE_DAY))
        return Window(opens, closes) if opens < closes else None

    def _at(self, day: date, minutes: int, fold: int) -> datetime:
        """The instant at which the clock shows a time of day, the first or last one by `fold`; where it skips that time, the skip's."""
        wall = datetime.combine(day, time()) + minutes * _MINUTE
        at = wall.replace(tzinfo=self.zone, fold=fold).astimezone(UTC)
        if self._wall(at) == wall:
            return at
        early, late = (wall.replace(tzinfo=self.zone, fold=side).astimezone(UTC) for side in (1, 0))
        between = range((late - early) // _MINUTE + 1)
        return early + bisect_left(between, wall, key=lambda minute: self._wall(early + minute * _MINUTE)) * _MINUTE

    def _wall(self, at: datetime) -> datetime:
        return at.astimezone(self.zone).replace(tzinfo=None)
