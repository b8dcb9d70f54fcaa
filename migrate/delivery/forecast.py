"""Forecasts when the queue will be empty, from the rate limits, the send hours and the letters of the last day."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from migrate.core.send_hours import Hours
from migrate.mail.rates import Rates
from migrate.outbox.rates import DAY, MINUTE, Sent, minute_of, room_at

FARTHEST: Final = timedelta(days=3660)
"""There is no forecast beyond ten years."""
_NONE: Final = 1e-6
"""A smaller part of a letter counts as none: a rounding error."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """`letters` wait, and the last of them goes at `done_at` (UTC), if a delivery is started often enough; None if no letter waits, or if
    it takes more than ten years. If the limit `per_day` is used up, `until` is when the next letter may go (UTC); else None."""

    letters: int = 0
    done_at: datetime | None = None
    per_day: int | None = None
    until: datetime | None = None

    @classmethod
    def of(cls, letters: int, rates: Rates, at: datetime, hours: Hours | None = None, sent: Sequence[Sent] = ()) -> Forecast:
        """The forecast at an instant. Letters go inside the send `hours` only (None: at any hour); `sent` are the letters of the last
        day."""
        done = forecast(letters, rates, at, hours, sent) if letters else None
        until = room_at(sent, rates.per_day) if rates.per_day is not None else None
        return cls(letters, done, rates.per_day, until if until is not None and until > at else None)

    def facts(self) -> dict[str, Any]:
        """`delivery` in the objects of `run`, `send`, `dry-run` and `status` with `--json`."""
        return asdict(self) | {name: _iso(getattr(self, name)) for name in ("done_at", "until")}


def _iso(instant: datetime | None) -> str | None:
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z") if instant else None


def forecast(letters: int, rates: Rates, at: datetime, hours: Hours | None = None, sent: Sequence[Sent] = ()) -> datetime | None:
    """When the last of so many letters goes (UTC), if sending begins at `at`; None if it takes more than ten years."""
    at = at.astimezone(UTC)  # local time is no measure where the clock changes
    end, left = at + FARTHEST, float(letters)
    counted: deque[tuple[datetime, float]] = deque(sent)
    used = float(sum(number for _, number in sent))
    while at < end:
        closes = end
        if hours is not None:
            window = hours.next_window(at)
            at, closes = max(at, window.opens), window.closes
        room = left
        if rates.per_day is not None:
            while counted and counted[0][0] + MINUTE + DAY <= at:
                used -= counted.popleft()[1]
            room = min(left, rates.per_day - used)
            if room < _NONE:
                at = counted[0][0] + MINUTE + DAY
                continue
            closes = min(closes, minute_of(at) + MINUTE)  # letters are counted by the minute
        fit = (closes - at).total_seconds() * rates.per_second
        goes = min(room, fit)
        if goes >= left - _NONE:
            return at + timedelta(seconds=left / rates.per_second)
        left, used = left - goes, used + goes
        counted.append((minute_of(at), goes))
        at = closes if goes == fit else at + timedelta(seconds=goes / rates.per_second)
    return None
