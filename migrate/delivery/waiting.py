"""What waits in the outbox when a delivery has ended, until when, and what has waited too long (design §7)."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from migrate import outbox
from migrate.core.send_hours import Hours


@dataclass(frozen=True, slots=True)
class Waiting:
    """`reminders` letters (any but confirmations) wait for the send hours, which begin again at `until` (UTC); 0 and None inside them. A
    letter that ends by then does not wait.

    `too_long` letters of every kind could have gone during a whole send day and are still queued: sending needs a person's look.
    """

    reminders: int = 0
    until: datetime | None = None
    too_long: int = 0

    def facts(self) -> dict[str, Any]:
        """`waiting` in the object of `migrate run --json`."""
        until = self.until.isoformat().replace("+00:00", "Z") if self.until else None
        return asdict(self) | {"until": until}


def waiting(connection: sa.Connection, campaign_id: int, hours: Hours, now: datetime) -> Waiting:
    """What waits at an instant. A send day counts whole: the hours of a day from their beginning to their end, the letter queued before."""
    opens = hours.closed_until(now)
    reminders = outbox.reminders_waiting(connection, campaign_id, after=opens) if opens else 0
    return Waiting(
        reminders=reminders,
        until=opens if reminders else None,
        too_long=outbox.waiting_since(connection, campaign_id, hours.last_window(now).opens),
    )
