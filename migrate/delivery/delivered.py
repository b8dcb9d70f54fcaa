"""What a delivery did."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Self

from migrate.errors import MailServerError
from migrate.outbox.claims import Verdict

Clock = Callable[[], datetime]
Watch = Callable[[int], None]
"""Hears of letters done, however they ended."""


@dataclass(slots=True)
class Delivered:
    """How many letters ended sent, failed and uncertain, and how many were postponed: tried, and back in the queue for later.

    `stopped` is why it ended before the outbox was empty, if it did, and `signal` the number of the signal that asked it to end: the rest
    stays queued. `stale` counts the reminders that wait because the directory was read too long ago; `outside_hours` those of the sent that
    went outside the send hours, for the next ones would have come after their end; `too_late` letters that it withdrew at their end
    without ever having tried them.
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

    def count(self, verdict: Verdict) -> None:
        """One more letter ended so."""
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
