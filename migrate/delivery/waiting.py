"""The letters that wait after a delivery: for the send hours, or for too long (design §7)."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from migrate import outbox
from migrate.core.send_hours import Hours


@dataclass(frozen=True, slots=True)
class Waiting:
    """`reminders` is how many letters (confirmations excepted) wait for the send hours, which begin again at `until` (UTC). Inside the
    hours they are 0 and None. A letter that ends before they begin does not wait.

    `too_long` is how many letters of any kind could have gone during a whole send day and are still queued: a person should look at it.
    """

    reminders: int = 0
    until: datetime | None = None
    too_long: int = 0

    def facts(self) -> dict[str, Any]:
        """`waiting` in the object of `migrate run --json`."""
        until = self.until.isoformat().replace("+00:00", "Z") if self.until else None
        return asdict(self) | {"until": until}


def waiting(connection: sa.Connection, campaign_id: int, hours: Hours, now: datetime) -> Waiting:
    """The letters that wait at an instant. A letter waits too long if it was queued before the last send hours began, and they are over."""
    opens = hours.closed_until(now)
    reminders = outbox.reminders_waiting(connection, campaign_id, after=opens) if opens else 0
    return Waiting(
        reminders=reminders,
        until=opens if reminders else None,
        too_long=outbox.waiting_since(connection, campaign_id, hours.last_window(now).opens),
    )
