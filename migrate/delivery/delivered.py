"""What a delivery did."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Self

from migrate.errors import MailServerError
from migrate.outbox.claims import SettledAs

Clock = Callable[[], datetime]
Progress = Callable[[int], None]
"""Is called with the number of letters that are done, whatever their end."""


@dataclass(slots=True)
class Delivered:
    """Counts of letters: sent, failed, uncertain, and postponed (tried, and queued again for later).

    `stopped` is the error that ended the delivery early, and `signal` the number of the signal that did; the remaining letters stay queued.
    `stale` counts the reminders that wait because the last read of the directory is too old. `outside_hours` counts sent letters that went
    outside the send hours, since they would have ended before the next ones. `too_late` counts letters that were withdrawn at their end
    without a single try.
    """

    sent: int = 0
    failed: int = 0
    uncertain: int = 0
    postponed: int = 0
    stale: int = 0
    outside_hours: int = 0
    too_late: int = 0
    stopped: MailServerError | None = None
    signal: int | None = None

    def count(self, verdict: SettledAs) -> None:
        """Counts one letter."""
        match verdict:
            case "sent":
                self.sent += 1
            case "failed":
                self.failed += 1
            case "uncertain":
                self.uncertain += 1
            case "temporary":
                self.postponed += 1
            case "released" | "withdrawn":
                pass

    def __iadd__(self, other: Delivered) -> Self:
        self.sent += other.sent
        self.failed += other.failed
        self.uncertain += other.uncertain
        self.postponed += other.postponed
        self.stale = max(self.stale, other.stale)
        self.outside_hours += other.outside_hours
        self.too_late += other.too_late
        self.stopped = self.stopped or other.stopped
        self.signal = self.signal or other.signal
        return self
