"""When which letters may go (design §7)."""

from __future__ import annotations

from datetime import datetime

from migrate.core.send_hours import Hours, Window


class SendTimes:
    """Confirmations go at any time. Other letters go inside the send `hours` (None: at any hour), and not from `stale_at` on, when the
    last read of the directory is too old (None: never). Any thread may ask."""

    def __init__(self, hours: Hours | None = None, stale_at: datetime | None = None) -> None:
        self._hours, self._stale_at = hours, stale_at
        self._open: Window | None = None

    def only_confirmations(self, now: datetime) -> bool:
        """Whether all other letters wait, but those that `ending_by` lets go."""
        return self._stale(now) or self._closed_until(now) is not None

    def ending_by(self, now: datetime) -> datetime | None:
        """The next beginning of the send hours. A letter that ends by then goes at once, outside them. None if letters do not wait for the
        send hours, or wait for a fresh read of the directory."""
        return None if self._stale(now) else self._closed_until(now)

    def _stale(self, now: datetime) -> bool:
        return self._stale_at is not None and now >= self._stale_at

    def _closed_until(self, now: datetime) -> datetime | None:
        window = self._open
        if self._hours is None or (window and window.opens <= now < window.closes):
            return None
        opens = self._hours.closed_until(now)
        # Kept while it lasts: working it out takes a good part of the time that a letter takes.
        self._open = None if opens else self._hours.next_window(now)
        return opens
